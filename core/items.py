"""Items: what players own, and the documents by which items move. PURE.

An item is a number of a kind (`shell`, 20), or a unique one (`sword`, id `excalibur`) that exists once in its game. In
Redis and in documents its name is `shell` or `sword#excalibur`, with a quantity, which is 1 for a unique one.

A move is one JSON document: the same move is always the same text, which tells a repeat from another move of that id.
Every move has an id of its own with the time in it (`core.ids`), made once by whoever wants the move and sent with each
attempt. `a` gives `give` to `b` and gets `get`; '' is the game itself:

    {"kind": "exchange", "a": "p-1", "b": "p-2", "give": [["shell", 3]], "get": [["kit", 1]], "by": "p-1", "match": "m"}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NoReturn

import msgspec
from msgspec import Meta, Struct

from core.errors import Conflict, Invalid, NotFound

MOVES_REMEMBERED: Final = 250_000  # of a game, and no longer than ten minutes; 60 MB of Redis where it is full
AUDIT_KEPT: Final = 250_000  # moves of a game that can be looked up; 60 MB. What leaves is added to `kept`
MOST_ITEMS: Final = 32  # of one side of a move
MOST_QUANTITY: Final = 2**53 - 1  # of one kind: the largest whole number that every reader of JSON counts exactly

_KIND: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_UNIQUE: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
_PLAYER: Final = re.compile(r"[^\s:{}]{1,64}")

Kind = Literal["grant", "take", "exchange"]


class Item(Struct, frozen=True, forbid_unknown_fields=True):
    """So many of a kind, or the unique one with this id."""

    kind: Annotated[str, Meta(min_length=1, max_length=32)]
    quantity: Annotated[int, Meta(ge=1, le=MOST_QUANTITY)] = 1
    id: Annotated[str, Meta(max_length=36)] = ""


class Moved(Struct, frozen=True):
    """An entry of the audit. `at_ms` is Redis' clock; `a` is '' where the game itself gave, `b` where it took."""

    at_ms: int
    id: str
    kind: Kind
    a: str
    b: str
    give: list[Item]
    get: list[Item]
    by: str  # who caused it: a player, a developer, a program
    match: str  # '' outside of one


class Document(Struct, frozen=True):
    """A move as it is written."""

    kind: Kind
    a: str
    b: str
    give: list[tuple[str, int]]
    get: list[tuple[str, int]]
    by: str
    match: str


def check_player(player: str, pointer: str) -> None:
    """Raise Invalid for what is no name of a player."""
    if not isinstance(player, str) or not _PLAYER.fullmatch(player):
        raise Invalid("a player has 1-64 characters other than spaces, colons and braces", pointer=pointer)


def name_of(item: Item, pointer: str = "") -> str:
    """The name that an item goes by in Redis. Raises Invalid for a kind, an id or a quantity that none can have."""
    if not _KIND.fullmatch(item.kind):
        raise Invalid("a kind has 1-32 of a-z, 0-9, '_' and '-'", pointer=f"{pointer}/kind")
    quantity: Any = item.quantity  # a struct made in Python has not been checked
    if not isinstance(quantity, int) or isinstance(quantity, bool) or not 1 <= quantity <= MOST_QUANTITY:
        raise Invalid("a quantity is a whole number from 1 to 2^53 - 1", pointer=f"{pointer}/quantity")
    if not item.id:
        return item.kind
    if not _UNIQUE.fullmatch(item.id):
        raise Invalid("the id of an item has 1-36 letters, digits, '_' and '-'", pointer=f"{pointer}/id")
    if quantity != 1:
        raise Invalid("of an item with an id there is one", pointer=f"{pointer}/quantity")
    return f"{item.kind}#{item.id}"


def item_of(name: str, quantity: int) -> Item:
    """The item behind a name."""
    kind, _, id_ = name.partition("#")
    return Item(kind, quantity, id_)


def holdings(found: Mapping[str, Any]) -> list[Item]:
    """What a player has, by name, from the inventory's hash."""
    return [item_of(name, int(found[name])) for name in sorted(found)]


