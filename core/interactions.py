"""Interactions: what players do to each other and to the world, and how batches of them are packed for the log. PURE.

A batch in the log is one JSON document of columns: packing and reading it cost no Python per interaction, and any tool
can read it. Its members, the rows in the order in which things happened:

    v      3, the version of this form
    ttl    seconds that a position in it is kept as a view
    kinds  a letter a row: "mma"
    id     [prefix, first] where the ids are <prefix>-<first>, <prefix>-<first + 1>, ...; else [id, ...] a row
    at     [[UTC ms, rows], ...] runs of rows of the same moment
    names  [name, ...] of players and actions; a column of names is of positions in it
    m a c x  per kind that occurs, its columns over its rows, the first of them who did it: KINDS says which
    states [[UTC ms, [field, ...], [[player, value, ...], ...]], ...] player hashes (row A4), values as they are stored
    events [[name, rows before it, UTC ms, player, {...}], ...] what else happened, at its place among the rows

A column of names or numbers is base 64 of little-endian unsigned 16 bit or IEEE 754 64 bit: exact, so a view made from
the log is the view that was written. The log is the truth; views and counts can be made again from it.
"""

from __future__ import annotations

import struct
from binascii import a2b_base64, b2a_base64
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, compress, groupby
from itertools import count as count_up
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from core.errors import Invalid
from core.leaderboard import slot_of

VERSION: Final = 3
MAX_BATCH: Final = 2_000  # interactions; about 60 KB, appended in well under a millisecond
MOVE_TTL_S: Final = 30  # where a game does not choose
PLAYER_JOINED: Final = "player_joined_session"
PLAYER_LEFT: Final = "player_left_session"
MATCH_OVER: Final = "match_over"  # why a player left who stayed until the end


# Structs: making one costs a quarter of what a named tuple does. Nothing that they hold refers back to them, so the
# garbage collector need not know them.
class Move(msgspec.Struct, frozen=True, gc=False):
    """A player moved (row A2)."""

    id: str  # unique for ever
    at_ms: int  # UTC
    player: str
    lat: float  # degrees
    lon: float


class Attack(msgspec.Struct, frozen=True, gc=False):
    """A player harmed another (row A1)."""

    id: str
    at_ms: int
    attacker: str
    target: str
    damage: float  # hit points


class Action(msgspec.Struct, frozen=True, gc=False):
    """Anything else that counts as an interaction; `what` is the game's own word."""

    id: str
    at_ms: int
    player: str
    what: str


class Exchange(msgspec.Struct, frozen=True, gc=False):
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


Values = tuple[list[Any], ...]


class Kind(NamedTuple):
    """How a kind of interaction is packed. Every kind begins with id and at_ms."""

    type: type[Any]
    columns: str  # of what follows, who did it first; a letter each: n a name, d a number
    values: Callable[[Sequence[Any]], Values]  # of rows of this kind, those columns


_EXCHANGED: Final[Callable[[Exchange], tuple[Any, ...]]] = attrgetter("player", "other", "exchange", "gave", "got")

# A further kind of interaction is a class above and a line here; its letter is kept for ever. A comprehension for each
# column, that only ever sees one class, is twice as fast as one way for all of them.
KINDS: Final[dict[str, Kind]] = {
    "m": Kind(Move, "ndd", lambda of: ([one.player for one in of], [one.lat for one in of], [one.lon for one in of])),
    "a": Kind(
        Attack,
        "nnd",
        lambda of: ([one.attacker for one in of], [one.target for one in of], [one.damage for one in of]),
    ),
    "c": Kind(Action, "nn", lambda of: ([one.player for one in of], [one.what for one in of])),
    "x": Kind(Exchange, "nnnnn", lambda of: tuple(map(list, zip(*map(_EXCHANGED, of), strict=True)))),
}
_CODES: Final[dict[type[Any], int]] = {kind.type: ord(letter) for letter, kind in KINDS.items()}
# By letter, what turns a string of letters into a mask of those that are this one.
_ONLY: Final = {letter: bytes(code == ord(letter) for code in range(256)) for letter in KINDS}


def actor(one: Interaction) -> str:
    """The player who did it."""
    return one.attacker if isinstance(one, Attack) else one.player


class States(NamedTuple):
    """Hashes of players as they were at one moment (row A4), all with the same fields."""

    at_ms: int
    fields: tuple[str, ...]
    rows: list[tuple[str, ...]]  # player, then a value per field


@cache  # a server that writes little need not have them
def _tails() -> list[str]:
    return [f"{n:03}" for n in range(1000)]


def numbered(prefix: str) -> Iterator[str]:
    """The ids <prefix>-1, <prefix>-2, ... for ever: such ids take no room in the log."""
    first = (f"{prefix}-{n}" for n in range(1, 1000))
    heads = (f"{prefix}-{thousand}" for thousand in count_up(1))
    return chain(first, chain.from_iterable([head + tail for tail in _tails()] for head in heads))


