"""The `muster` command: runs the whole stack on one machine, and sends bots through it.

It starts the services as programs and speaks to them as a stranger would, over REST and the game's own protocol, so it
imports none of them.
"""
