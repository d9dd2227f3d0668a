"""What the matchmaker tells of a game's supply of servers: what stands ready, what should, and why. PURE.

It is told once a second while there is something to tell, lives in Redis for seconds, and is nobody's truth.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

TOLD_MS: Final = 10_000  # a plan that nobody renewed is of a game without a matchmaker

# idle_most, limit: the bound in the registration, or the servers that game or developer may have. no_room: no host has
# room. gives_way: a match of some game has none. budget: wrong guesses have cost what matches earned. failing: servers
# that were started without a match failed.
Held = Literal["", "idle_most", "limit", "no_room", "gives_way", "budget", "failing"]


class Told(Struct, frozen=True, omit_defaults=True):
    """`want` servers should have no match, `warm` because of the pool, `early` because of groups that fill.

    Of the next group that has no server: `in_time` and `used` are the chances that its match is there when a server
    started now is ready, and before that has waited too long; `idle_s` is the wait to be expected. `budget_s` is how
    long early servers may still stand idle.
    """

    at_ms: int
    want: int
    ready: int
    starting: int
    warm: int = 0
    early: int = 0
    start_s: float = 0.0  # that a start takes, the median of late
    tickets_per_min: float = 0.0  # as of late
    matches_per_min: float = 0.0
    in_time: float | None = None
    used: float | None = None
    idle_s: float | None = None
    budget_s: float | None = None
    held: Held = ""
    detail: str = ""  # of servers that failed, for the developer
