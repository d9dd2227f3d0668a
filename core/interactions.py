"""Interactions: what players do to each other and to the world, and how batches of them are packed for the log. PURE.

A batch in the log is one JSON document of columns: packing and reading it cost no Python per interaction, and any tool
can read it. Its members, the rows in the order in which things happened:

    v      2, the version of this form
    ttl    seconds that a position in it is kept as a view
    kinds  a letter a row: "mma"
    id     [prefix, first] where the ids are <prefix>-<first>, <prefix>-<first + 1>, ...; else [id, ...] a row
    at     [[UTC ms, rows], ...] runs of rows of the same moment
    names  [name, ...] of players and actions; a column of names is of positions in it
    who    column of names: the player that each row is about
    m a c x  per kind that occurs, its columns over its rows: KINDS says which
    states [[UTC ms, [field, ...], [[player, value, ...], ...]], ...] player hashes (row A4), values as they are stored
    events [[name, rows before it, UTC ms, player, {...}], ...] what else happened, at its place among the rows

A column of names or numbers is base 64 of little-endian unsigned 16 bit or IEEE 754 64 bit: exact, so a view made from
the log is the view that was written. The log is the truth; views and counts can be made again from it.
"""

from __future__ import annotations

import struct
from binascii import a2b_base64, b2a_base64
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, groupby
from typing import Any, Final, NamedTuple

import orjson

from core.errors import Invalid
from core.leaderboard import slot_of

VERSION: Final = 2
MAX_BATCH: Final = 2_000  # interactions; about 60 KB, appended in well under a millisecond
MOVE_TTL_S: Final = 30  # where a game does not choose
PLAYER_JOINED: Final = "player_joined_session"
PLAYER_LEFT: Final = "player_left_session"
MATCH_OVER: Final = "match_over"  # why a player left who stayed until the end


class Move(NamedTuple):
    """A player moved (row A2)."""

    id: str  # unique for ever
    at_ms: int  # UTC
    player: str
    lat: float  # degrees
    lon: float


class Attack(NamedTuple):
    """A player harmed another (row A1)."""

    id: str
    at_ms: int
    attacker: str
    target: str
    damage: float  # hit points


class Action(NamedTuple):
    """Anything else that counts as an interaction; `what` is the game's own word."""

    id: str
    at_ms: int
    player: str
    what: str


class Exchange(NamedTuple):
    """Two players exchanged items (row A3). The items' audit is the truth of it; this is its place in the match."""

    id: str
    at_ms: int
    player: str  # who offered
    other: str  # who accepted
    exchange: str  # id in the audit
    gave: str  # "shell:3,sword#excalibur:1"
    got: str


class Happening(NamedTuple):
    """What happened in a match and is no interaction: who came and left, shots, kills. It makes no view and no count.

    Its id is its place: match, batch, and number within that. `more` is the event's own fields (core.sinks.catalogue).
    """

    name: str
    before: int  # interactions told with it that came before it
    at_ms: int  # UTC
    player: str
    more: dict[str, Any]


Interaction = Move | Attack | Action | Exchange
Fields = dict[str, str]  # of a hash


class Kind(NamedTuple):
    """How a kind of interaction is packed. Every kind begins with id, at_ms, and who did it."""

    type: type[Any]
    columns: str  # of what follows, a letter each: n a name, d a number


# A further kind of interaction is a class above and a line here; its letter is kept for ever.
KINDS: Final[dict[str, Kind]] = {
    "m": Kind(Move, "dd"),
    "a": Kind(Attack, "nd"),
    "c": Kind(Action, "n"),
    "x": Kind(Exchange, "nnnn"),
}
_LETTERS: Final[dict[type[Any], str]] = {kind.type: letter for letter, kind in KINDS.items()}


class States(NamedTuple):
    """Hashes of players as they were at one moment (row A4), all with the same fields."""

    at_ms: int
    fields: tuple[str, ...]
    rows: list[tuple[str, ...]]  # player, then a value per field


class Columns:
    """Interactions, oldest first, taken apart once: packing, counting and folding share it."""

    __slots__ = ("ids", "kinds", "rows", "runs", "short", "who")

    def __init__(self, interactions: Sequence[Interaction]) -> None:
        self.ids: Sequence[str]
        self.who: Sequence[str]
        # Every kind begins alike, and zip stops at the shortest.
        self.ids, times, self.who = tuple(zip(*interactions, strict=False))[:3] if interactions else ((), (), ())
        self.short = _short(self.ids)
        self.runs = [(ms, len(list(same))) for ms, same in groupby(times)]
        self.kinds = "".join(map(_LETTERS.__getitem__, map(type, interactions)))
        self.rows: dict[str, Sequence[Any]] = {}
        for letter in sorted(set(self.kinds)):
            of_kind = KINDS[letter].type
            self.rows[letter] = [one for one in interactions if type(one) is of_kind]

    def of(self, letter: str) -> Sequence[Any]:
        """The interactions of one kind, in their order."""
        return self.rows.get(letter, ())

    def counts(self) -> list[tuple[int, Sequence[str]]]:
        """By slot of time of the activity board, who acted in it; somebody who acted twice is there twice."""
        slots = {slot_of(ms) for ms, _ in self.runs}
        if len(slots) == 1:
            return [(slots.pop(), self.who)]
        found: dict[int, list[str]] = {}
        start = 0
        for ms, n in self.runs:
            found.setdefault(slot_of(ms), []).extend(self.who[start : start + n])
            start += n
        return list(found.items())


