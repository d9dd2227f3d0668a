"""The JSON of leaderboards and seasons. PURE. `/openapi.json` is drawn from these types, as from `webapi.documents`."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from webapi.documents import Rfc3339


class Entry(Struct, frozen=True):
    rank: int
    player: str
    name: str
    score: float


class Rank(Struct, frozen=True):
    rank: int
    score: float


class Board(Struct, frozen=True):
    """Ranks begin at 1. `player` and `neighbours` where a player was asked for and is on the board; `season` where the
    board has seasons.
    """

    board: str
    entries: list[Entry]
    season: int | UnsetType = UNSET
    player: Rank | UnsetType = UNSET
    neighbours: list[Entry] | UnsetType = UNSET


class EndedSeason(Struct, frozen=True):
    """A season that is over. `boards`: players on each, by its name, or `rating:<mode>`.

    `carry` is the share of skill that went into the next one.
    """

    season: int
    ended_at: Rfc3339
    carry: float
    boards: dict[str, int]
    started_at: Rfc3339 | UnsetType = UNSET


class Seasons(Struct, frozen=True):
    """The `running` season, and those before it that are kept, newest first."""

    game: str
    running: int
    ended: list[EndedSeason]
    since: Rfc3339 | UnsetType = UNSET
