"""Groups players from their queues and starts and ends one server per match."""