def pack(
    interactions: Sequence[Interaction] | Columns,
    states: Iterable[States] = (),
    *,
    move_ttl_s: int = MOVE_TTL_S,
    events: Sequence[Happening] = (),
) -> bytes:
    """One batch for the log, of at most MAX_BATCH interactions. Raises ValueError where there is nothing in it."""
    columns = interactions if isinstance(interactions, Columns) else Columns(interactions)
    packed_states = [tuple(some) for some in states]
    if not columns.ids and not packed_states and not events:
        raise ValueError("a batch holds at least one interaction, state or event")
    names = dict.fromkeys(columns.who)
    split: dict[str, list[tuple[Any, ...]]] = {}
    for letter, rows in columns.rows.items():
        split[letter] = list(zip(*rows, strict=True))[3:]
        for code, values in zip(KINDS[letter].columns, split[letter], strict=True):
            if code == "n":
                names.update(dict.fromkeys(values))
    index = dict(zip(names, range(len(names)), strict=True)).__getitem__
    batch: dict[str, Any] = {
        "v": VERSION,
        "ttl": move_ttl_s,
        "kinds": columns.kinds,
        "id": columns.short or columns.ids,
        "at": columns.runs,
        "names": list(names),
        "who": _column("H", map(index, columns.who)),
    }
    for letter, found in split.items():
        batch[letter] = [
            _column("H", map(index, values)) if code == "n" else _column("d", values)
            for code, values in zip(KINDS[letter].columns, found, strict=True)
        ]
    if packed_states:
        batch["states"] = packed_states
    if events:
        batch["events"] = [tuple(event) for event in events]
    return orjson.dumps(batch)


def _column(code: str, values: Iterable[Any]) -> str:
    whole = tuple(values)
    return b2a_base64(struct.pack(f"<{len(whole)}{code}", *whole), newline=False).decode()


def _short(ids: Sequence[str]) -> tuple[str, int] | None:
    """(prefix, first) of ids that count up by one, as those of one writer do; else None."""
    if not ids:
        return None
    prefix, dash, number = ids[0].rpartition("-")
    if dash and number.isascii() and number.isdigit() and len(number) <= 15 and "\n" not in prefix:
        first = int(number)
        # One comparison of all: no id holds a line break then, or there would be more of them than on the right.
        after = f"\n{prefix}-".join(map(str, range(first, first + len(ids))))
        if "\n".join(ids) == f"{prefix}-{after}":
            return prefix, first
    return None


class Batch(NamedTuple):
    """What is in one entry of the log."""

    interactions: list[Interaction]  # in the order in which things happened
    states: list[States]
    move_ttl_s: int
    events: Sequence[Happening] = ()


def unpack(payload: bytes | str) -> list[Interaction]:
    """The interactions of one batch in their order. Raises Invalid for anything `pack` did not write."""
    return read_batch(payload).interactions


def read_batch(payload: bytes | str) -> Batch:
    """All that is in a batch. Raises Invalid for anything `pack` did not write."""
    try:
        batch = orjson.loads(payload)
        version = batch["v"] if isinstance(batch, dict) else batch[0]
        if version != VERSION:
            raise Invalid(f"a batch of version {version}; this Muster reads version {VERSION}", code="batch-version")
        states = [
            States(at_ms, tuple(fields), [tuple(row) for row in rows])
            for at_ms, fields, rows in batch.get("states", ())
        ]
        events = [Happening(*row) for row in batch.get("events", ())]
        return Batch(_rows(batch), states, batch["ttl"], events)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, struct.error, StopIteration) as error:
        raise Invalid(f"this is no batch of interactions: {error!r}", code="batch-malformed") from None


def _rows(batch: dict[str, Any]) -> list[Interaction]:
    kinds, ids, name = batch["kinds"], batch["id"], batch["names"].__getitem__
    if len(ids) == 2 and isinstance(ids[1], int):
        ids = [f"{ids[0]}-{n}" for n in range(ids[1], ids[1] + len(kinds))]
    times = chain.from_iterable([ms] * n for ms, n in batch["at"])
    heads = list(zip(ids, times, map(name, _values("H", batch["who"])), kinds, strict=True))
    rows = {letter: _of_kind(letter, batch[letter], heads, name) for letter in sorted(set(kinds))}
    return [next(rows[letter]) for letter in kinds]


def _of_kind(letter: str, columns: list[str], heads: list[tuple[Any, ...]], name: Callable[[int], str]) -> Any:
    kind = KINDS[letter]
    mine = [head[:3] for head in heads if head[3] == letter]
    values = [
        list(map(name, _values("H", column)) if code == "n" else _values("d", column))
        for code, column in zip(kind.columns, columns, strict=True)
    ]
    return (kind.type(*head, *row) for head, *row in zip(mine, *values, strict=True))


def _values(code: str, text: str) -> tuple[Any, ...]:
    raw = a2b_base64(text)
    return struct.unpack(f"<{len(raw) // struct.calcsize('<' + code)}{code}", raw)


def count(interactions: Sequence[Interaction]) -> dict[tuple[int, str], int]:
    """How many interactions each player did in each slot of time of the activity board."""
    return flat_counts({slot: Counter(who) for slot, who in Columns(interactions).counts()})


def flat_counts(counts: Mapping[int, Mapping[str, int]]) -> dict[tuple[int, str], int]:
    """Counts by slot and player under one key."""
    return {(slot, player): n for slot, players in counts.items() for player, n in players.items()}
