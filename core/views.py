"""Views: the latest attack of each pair, position and state of each player, as they follow from the log. PURE.

What a view shows is the newest of its kind: by its time, then by the number in its id. `views_write` keeps that order
too and leaves a newer view alone, so writing is the same in whatever order, however often and from wherever it is done:
a repeat, a second server, or `muster rebuild` beside running matches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from core import keys
from core.clock import iso
from core.interactions import Attack, Columns, Fields, Move, States

MAX_VIEWS: Final = 50  # keys written by one call, half a millisecond: Redis serves others in between
VIEW_TTL_S: Final = 90_000  # attacks and states: as long as the activity board looks back, and the hour of views_write

EXACT: Final = 1e8  # numbers smaller than this are whole, and exact, when they are multiplied by 1e7
_WHOLE: Final = 1.5 * 2.0**52  # added and taken away again it rounds to the nearest whole number, the even one of two

Call = tuple[str, tuple[str | int, ...]]  # base key and arguments of a Redis function
K = TypeVar("K")
V = TypeVar("V")


class State(NamedTuple):
    """A player's hash (row A4)."""

    match: str
    at_ms: int
    fields: tuple[str, ...]
    values: tuple[str, ...]


class Views:
    """The newest attacks, moves and states: what is to be written next."""

    __slots__ = ("attacks", "first_ms", "last_ms", "moves", "states")

    def __init__(self) -> None:
        self.attacks: dict[tuple[str, str], Attack] = {}
        self.moves: dict[str, Move] = {}
        self.states: dict[str, State] = {}
        self.first_ms = 0  # time of the oldest interaction taken in, and of the newest
        self.last_ms = 0

    def __len__(self) -> int:
        return len(self.attacks) + len(self.moves) + len(self.states)

    def add(self, columns: Columns) -> None:
        """Let interactions take the place of what they follow. A kind with a view of its own is added here."""
        # A clock that went back, and times that a caller chose, are the exception.
        in_order = columns.short is not None and columns.in_order and self.last_ms <= columns.runs[0][0]
        if moves := columns.newest.get("m"):
            _take(self.moves, moves if in_order else ((one.player, one) for one in columns.rows["m"]), in_order)
        if "a" in columns.rows:
            attackers, targets, _ = columns.values["a"]
            _take(self.attacks, zip(zip(attackers, targets, strict=True), columns.rows["a"], strict=True), in_order)
        if columns.runs:
            times = [ms for ms, _ in columns.runs]
            self.first_ms = min(self.first_ms or times[0], *times)
            self.last_ms = max(self.last_ms, *times)

    def add_states(self, states: States, match: str) -> None:
        """Take in hashes of players in `match`."""
        at_ms, fields = states.at_ms, states.fields
        _merge_states(self.states, {row[0]: State(match, at_ms, fields, tuple(row[1:])) for row in states.rows})

    def follow(self, newer: Views) -> None:
        """Take in views that were folded after these."""
        if newer.first_ms > self.last_ms:  # the rule: no need to look at each
            self.attacks.update(newer.attacks)
            self.moves.update(newer.moves)
        else:
            _merge(self.attacks, newer.attacks)
            _merge(self.moves, newer.moves)
        _merge_states(self.states, newer.states)
        self.first_ms = min(self.first_ms, newer.first_ms) or newer.first_ms
        self.last_ms = max(self.last_ms, newer.last_ms)

    def put_back(self, older: Views) -> None:
        """Take back views that could not be written; where there is a newer one, it stays."""
        self.attacks, newer_attacks = older.attacks, self.attacks
        self.moves, newer_moves = older.moves, self.moves
        _merge(self.attacks, newer_attacks)
        _merge(self.moves, newer_moves)
        self.states, newer_states = older.states, self.states
        _merge_states(self.states, newer_states)

    def take(self, most: int) -> Views:
        """Take out at most `most` of each kind, those that have waited longest."""
        taken = Views()
        taken.first_ms, taken.last_ms = self.first_ms, self.last_ms
        taken.attacks, self.attacks = _part(self.attacks, most)
        taken.moves, self.moves = _part(self.moves, most)
        taken.states, self.states = _part(self.states, most)
        return taken


def _order(one: Attack | Move) -> tuple[int, int, str]:
    # Ids of one writer end in a number: the longer one is the later one.
    return one.at_ms, len(one.id), one.id


def _take(into: dict[K, Any], found: Mapping[K, Any] | Iterable[tuple[K, Any]], in_order: bool) -> None:
    if in_order:
        into.update(found)
    else:
        pairs = found.items() if isinstance(found, Mapping) else found
        _merge(into, dict(sorted(pairs, key=lambda pair: _order(pair[1]))))


def _merge(into: dict[K, Any], newer: dict[K, Any]) -> None:
    for name, one in newer.items():
        old = into.get(name)
        if old is None or old.at_ms < one.at_ms or _order(old) <= _order(one):
            into[name] = one


def _merge_states(into: dict[str, State], newer: Mapping[str, State]) -> None:
    for player, one in newer.items():
        old = into.get(player)
        if old is None or (old.at_ms, old.match) <= (one.at_ms, one.match):
            into[player] = one


def _part(whole: dict[K, V], most: int) -> tuple[dict[K, V], dict[K, V]]:
    if len(whole) <= most:
        return whole, {}
    items = iter(whole.items())
    return dict(islice(items, most)), dict(items)


