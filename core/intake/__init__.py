"""RabbitMQ's way in: commands for running matches, matches that an outside matchmaker wants (docs/intake.md).

`python -m core.intake` runs beside the services, as often as you like: one at a time reads a queue.
"""
