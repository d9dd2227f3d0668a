"""The event log's way out: what is in Redis' streams, carried to Kafka and RabbitMQ (docs/events.md).

`python -m core.sinks` runs beside the services, as often as you like: one at a time carries a game's events.
"""
