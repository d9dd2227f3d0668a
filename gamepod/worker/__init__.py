"""Workers that execute delayed commands (rows E2-E7); `docs/commands.md` is for developers.

`execute` is pure and runs in `child`, a process of its own: what a game's functions do there, crashing and hanging
included, ends at most that process. `pythons` is its other end, `calls` asks a URL instead, `loop` takes players' work
from Redis and writes it back. Any number of workers may run; they share nothing but Redis.
"""
