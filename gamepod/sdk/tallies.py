"""What a game counts: counters, lists and connected players. PURE.

Counters and lists are those that the game is registered with, as in Agones; a game cannot make new ones. Where the
reference's server has no better word for a refusal than UNKNOWN, so has this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from core.model import CounterSpec, ListSpec
from gamepod.sdk.answers import INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNKNOWN, CallRefused

MAX_INT64: Final = 2**63 - 1
MAX_LIST_CAPACITY: Final = 1_000  # Agones' bound
MAX_VALUE_CHARS: Final = 256  # of a list's value, or a player's id
MAX_CHARS: Final = 262_144  # of all values of all lists: a watcher is told all of them
MAX_PLAYERS: Final = 1_000  # connected at once, whatever the capacity
LIST_FIELDS: Final = ("capacity", "values")


class Counter(Struct):
    """`count` is between 0 and `capacity`."""

    count: int
    capacity: int


class ValueList(Struct):
    """Different values, at most `capacity`, in the order in which they came."""

    capacity: int
    values: list[str]


class Players(Struct):
    """Who is connected, as far as the game tells."""

    capacity: int
    ids: dict[str, None] = {}
    joins: int = 0  # how often somebody connected


class Tallies:
    """All of one server. Every method raises CallRefused where it cannot be, and then nothing has changed."""

    def __init__(self, counters: Mapping[str, CounterSpec], lists: Mapping[str, ListSpec], seats: int) -> None:
        """`seats` is the capacity for players to begin with."""
        self.counters = {name: Counter(it.count, it.capacity) for name, it in counters.items()}
        self.lists = {name: ValueList(it.capacity, list(it.values)) for name, it in lists.items()}
        self.players = Players(seats)
        self._chars = sum(len(value) for it in self.lists.values() for value in it.values)

    def told(self) -> dict[str, Any]:
        """All of it, as `recall` takes it."""
        return {
            "counters": {name: [it.count, it.capacity] for name, it in self.counters.items()},
            "lists": {name: [it.capacity, it.values] for name, it in self.lists.items()},
            "players": [self.players.capacity, list(self.players.ids), self.players.joins],
        }

    def recall(self, told: Mapping[str, Any]) -> None:
        """Be as `told` was; counters and lists that the game is not registered with are left out."""
        for name, (count, capacity) in told["counters"].items():
            if name in self.counters:
                self.counters[name] = Counter(count, capacity)
        for name, (capacity, values) in told["lists"].items():
            if name in self.lists:
                self.lists[name] = ValueList(capacity, values)
        capacity, ids, joins = told["players"]
        # In place: others look at these very players.
        self.players.capacity, self.players.ids, self.players.joins = capacity, dict.fromkeys(ids), joins
        self._chars = sum(len(value) for it in self.lists.values() for value in it.values)

    def counter(self, name: str) -> Counter:
        try:
            return self.counters[name]
        except KeyError:
            raise CallRefused(UNKNOWN, f"counter not found: {name[:64]}") from None

    def update_counter(self, name: str, count: int | None, capacity: int | None, diff: int) -> Counter:
        """Set the capacity, set the count, add to it: whichever are given, in this order."""
        counter = self.counter(name)
        if count is None and capacity is None and not diff:
            raise CallRefused(UNKNOWN, "invalid argument: give count, capacity or countDiff")
        most = counter.capacity if capacity is None else capacity
        if not 0 <= most <= MAX_INT64:
            raise CallRefused(UNKNOWN, f"out of range: capacity must be 0 or more; found {most}")
        # A smaller capacity takes the count with it; a count that is asked for is not changed silently.
        new = (min(counter.count, most) if count is None else count) + diff
        if not 0 <= new <= most:
            raise CallRefused(UNKNOWN, f"out of range: count must be within [0, {most}]; found {new}")
        counter.count, counter.capacity = new, most
        return counter

    def list_of(self, name: str) -> ValueList:
        try:
            return self.lists[name]
        except KeyError:
            raise CallRefused(UNKNOWN, f"list not found: {name[:64]}") from None

    def update_list(self, name: str, capacity: int, values: Sequence[str], mask: Sequence[str]) -> ValueList:
        """Set those of `capacity` and `values` that `mask` names. More values than there is room for are left out."""
        found = self.list_of(name)
        if not mask or not set(mask) <= {"name", *LIST_FIELDS}:
            raise CallRefused(UNKNOWN, f"invalid argument: the update mask names {' and '.join(LIST_FIELDS)}")
        most = capacity if "capacity" in mask else found.capacity
        if not 0 <= most <= MAX_LIST_CAPACITY:
            raise CallRefused(UNKNOWN, f"out of range: capacity must be within [0, {MAX_LIST_CAPACITY}]; found {most}")
        new = list(dict.fromkeys(values)) if "values" in mask else found.values
        for value in new:
            _check(value)
        new = new[:most]
        self._room(sum(map(len, new)) - sum(map(len, found.values)))
        found.capacity, found.values = most, new
        return found

    def add_value(self, name: str, value: str) -> ValueList:
        found = self.list_of(name)
        _check(value)
        if value in found.values:
            raise CallRefused(UNKNOWN, f"already exists: {value!r} is in list {name}")
        if len(found.values) >= found.capacity:
            raise CallRefused(UNKNOWN, f"out of range: list {name} has {found.capacity} values, its capacity")
        self._room(len(value))
        found.values.append(value)
        return found

    def remove_value(self, name: str, value: str) -> ValueList:
        found = self.list_of(name)
        if value not in found.values:
            raise CallRefused(UNKNOWN, f"not found: {value[:64]!r} is not in list {name}")
        found.values.remove(value)
        self._chars -= len(value)
        return found

    def _room(self, chars: int) -> None:
        if chars > 0 and self._chars + chars > MAX_CHARS:
            raise CallRefused(RESOURCE_EXHAUSTED, f"all lists together may have {MAX_CHARS} characters")
        self._chars += chars

    def connect(self, player: str) -> bool:
        """False where the player is connected already."""
        _check(player)
        if not player:
            raise CallRefused(INVALID_ARGUMENT, "a player has an id")
        if player in self.players.ids:
            return False
        if len(self.players.ids) >= self.players.capacity:
            raise CallRefused(UNKNOWN, f"players are already at capacity: {self.players.capacity}")
        if len(self.players.ids) >= MAX_PLAYERS:
            raise CallRefused(RESOURCE_EXHAUSTED, f"at most {MAX_PLAYERS} players are kept")
        self.players.ids[player] = None
        self.players.joins += 1
        return True

    def disconnect(self, player: str) -> bool:
        """False where the player is not connected."""
        if player not in self.players.ids:
            return False
        del self.players.ids[player]
        return True

    def set_player_capacity(self, capacity: int) -> None:
        if not 0 <= capacity <= MAX_INT64:
            raise CallRefused(INVALID_ARGUMENT, f"capacity must be 0 or more; found {capacity}")
        self.players.capacity = capacity


def _check(value: str) -> None:
    if len(value) > MAX_VALUE_CHARS:
        raise CallRefused(RESOURCE_EXHAUSTED, f"a value has at most {MAX_VALUE_CHARS} characters")
