"""The operator page's document: what runs, for eyes. The others are in `webapi.documents`."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from core.insight import Waits
from core.lifecycle import MatchState
from webapi.documents import Rfc3339


class SupplyOverview(Struct, frozen=True):
    """Servers without a match. `matches`: by the server they got, early, warm and cold. `wrong`: guesses."""

    wanted: int
    ready: int
    starting: int
    why: str
    matches: tuple[int, int, int]
    wrong: int
    idle_s_per_match: float


class VersionOverview(Struct, frozen=True):
    """A version that new matches get: `percent` of them, 100 less the canary's for the current one.

    `judged` of its matches tell how good it is, `faults` of them failed because of their server; of both versions since
    the canary began, while one is tried.
    """

    version: int
    canary: bool
    percent: float
    judged: int
    faults: int


class PacksOverview(Struct, frozen=True):
    """Delayed commands of a game since the beginning, and what waits now."""

    waiting: int
    oldest_s: float
    executed: int
    failed: int
    skipped: int


class GameOverview(Struct, frozen=True):
    """`draining`: it makes no new match (docs/upgrading.md). `online` players were heard of lately.

    `matched` counts the tickets matched in the last minutes, `waits` tells how long they had waited.
    """

    id: str
    name: str
    accepting: bool
    players_per_match: int
    waiting: int
    oldest_wait_s: float
    live: int
    stats: dict[str, int]
    draining: bool = False
    online: int = 0
    matched: int | UnsetType = UNSET
    waits: Waits | UnsetType = UNSET
    supply: SupplyOverview | UnsetType = UNSET
    versions: list[VersionOverview] | UnsetType = UNSET  # of a game that changed
    last_canary: str = ""  # how it ended
    packs: PacksOverview | UnsetType = UNSET


class MatchOverview(Struct, frozen=True):
    id: str
    game: str
    state: MatchState
    reason: str
    players: int
    created_at: Rfc3339
    server: str
    server_state: str
    figures: Any


class ReaderOverview(Struct, frozen=True):
    """Who carries or counts events (`kafka`, `rabbitmq`, `analytics`...), and how far behind: the most of any game."""

    name: str
    behind_s: float


class Overview(Struct, frozen=True):
    """What runs. Matches are live ones, then the latest that were over; bounded."""

    games: list[GameOverview]
    matches: list[MatchOverview]
    servers: list[dict[str, Any]]
    readers: list[ReaderOverview]
