"""The only place that speaks to Redis: the client, the lean client for game servers, and the function library."""
