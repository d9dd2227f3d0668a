"""Analytics: events counted by the minute, and what cannot be right is flagged (docs/operating.md).

`python -m core.analytics` runs beside the services, as often as you like: one at a time counts a game.
"""
