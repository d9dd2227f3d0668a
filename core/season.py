"""Seasons: when one ends, its score and rating boards become its archive and empty ones take their place. PURE.

Seasons are numbered from 1. Whoever ends one names it, so that the same request again ends nothing. A rating goes into
the next season with the share of skill that is carried over: it is taken when the rating is read, by the number of the
season that it was stored in, so that ending a season costs the same with ten players and with a million.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from core.errors import Conflict, Invalid

SEASONS_KEPT: Final = 12  # archives; the oldest goes when there is one more, a year of months
MAX_SEASON: Final = 1_000_000


class Running(NamedTuple):
    """The season that is running, and the shares of skill that the last ones before it handed over, oldest first."""

    number: int = 1
    carries: tuple[float, ...] = ()

    def share(self, season: int) -> float:
        """What is left (0-1) of a rating of `season`: nothing of one whose archive is gone."""
        ended = self.number - season
        if ended <= 0:
            return 1.0
        return math.prod(self.carries[-ended:]) if ended <= len(self.carries) else 0.0


FIRST: Final = Running()
RUNNING_FIELDS: Final = ("now", "carry")  # of the hash `seasons`, for `read_running`


class Ended(msgspec.Struct, frozen=True):
    """A season that is over. `boards`: how many players are on each; `started_ms` is 0 where nobody knows."""

    season: int
    started_ms: int
    ended_ms: int
    carry: float
    boards: dict[str, int]


class Seasons(NamedTuple):
    """`running` began at `since_ms` (0: nobody knows); those before it that are kept, newest first."""

    running: int
    since_ms: int
    ended: list[Ended]


_ended: Final = msgspec.json.Decoder(Ended)


def read_running(fields: Sequence[str | None]) -> Running:
    """From the RUNNING_FIELDS of the hash `seasons`."""
    number, carry = fields
    return Running(int(number or 1), tuple(float(word) for word in (carry or "").split()))


def read_seasons(fields: Mapping[str, str]) -> Seasons:
    """From the whole hash `seasons`."""
    ended = [_ended.decode(text) for name, text in fields.items() if name.startswith("e:")]
    ended.sort(key=lambda it: -it.season)
    return Seasons(int(fields.get("now", 1)), int(fields.get("since", 0)), ended)


def check_end(season: int, carry: float) -> None:
    """Raises Invalid for what can be no season, or no share."""
    if not 1 <= season <= MAX_SEASON:
        raise Invalid(f"a season is 1-{MAX_SEASON}", pointer="season")
    if not 0 <= carry <= 1:
        raise Invalid("carry is the share of skill that goes into the next season, 0-1", pointer="carry")


def check_ended(season: int, reply: Sequence[object]) -> None:
    """What `season_end` answered. Raises Conflict where the season has not begun."""
    if reply[0] == "ahead":
        raise Conflict(f"season {season} cannot end: season {reply[1]} is running", code="season-not-running")
