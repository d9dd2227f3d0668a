"""Interactions: what players do to each other and to the world. Packing for the log, coalescing for the views. PURE.

A batch in the log is one JSON document of compact arrays (about 30 bytes an interaction), so that it can be read
with any tool:

    [version, id prefix, at_ms of the first, [name, ...], [row, ...]]
    move   [0, n, ms after the first, player, latitude, longitude]     in 1e-7 degrees (1 cm)
    attack [1, n, ms after the first, attacker, target, damage]
    action [2, n, ms after the first, player, what]

Players and actions are positions in the list of names. `n` is a number where the id is `<prefix>-<n>`, else the id.
Rows are in the order in which things happened. The log is the truth; views and boards can be made again from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from core import keys
from core.clock import iso
from core.errors import Invalid
from core.leaderboard import slot_of

VERSION: Final = 1
MAX_BATCH: Final = 2_000  # interactions; about 60 KB, appended in well under a millisecond
MAX_VIEWS: Final = 200  # keys written by one call: Redis serves others in between
VIEW_TTL_S: Final = 86_400  # attacks and states are kept as long as the activity board looks back
DEGREES: Final = 1e7  # units of a packed coordinate in one degree

MOVE: Final = 0
ATTACK: Final = 1
ACTION: Final = 2


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


Interaction = Move | Attack | Action
Call = tuple[str, tuple[str | int, ...]]  # base key and arguments of a Redis function


def pack(interactions: Sequence[Interaction]) -> bytes:
    """One batch for the log. Coordinates are kept to 1e-7 degrees."""
    if not interactions:
        raise ValueError("a batch holds at least one interaction")
    prefix = interactions[0].id.rpartition("-")[0]
    first_ms = interactions[0].at_ms
    names: dict[str, int] = {}
    rows: list[tuple[Any, ...]] = []
    for one in interactions:
        head = (_short(one.id, prefix), one.at_ms - first_ms, names.setdefault(one[2], len(names)))
        if isinstance(one, Move):
            rows.append((MOVE, *head, round(one.lat * DEGREES), round(one.lon * DEGREES)))
        elif isinstance(one, Attack):
            rows.append((ATTACK, *head, names.setdefault(one.target, len(names)), one.damage))
        else:
            rows.append((ACTION, *head, names.setdefault(one.what, len(names))))
    return orjson.dumps((VERSION, prefix, first_ms, list(names), rows))


def _short(id_: str, prefix: str) -> int | str:
    start, dash, number = id_.rpartition("-")
    # Only what comes back as the same text may travel as a number; 15 digits are exact in every JSON reader.
    plain = number.isascii() and number.isdigit() and len(number) <= 15 and (number[0] != "0" or number == "0")
    return int(number) if dash and plain and start == prefix else id_


def unpack(payload: bytes | str) -> list[Interaction]:
    """The interactions of one batch in their order. Raises Invalid for anything `pack` did not write."""
    try:
        version, prefix, first_ms, names, rows = orjson.loads(payload)
        if version != VERSION:
            raise Invalid(f"a batch of version {version}; this Muster reads version {VERSION}", code="batch-version")
        return [_row(prefix, first_ms, names, row) for row in rows]
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise Invalid(f"this is no batch of interactions: {error}", code="batch-malformed") from None


def _row(prefix: str, first_ms: int, names: list[str], row: list[Any]) -> Interaction:
    kind, n, after_ms, who = row[:4]
    id_ = n if isinstance(n, str) else f"{prefix}-{n}"
    at_ms = first_ms + after_ms
    if kind == MOVE:
        return Move(id_, at_ms, names[who], row[4] / DEGREES, row[5] / DEGREES)
    if kind == ATTACK:
        return Attack(id_, at_ms, names[who], names[row[4]], row[5])
    if kind == ACTION:
        return Action(id_, at_ms, names[who], names[row[4]])
    raise ValueError(f"row of kind {kind!r}")


def count(interactions: Iterable[Interaction]) -> dict[tuple[int, str], int]:
    """How many interactions each player did in each slot of time of the activity board."""
    counts: dict[tuple[int, str], int] = {}
    for one in interactions:
        key = (slot_of(one.at_ms), one[2])
        counts[key] = counts.get(key, 0) + 1
    return counts


class Views:
    """The latest attack of each pair, the latest move and state of each player: what is to be written next."""

    __slots__ = ("attacks", "moves", "states")

    def __init__(self) -> None:
        self.attacks: dict[tuple[str, str], Attack] = {}
        self.moves: dict[str, Move] = {}
        self.states: dict[str, dict[str, str]] = {}

    def __len__(self) -> int:
        return len(self.attacks) + len(self.moves) + len(self.states)

    def add(self, interactions: Iterable[Interaction]) -> None:
        """Let interactions, oldest first, take the place of what they follow."""
        for one in interactions:
            if isinstance(one, Move):
                self.moves[one.player] = one
            elif isinstance(one, Attack):
                self.attacks[one.attacker, one.target] = one

    def put_back(self, older: Views) -> None:
        """Take back views that could not be written; where there is a newer one, it stays."""
        self.attacks = older.attacks | self.attacks
        self.moves = older.moves | self.moves
        self.states = older.states | self.states


def state_fields(state: Mapping[str, Any], match: str, at_ms: int) -> dict[str, str]:
    """A player's state as the fields of its hash (row A4); numbers shortened, lists as JSON."""
    fields = {name: _text(value) for name, value in state.items()}
    return {**fields, "match": match, "at": iso(at_ms)}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(round(value, 7))
    return orjson.dumps(value).decode()


def view_calls(game: str, views: Views, *, move_ttl_s: int) -> Iterator[Call]:
    """The calls of `views_write` that write `views`: by shard of the player, at most MAX_VIEWS keys each."""
    shards: dict[str, Views] = {}
    for pair, attack in views.attacks.items():
        shards.setdefault(keys.shard(game, attack.attacker), Views()).attacks[pair] = attack
    for player, move in views.moves.items():
        shards.setdefault(keys.shard(game, player), Views()).moves[player] = move
    for player, state in views.states.items():
        shards.setdefault(keys.shard(game, player), Views()).states[player] = state
    for base, shard in shards.items():
        items: list[Attack | Move | tuple[str, dict[str, str]]] = [*shard.attacks.values(), *shard.moves.values()]
        items += shard.states.items()
        for start in range(0, len(items), MAX_VIEWS):
            yield base, _view_args(items[start : start + MAX_VIEWS], move_ttl_s)


def _view_args(items: list[Attack | Move | tuple[str, dict[str, str]]], move_ttl_s: int) -> tuple[str | int, ...]:
    attacks: list[str] = []
    moves: list[str] = []
    states: list[str | int] = []
    n_states = 0
    for item in items:
        if isinstance(item, Attack):
            attacks += (item.attacker, item.target, item.id, _text(item.damage), iso(item.at_ms))
        elif isinstance(item, Move):
            moves += (item.player, item.id, _text(item.lat), _text(item.lon), iso(item.at_ms))
        else:
            player, fields = item
            states += (player, len(fields))
            for name, value in fields.items():
                states += (name, value)
            n_states += 1
    sizes = (len(attacks) // 5, len(moves) // 5, n_states)
    return (move_ttl_s, VIEW_TTL_S, *sizes, *attacks, *moves, *states)