class Columns:
    """Interactions, oldest first, taken apart once: packing, counting and folding share it."""

    __slots__ = ("ids", "in_order", "kinds", "newest", "rows", "runs", "short", "values")

    def __init__(self, interactions: Sequence[Interaction]) -> None:
        self.ids = [one.id for one in interactions]
        self.short = _short(self.ids)
        times = [one.at_ms for one in interactions]
        self.in_order = times == sorted(times)
        self.runs = list(_runs(times) if self.in_order else ((ms, len(list(same))) for ms, same in groupby(times)))
        kinds = bytes(map(_CODES.__getitem__, map(type, interactions)))
        self.kinds = kinds.decode()
        self.rows: dict[str, Sequence[Any]] = {
            letter: list(compress(interactions, kinds.translate(only)))
            for letter, only in _ONLY.items()
            if letter in self.kinds
        }
        self.values = {letter: KINDS[letter].values(rows) for letter, rows in self.rows.items()}
        # Of each kind, by who did it: a view is one of these, and their names are all there are.
        self.newest = {kind: dict(zip(of[0], self.rows[kind], strict=True)) for kind, of in self.values.items()}

    def counts(self) -> list[tuple[int, Sequence[str]]]:
        """By slot of time of the activity board, who acted in it; somebody who acted twice is there twice."""
        slots = {slot_of(ms) for ms, _ in self.runs}
        if len(slots) == 1:
            return [(slots.pop(), list(chain.from_iterable(values[0] for values in self.values.values())))]
        whose = {letter: iter(values[0]) for letter, values in self.values.items()}
        who = [next(whose[letter]) for letter in self.kinds]
        found: dict[int, list[str]] = {}
        start = 0
        for ms, n in self.runs:
            found.setdefault(slot_of(ms), []).extend(who[start : start + n])
            start += n
        return list(found.items())


def _runs(times: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of equal times among ascending ones."""
    start = 0
    while start < len(times):
        end = bisect_right(times, times[start], start)
        yield times[start], end - start
        start = end


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
    names: dict[str, int] = {}
    for letter, values in columns.values.items():
        names.update(dict.fromkeys(columns.newest[letter], 0))
        for code, column in zip(KINDS[letter].columns[1:], values[1:], strict=True):
            if code == "n":
                names.update(dict.fromkeys(column, 0))
    index = dict(zip(names, range(len(names)), strict=True))
    batch: dict[str, Any] = {
        "v": VERSION,
        "ttl": move_ttl_s,
        "kinds": columns.kinds,
        "id": columns.short or columns.ids,
        "at": columns.runs,
        "names": list(names),
    }
    for letter, values in columns.values.items():
        batch[letter] = [
            _column("H", [index[name] for name in column]) if code == "n" else _column("d", column)
            for code, column in zip(KINDS[letter].columns, values, strict=True)
        ]
    if packed_states:
        batch["states"] = packed_states
    if events:
        batch["events"] = [tuple(event) for event in events]
    return orjson.dumps(batch)


def _column(code: str, values: list[Any]) -> str:
    return b2a_base64(struct.pack(f"<{len(values)}{code}", *values), newline=False).decode()


def _short(ids: Sequence[str]) -> tuple[str, int] | None:
    """(prefix, first) of ids that count up by one, as those of one writer do; else None."""
    if not ids:
        return None
    prefix, dash, number = ids[0].rpartition("-")
    if dash and number.isascii() and number.isdigit() and len(number) <= 15 and "\n" not in prefix:
        first = int(number)
        # One comparison of all: no id holds a line break then, or there would be more of them than on the right.
        if "\n".join(ids) == _counted(prefix, first, len(ids)):
            return prefix, first
    return None


def _counted(prefix: str, first: int, count: int) -> str:
    """The lines <prefix>-<first>, <prefix>-<first + 1>, ...; a thousand at a time, whose last digits are known."""
    lines: list[str] = []
    at, end = first, first + count
    while at < end:
        head, low = divmod(at, 1000)
        tails = _tails()[low : low + end - at] if head else list(map(str, range(low, min(1000, end))))
        before = f"\n{prefix}-{head or ''}"
        lines += (before, before.join(tails))
        at += len(tails)
    return "".join(lines)[1:]


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
    heads = list(zip(ids, times, kinds, strict=True))
    rows = {letter: _of_kind(letter, batch[letter], heads, name) for letter in sorted(set(kinds))}
    return [next(rows[letter]) for letter in kinds]


def _of_kind(letter: str, columns: list[str], heads: list[tuple[Any, ...]], name: Callable[[int], str]) -> Any:
    kind = KINDS[letter]
    mine = [head[:2] for head in heads if head[2] == letter]
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