def rows(items: Sequence[Item], pointer: str) -> list[tuple[str, int]]:
    """One side of a move, in order of the names. Raises Invalid."""
    if len(items) > MOST_ITEMS:
        raise Invalid(f"one side of a move has at most {MOST_ITEMS} items", pointer=pointer)
    named = {name_of(item, f"{pointer}/{i}"): item.quantity for i, item in enumerate(items)}
    if len(named) != len(items):
        raise Invalid("an item is named twice: add the quantities up", pointer=pointer)
    return sorted(named.items())


def document(
    kind: Kind, a: str, b: str, give: Sequence[Item], get: Sequence[Item], *, by: str = "", match: str = ""
) -> bytes:
    """The document of a move. Raises Invalid for whatever is wrong with it, whoever has what."""
    for name, player in (("a", a), ("b", b)):
        if player or kind == "exchange":
            check_player(player, name)
    if a == b:
        raise Invalid("nobody exchanges with himself", pointer="b", code="self-exchange")
    if not (give or get):
        raise Invalid("nothing is moved", pointer="give")
    if len(by) > 64 or len(match) > 64:
        raise Invalid("64 characters are enough", pointer="by" if len(by) > 64 else "match")
    return msgspec.json.encode(Document(kind, a, b, rows(give, "give"), rows(get, "get"), by, match))


def read_entry(entry_id: str, fields: Mapping[str, str]) -> Moved:
    """An entry of the audit."""
    doc = read_document(fields["doc"])
    give, get = ([item_of(*row) for row in side] for side in (doc.give, doc.get))
    at_ms = int(entry_id.partition("-")[0])
    return Moved(at_ms, fields["id"], doc.kind, doc.a, doc.b, give, get, doc.by, doc.match)


_document: Final = msgspec.json.Decoder(Document)


def read_document(text: str) -> Document:
    """A document as the audit has it."""
    return _document.decode(text)


def replay(kept: Mapping[str, Mapping[str, int]], documents: Iterable[Document]) -> dict[str, dict[str, int]]:
    """What every player has after these moves, who had `kept` before them. Players without items are left out."""
    have = {player: dict(items) for player, items in kept.items()}
    for doc in documents:
        for source, target, side in ((doc.a, doc.b, doc.give), (doc.b, doc.a, doc.get)):
            for name, quantity in side:
                for player, change in ((source, -quantity), (target, quantity)):
                    items = have.setdefault(player, {})
                    items[name] = items.get(name, 0) + change
    have.pop("", None)
    left = {player: {name: n for name, n in items.items() if n} for player, items in have.items()}
    return {player: items for player, items in left.items() if items}


# What the function refuses: the class that tells whose fault it is, and the sentence; {} is a player or an item.
_REFUSALS: Final[dict[str, tuple[type[Conflict | Invalid | NotFound], str]]] = {
    "not-owned": (Conflict, "there is not enough of {!r} to give"),
    "unknown-player": (NotFound, "{!r} is no player who can have items in this game"),
    "over-bound": (Conflict, "{!r}: a player has at most 500 kinds and unique items, and 2^53 - 1 of a kind"),
    "exists": (Conflict, "{!r} exists already"),
    "other-content": (Conflict, "this id is that of another move"),
    "stale": (Conflict, "this id is too old to be known: the audit tells whether the move was made"),
    "future": (Invalid, "this id was made in the future: set the clock right"),
    "self": (Invalid, "{!r} exchanges with himself"),
    "nothing": (Invalid, "nothing is moved"),
    "bad-quantity": (Invalid, "of {!r} a whole number from 1 to 2^53 - 1 is moved, of a unique item 1"),
    "twice": (Invalid, "{!r} is named twice"),
}


def refuse(code: str, what: str) -> NoReturn:
    """Raise what the function's refusal means."""
    kind, text = _REFUSALS[code]
    raise kind(text.format(what), code=code)
