"""The JSON of items and of who is near. PURE. `/openapi.json` is drawn from these types."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from core.items import MOST_ITEMS, Item, Kind, Moved
from webapi.documents import PlayerId, Rfc3339
from webapi.records import iso

Items = Annotated[list[Item], Meta(max_length=MOST_ITEMS)]
MoveId = Annotated[
    str,
    Meta(max_length=64, description="`x-` and a ULID of the moment in lower case: sent again, the move is made once"),
]


class NewMove(Struct, frozen=True, forbid_unknown_fields=True):
    """Items for a player, or from one. `match`: the match it is about, for the audit."""

    items: Items
    id: MoveId = ""
    match: Annotated[str, Meta(max_length=64)] = ""


class NewExchange(Struct, frozen=True, forbid_unknown_fields=True):
    """`a` gives `give` to `b` and gets `get`: both, or neither. One side may be empty."""

    a: PlayerId
    b: PlayerId
    give: Items = []
    get: Items = []
    id: MoveId = ""
    match: Annotated[str, Meta(max_length=64)] = ""


class MoveDocument(Struct, frozen=True):
    """A move of items. A grant has no `a` and a taking no `b`: there it is ''. `by` is who caused it."""

    id: str
    at: Rfc3339
    kind: Kind
    a: str
    b: str
    give: list[Item]
    get: list[Item]
    by: str
    match: str


class Inventory(Struct, frozen=True):
    """What a player has, in order of the kinds. An item with an `id` is unique in its game."""

    player: str
    items: list[Item]


class Audit(Struct, frozen=True):
    """Moves, newest first."""

    moves: list[MoveDocument]


class NearPlayer(Struct, frozen=True):
    player: str
    distance_m: float
    lat: float
    lon: float
    at: Rfc3339


class NearPlayers(Struct, frozen=True):
    """Who is near, nearest first."""

    players: list[NearPlayer]


def moved(move: Moved) -> MoveDocument:
    """A move as the API tells it."""
    return MoveDocument(move.id, iso(move.at_ms), move.kind, move.a, move.b, move.give, move.get, move.by, move.match)