def make_states(states: Mapping[str, Mapping[str, Any]], at_ms: int) -> list[States]:
    """Present states by player, as they are packed: numbers shortened, lists as JSON, grouped by their fields."""
    groups: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for player, state in states.items():
        groups.setdefault(tuple(state), []).append((player, *state.values()))
    return [States(at_ms, fields, _texts(rows)) for fields, rows in groups.items()]


def _texts(rows: Sequence[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    """Rows of values as they are stored: a column at a time, as most columns have one type."""
    columns: list[Sequence[str]] = []
    for column in zip(*rows, strict=True):
        types = set(map(type, column))
        if types == {float}:
            columns.append(decimals(column))
        elif types == {int}:
            columns.append(list(map(str, column)))
        elif types == {str}:
            columns.append(column)
        else:
            columns.append([_text(v) for v in column])
    return list(zip(*columns, strict=True))


def decimals(numbers: Sequence[float]) -> list[str]:
    """Numbers with seven decimals at most. The text of each depends on it alone.

    Many at once cost a sixth of what `repr(round(number, 7))` does, which goes through decimal digits twice.
    """
    if not numbers:
        return []
    if max(numbers) < EXACT and min(numbers) > -EXACT:
        text = orjson.dumps([(x * 1e7 + _WHOLE - _WHOLE) / 1e7 for x in numbers])
        if b"n" not in text:  # a NaN, which no comparison sees, is null
            return text[1:-1].decode().split(",")
    return [decimals([x])[0] if -EXACT < x < EXACT else repr(round(x, 7)) for x in numbers]


def state_fields(state: State) -> Fields:
    """The fields of a player's hash."""
    return {**dict(zip(state.fields, state.values, strict=True)), "match": state.match, "at": iso(state.at_ms)}


def _text(value: Any) -> str:
    if type(value) is float:
        return decimals([value])[0]
    if type(value) is int:  # of any size
        return str(value)
    return value if isinstance(value, str) else orjson.dumps(value).decode()


_moment = lru_cache(maxsize=256)(iso)  # many views of a beat have few times


def by_shard(game: str, views: Views) -> dict[str, Views]:
    """Views apart by where they are written: the base of the shard of who acted."""
    shards: dict[str, Views] = {}

    def part(player: str) -> Views:
        base = keys.shard(game, player)
        found = shards.get(base)
        if found is None:
            found = shards[base] = Views()
            found.first_ms, found.last_ms = views.first_ms, views.last_ms
        return found

    for pair, attack in views.attacks.items():
        part(attack.attacker).attacks[pair] = attack
    for player, move in views.moves.items():
        part(player).moves[player] = move
    for player, state in views.states.items():
        part(player).states[player] = state
    return shards


def shard_calls(base: str, views: Views, *, move_ttl_ms: int, keep_ms: int = VIEW_TTL_S * 1000) -> Iterator[Call]:
    """The calls of `views_write` that write views of one shard, at most MAX_VIEWS keys each."""
    attacks, moves, states = list(views.attacks.values()), list(views.moves.values()), list(views.states.items())
    while attacks or moves or states:
        room = MAX_VIEWS - len(attacks)
        head = move_ttl_ms, keep_ms
        yield base, head + _view_args(attacks[:MAX_VIEWS], moves[: max(0, room)], states[: max(0, room - len(moves))])
        attacks, moves, states = attacks[MAX_VIEWS:], moves[max(0, room) :], states[max(0, room - len(moves)) :]


def view_calls(game: str, views: Views, *, move_ttl_ms: int, keep_ms: int = VIEW_TTL_S * 1000) -> Iterator[Call]:
    """The calls of `views_write` that write `views`, by shard of the player."""
    for base, part in by_shard(game, views).items():
        yield from shard_calls(base, part, move_ttl_ms=move_ttl_ms, keep_ms=keep_ms)


def round_trips(calls: Sequence[Call]) -> Iterator[Sequence[Call]]:
    """Calls in pieces of about MAX_VIEWS keys: what is sent at once, so that whoever reads waits for no more."""
    some: list[Call] = []
    size = 0
    for call in calls:
        some.append(call)
        size += sum(map(int, call[1][2:5]))
        if size >= MAX_VIEWS:
            yield some
            some, size = [], 0
    if some:
        yield some


def _view_args(
    attacks: Sequence[Attack], moves: Sequence[Move], states: Sequence[tuple[str, State]]
) -> tuple[str | int, ...]:
    args: list[str | int] = [len(attacks), len(moves), len(states)]
    for hit, damage in zip(attacks, decimals([float(hit.damage) for hit in attacks]), strict=True):
        args += (hit.attacker, hit.target, hit.id, damage, _moment(hit.at_ms))
    lats, lons = decimals([float(move.lat) for move in moves]), decimals([float(move.lon) for move in moves])
    for move, lat, lon in zip(moves, lats, lons, strict=True):
        args += (move.player, move.id, lat, lon, _moment(move.at_ms))
    before: tuple[str, ...] | None = None
    for player, (match, at_ms, fields, values) in states:
        if fields == before:
            args += (player, match, _moment(at_ms), "", *values)
        else:
            args += (player, match, _moment(at_ms), len(fields), *fields, *values)
            before = fields
    return tuple(args)
