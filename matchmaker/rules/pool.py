"""The tickets that wait under one rule set, as columns.

Each number, word, list or latency a fact looks at is an array over rows, written once when a ticket comes and read by
every pass, so a pass touches no ticket object before it has found a match. Rows of removed tickets are used again.
Owned by one task; nothing here awaits, so a pass sees a consistent pool.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.model import Waiting
from core.rules.attributes import Party
from core.rules.model import RuleSet
from matchmaker.rules.facts import Cap, Count, Facts, Floats, Range, Same, Shared, Window, Word, facts_of
from matchmaker.rules.limits import Limits

MIXED: Final = -1  # code of a word on which a party's players differ
MAX_BITS: Final = 64  # distinct strings a `Shared` column can tell apart; with more, the evaluator alone decides
MAX_NAMES: Final = 64  # regions, or keys of a map, that get a column; strangers' names must not grow the pool
CODES_PER_TICKET: Final = 8  # words remembered beyond this share of the pool belong to tickets long gone
_FIRST: Final = 256  # rows allocated at once
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Backfill:
    """A running match that asks for players. `teams` are those already there, by team, as the tickets they came on."""

    id: str
    since_ms: int
    teams: Mapping[str, list[Waiting]]


@dataclass(frozen=True, slots=True)
class Running:
    """A `Backfill` as the search sees it."""

    id: str
    since_ms: int
    teams: Mapping[str, tuple[Party, ...]]


class Matrix:
    """A float column for every name met so far (regions, or the keys of a map); `missing` where a ticket has none."""

    __slots__ = ("missing", "names", "values")

    def __init__(self, missing: float, rows: int = _FIRST) -> None:
        self.missing = missing
        self.names: dict[str, int] = {}
        self.values: Floats = np.full((rows, 0), missing)

    def put(self, row: int, found: Mapping[str, float]) -> bool:
        """Write a row. False if a name found no room: the ticket is then treated as if it had not given it."""
        new = [name for name in found if name not in self.names][: MAX_NAMES - len(self.names)]
        if new:
            more = np.full((len(self.values), len(new)), self.missing)
            self.values = np.hstack((self.values, more))
            self.names |= {name: len(self.names) + i for i, name in enumerate(new)}
        self.values[row] = self.missing
        for name, value in found.items():
            if name in self.names:
                self.values[row, self.names[name]] = value
        return all(name in self.names for name in found)

    def grow(self, rows: int) -> None:
        more = np.full((rows - len(self.values), self.values.shape[1]), self.missing)
        self.values = np.vstack((self.values, more))


class Pool:
    """Waiting tickets and backfills under `rules`. A change of rules needs a new pool (`Pool.of`)."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.facts: Facts = facts_of(rules)
        self.parties: list[Party | None] = [None] * _FIRST
        self.ids: list[str] = [""] * _FIRST
        self.rows: dict[str, int] = {}
        self.running: dict[str, Running] = {}
        self.alive: NDArray[np.bool_] = np.zeros(_FIRST, dtype=np.bool_)
        self.since: NDArray[np.int64] = np.zeros(_FIRST, dtype=np.int64)
        self.size: NDArray[np.int64] = np.zeros(_FIRST, dtype=np.int64)
        self.tie: NDArray[np.int64] = np.zeros(_FIRST, dtype=np.int64)  # orders tickets of the same millisecond
        self.serial: NDArray[np.int64] = np.zeros(_FIRST, dtype=np.int64)  # of the ticket in the row, as they came
        self.came = 0  # tickets so far
        self.numbers: dict[tuple[str, str], Floats] = {}
        self.words: dict[str, NDArray[np.int64]] = {}
        self.bits: dict[tuple[str, str], NDArray[np.uint64]] = {}
        self.counts: dict[tuple[str, str, str], NDArray[np.int64]] = {}
        self.latencies: dict[str, Matrix] = {}
        self.maps: dict[tuple[str, str], Matrix] = {}
        self.codes: dict[str, dict[str, int]] = {}
        self._free = list(range(_FIRST - 1, -1, -1))
        self._unplaced = 0  # tickets with regions or keys that had no column left
        self._columns()
        self._limits = Limits(rules, self.facts, frozenset())

    @classmethod
    def of(cls, rules: RuleSet, tickets: Iterable[Waiting]) -> Pool:
        """A pool that holds `tickets`. Raises Invalid for one that does not fit the rules."""
        pool = cls(rules)
        for ticket in tickets:
            pool.add(ticket)
        return pool

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, ticket_id: str) -> bool:
        return ticket_id in self.rows

    def add(self, ticket: Waiting) -> None:
        """Take a ticket in; one of the same id is replaced. Raises Invalid if an attribute does not fit."""
        party = Party(self.rules, ticket)
        self.remove(ticket.id)
        if not self._free:
            self._grow()
        row = self._free.pop()
        self.rows[ticket.id], self.ids[row], self.parties[row] = row, ticket.id, party
        self.alive[row], self.since[row], self.size[row] = True, party.since_ms, party.size
        self.tie[row] = zlib.crc32(ticket.id.encode())
        self.came += 1
        self.serial[row] = self.came
        self._fill(row, party)
        stale = max(1024, CODES_PER_TICKET * len(self.rows))
        if self._unplaced > stale or any(len(codes) > stale for codes in self.codes.values()):
            self._forget()

    def remove(self, ticket_id: str) -> bool:
        """Let a ticket go; False if it is not here."""
        row = self.rows.pop(ticket_id, None)
        if row is None:
            return False
        self.alive[row], self.parties[row] = False, None
        self._free.append(row)
        return True

    def limits(self) -> Limits:
        """What the rules say of the tickets that are here now."""
        over = frozenset(attribute for attribute, codes in self.codes.items() if len(codes) > MAX_BITS)
        if over != self._limits.over:
            self._limits = Limits(self.rules, self.facts, over)
        return self._limits

    @property
    def players(self) -> int:
        """How many wait."""
        return int(self.size[self.alive].sum())

    def relaxes_ms(self, now_ms: int) -> int | None:
        """When the next expansion step opens for a ticket that waits, or a match that asks; None where none will."""
        asking = np.array([request.since_ms for request in self.running.values()], dtype=self.since.dtype)
        since = np.concatenate((self.since[self.alive], asking))
        opens = (since + opens_ms for opens_ms in self.rules.opens_ms)
        due = (each[each > now_ms] for each in opens)
        return min((int(each.min()) for each in due if len(each)), default=None)

    def backfill(self, request: Backfill) -> None:
        """Take a running match's request in; a newer one of the same id replaces the older."""
        teams = {
            team.name: tuple(Party(self.rules, ticket) for ticket in request.teams.get(team.name, ()))
            for team in self.rules.stages[0].teams
        }
        self.running[request.id] = Running(request.id, request.since_ms, teams)

    def withdraw(self, request_id: str) -> bool:
        """Let a backfill request go; False if it is not here."""
        return self.running.pop(request_id, None) is not None

    def party(self, row: int) -> Party:
        found = self.parties[row]
        assert found is not None, "only living rows are asked for"
        return found

    def count_of(self, party: Party, shape: Count) -> int:
        """What a party adds to a `Count`."""
        return self._count(party, shape.attribute, shape.how, shape.word)

    def _count(self, party: Party, attribute: str, how: str, word: str) -> int:
        """One list that holds the word; or of plain strings, the players who have it."""
        if self.rules.attributes[attribute].type == "string_list":
            return int(word in party.strings(attribute, how))
        return sum(player.attributes[attribute] == word for player in party.players)

    def _columns(self) -> None:
        """Allocate what facts, sorts and batching look at."""
        first = self.rules.stages[0]
        types = {name: attribute.type for name, attribute in self.rules.attributes.items()}
        wanted: set[tuple[str, str]] = {(sort.attribute, sort.party) for sort in first.sorts}
        wanted |= {(name, "avg") for stage in self.rules.stages for name in stage.algorithm.sort_by}
        wanted |= {(name, "avg") for name in (self.facts.balance, self.facts.near) if name}
        for fact in self.facts.facts:
            match fact.shape:
                case Window(attribute, how) | Range(attribute, how):
                    wanted.add((attribute, how))
                    if isinstance(fact.shape, Window) and fact.shape.unless is not None:
                        wanted.add((fact.shape.unless[0], "avg"))
                case Same(attribute) | Word(attribute):
                    wanted.add((attribute, "avg"))
                case Cap(how):
                    self.latencies[how] = Matrix(math.inf)
                case Shared(attribute, how):
                    self.bits[attribute, how] = np.zeros(_FIRST, dtype=np.uint64)
                case Count(attribute, how, word):
                    self.counts[attribute, how, word] = np.zeros(_FIRST, dtype=np.int64)
        self.latencies = self.latencies or {"avg": Matrix(math.inf)}  # a region is proposed even without a rule
        for attribute, how in wanted:
            if types[attribute] == "number":
                self.numbers[attribute, how] = np.zeros(_FIRST)
            elif types[attribute] == "string":
                self.words[attribute] = np.zeros(_FIRST, dtype=np.int64)
            elif types[attribute] == "string_number_map":
                self.maps[attribute, how] = Matrix(math.nan)

    def _fill(self, row: int, party: Party) -> None:
        """Write a party's values into every column."""
        for (attribute, how), numbers in self.numbers.items():
            numbers[row] = party.number(attribute, how)
        for attribute, words in self.words.items():
            found = {str(player.attributes[attribute]) for player in party.players}
            words[row] = self._code(attribute, found.pop()) if len(found) == 1 else MIXED
        for (attribute, how), bits in self.bits.items():
            codes = [self._code(attribute, word) for word in party.strings(attribute, how)]
            bits[row] = sum(1 << code for code in codes if code < MAX_BITS)
        for (attribute, how, word), counts in self.counts.items():
            counts[row] = self._count(party, attribute, how, word)
        for how, latencies in self.latencies.items():
            self._unplaced += not latencies.put(row, party.latencies(how))
        for (attribute, how), matrix in self.maps.items():
            keys = {key for player in party.players for key in player.attributes[attribute]}  # type: ignore[union-attr]
            found_at = {key: party.mapped(attribute, key, how) for key in sorted(keys)}
            self._unplaced += not matrix.put(row, {k: value for k, value in found_at.items() if value is not None})

    def _code(self, attribute: str, word: str) -> int:
        """A small number for a string, the same as long as the pool lives."""
        codes = self.codes.setdefault(attribute, {})
        return codes.setdefault(word, len(codes))

    def _forget(self) -> None:
        """Drop the words, regions and keys of tickets long gone, and write the living again."""
        self.codes.clear()
        self._unplaced = 0
        for how in self.latencies:
            self.latencies[how] = Matrix(math.inf, len(self.parties))
        for key in self.maps:
            self.maps[key] = Matrix(math.nan, len(self.parties))
        for row in self.rows.values():
            self._fill(row, self.party(row))

    def _grow(self) -> None:
        """Double the rows."""
        old = len(self.parties)
        self.parties += [None] * old
        self.ids += [""] * old
        self._free = list(range(2 * old - 1, old - 1, -1))
        self.alive, self.since = _doubled(self.alive), _doubled(self.since)
        self.size, self.tie, self.serial = _doubled(self.size), _doubled(self.tie), _doubled(self.serial)
        self.numbers = {key: _doubled(column) for key, column in self.numbers.items()}
        self.words = {key: _doubled(column) for key, column in self.words.items()}
        self.bits = {key: _doubled(column) for key, column in self.bits.items()}
        self.counts = {key: _doubled(column) for key, column in self.counts.items()}
        for matrix in (*self.latencies.values(), *self.maps.values()):
            matrix.grow(2 * old)


def _doubled(column: NDArray[T]) -> NDArray[T]:
    return np.concatenate((column, np.zeros_like(column)))
