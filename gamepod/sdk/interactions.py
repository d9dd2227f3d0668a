"""What a game tells of its players' interactions, as POST /muster/v1/interactions takes it. PURE.

    {"interactions": [{"player": "p-1", "target": "p-2", "damage": 12.5},
                      {"player": "p-1", "position": [48.2, 16.4]},
                      {"player": "p-2", "what": "jump"}]}

An attack has a target, a move a position, an action neither: as in the Python functions. `at_s` is a UNIX time, by
default now. A game speaks of players who have a seat in its match, and of nobody else. One wrong row refuses all.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from core.errors import Invalid
from core.interactions import Action, Attack, Interaction, Move

MAX_ROWS: Final = 500  # of one request
PER_S: Final = 6_000  # of one match, on average: a hundred players at 60 Hz
BURST: Final = 12_000  # may come at once
PAST_S: Final = 60.0  # a game that collects for longer than this tells of a moment that views have forgotten
FUTURE_S: Final = 60.0  # clocks disagree by so much at most

Id = Annotated[str, Meta(min_length=1, max_length=64)]


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """One interaction."""

    player: Id
    target: Id | None = None
    damage: Annotated[float, Meta(ge=0, le=1e9)] = 0.0  # hit points
    position: tuple[Annotated[float, Meta(ge=-90, le=90)], Annotated[float, Meta(ge=-180, le=180)]] | None = (
        None  # latitude, longitude in degrees
    )
    what: Annotated[str, Meta(min_length=1, max_length=64)] = "interaction"
    at_s: float | None = None


class Told(Struct, frozen=True, forbid_unknown_fields=True):
    """The body."""

    interactions: Annotated[list[Row], Meta(min_length=1, max_length=MAX_ROWS)]


_told: Final = msgspec.json.Decoder(Told)


def read_interactions(body: bytes, seats: Container[str], now_ms: int, ids: Iterator[str]) -> list[Interaction]:
    """The interactions of a body. Raises Invalid with a pointer to what is wrong."""
    try:
        rows = _told.decode(body)
    except msgspec.DecodeError as error:  # a ValidationError is one too
        raise Invalid(str(error)) from None
    for number, row in enumerate(rows.interactions):
        _check(row, seats, now_ms, f"/interactions/{number}")
    return [_interaction(row, now_ms, next(ids)) for row in rows.interactions]


def _check(row: Row, seats: Container[str], now_ms: int, pointer: str) -> None:
    for name in ("player", "target"):
        player = getattr(row, name)
        if player is not None and player not in seats:
            raise Invalid(f"{player!r} has no seat in this match", pointer=f"{pointer}/{name}")
    if row.target is not None and row.position is not None:
        raise Invalid("an attack has a target, a move a position: this has both", pointer=pointer)
    if row.at_s is not None and not -PAST_S <= row.at_s - now_ms / 1000 <= FUTURE_S:
        raise Invalid(f"it must be within {PAST_S:g} s of now, in UNIX seconds", pointer=f"{pointer}/at_s")


def _interaction(row: Row, now_ms: int, id_: str) -> Interaction:
    at_ms = now_ms if row.at_s is None else round(row.at_s * 1000)
    if row.target is not None:
        return Attack(id_, at_ms, row.player, row.target, row.damage)
    if row.position is not None:
        return Move(id_, at_ms, row.player, *row.position)
    return Action(id_, at_ms, row.player, row.what)


class Allowance:
    """How many rows may still come: `PER_S` a second, saved up to `BURST`."""

    def __init__(self, now_s: float) -> None:
        self._left, self._at_s = float(BURST), now_s

    def take(self, rows: int, now_s: float) -> bool:
        """Whether so many may come now; what may not takes nothing."""
        self._left = min(BURST, self._left + (now_s - self._at_s) * PER_S)
        self._at_s = now_s
        if rows > self._left:
            return False
        self._left -= rows
        return True
