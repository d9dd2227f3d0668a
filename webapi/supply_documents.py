"""The JSON of a game's supply of servers. PURE. `/openapi.json` is drawn from these types, too."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from core.supply import Held

Policy = Literal["early", "warm"]


class Guess(Struct, frozen=True):
    """About the next group that has no server: what starting one now would mean.

    `in_time`: the chance that its match is there when the server is ready; `used`: before it has waited for too long.
    `idle_s`: how long it is expected to stand idle.
    """

    in_time: float
    used: float
    idle_s: float


class Now(Struct, frozen=True):
    """What stands ready now, what should, and why, as the game's matchmaker last told.

    `wanted` servers without a match are what the warm pool (`wanted_warm`) or groups that fill (`wanted_early`) ask
    for, whichever is more. `held` says why there are fewer: a bound of the registration (`idle_most`) or of servers at
    all (`limit`), `no_room` on any host, the `budget` of idle time is spent, or such servers are `failing`.
    """

    age_s: float
    wanted: int
    wanted_warm: int
    wanted_early: int
    ready: int
    starting: int
    start_s: float  # the median of late
    tickets_per_min: float  # as of late
    matches_per_min: float
    next: Guess | UnsetType = UNSET
    budget_s: float | UnsetType = UNSET  # how long early servers may still stand idle
    held: Held = ""
    detail: str = ""


class Total(Struct, frozen=True):
    """What supply came to since the game was registered.

    Matches by the server they got: one that stood ready or started for a group that filled (`early`) or for the pool
    (`warm`), or one started for the match (`cold`). Time that servers were ready without a match, in seconds, and how
    many never had one.
    """

    early_matches: int
    warm_matches: int
    cold_matches: int
    early_idle_s: float
    warm_idle_s: float
    early_unused: int  # wrong guesses
    warm_unused: int
    idle_s_per_match: float


class Supply(Struct, frozen=True):
    """A game's supply of servers. `now` is there while a matchmaker works the game and it has a policy."""

    game: str
    policy: list[Policy]  # none: a server starts for the match that was made
    total: Total
    now: Now | UnsetType = UNSET
