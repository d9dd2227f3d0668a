"""One pass over a pool: what is still free, at which stage each ticket is, and what stood in whose way.

A `Run` is made for a pass and thrown away; the pool itself is never changed by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from core.rules.attributes import Party
from matchmaker.rules.evaluate import first_failure
from matchmaker.rules.facts import Cap, Count, Floats, Range, Same, Shared, Window, Word
from matchmaker.rules.limits import Limits
from matchmaker.rules.pool import Pool

EVALUATIONS: Final = 6_000  # candidate matches one pass may put to the evaluator, about 0.1 ms each
Rows = NDArray[np.int64]
Bools = NDArray[np.bool_]
N = TypeVar("N", bound=np.generic)


class Match(Struct, frozen=True, gc=False):
    """A legal match the pass has found: the rows of each team, its stage, the backfill it fills, if any."""

    teams: tuple[tuple[int, ...], ...]
    stage: int
    backfill: str | None = None


@dataclass(slots=True)
class Tally:
    """What a pass counts: for each rule how often it stood in the way, and the work done."""

    rejections: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    searches: int = 0
    evaluations: int = 0


class Run:
    """The state of one pass."""

    def __init__(self, pool: Pool, now_ms: int, seed: int) -> None:
        self.pool, self.rules, self.now_ms = pool, pool.rules, now_ms
        self._seed = seed
        self.tally = Tally()
        self._limits(pool.limits())
        self.left: Bools = pool.alive.copy()
        self.stage: Rows = self.opens.searchsorted(now_ms - pool.since, side="right").astype(np.int64)
        living = np.flatnonzero(pool.alive)
        self.by_age: Rows = living[np.lexsort((pool.tie[living], pool.since[living]))]
        self._free = self.by_age
        self.rejected: NDArray[np.int32] = np.zeros((len(pool.alive), len(self.facts) + 1), dtype=np.int32)
        self.other: Floats = np.zeros((len(pool.alive), len(self.facts)))
        self.failures: dict[int, dict[str, int]] = {}
        self.searched = -1  # the row that was searched around in vain already
        self.cards: dict[int, Any] = {}  # by row, as `state.cards` makes them
        self.empty: Any = None  # a match without tickets, as `state.first_state` makes it
        self.vain: dict[bytes, int] = {}  # how often these rows (sorted) were searched, and nothing found
        self.barren: Bools = np.zeros(len(pool.alive), dtype=np.bool_)  # no match with any who are free holds these

    @cached_property
    def rng(self) -> np.random.Generator:
        """All chance of the pass; few passes need any."""
        return np.random.default_rng(self._seed)

    def _limits(self, limits: Limits) -> None:
        """What the rules say, at hand: a search looks at these thousands of times."""
        self.newest, self.opens, self.names = limits.newest, limits.opens, limits.names
        self.least, self.most = limits.least, limits.most
        self.seats, self.must_fill = limits.seats, limits.must_fill
        self.loose_least, self.loose_most = limits.loose_least, limits.loose_most
        self.fewest, self.needs = limits.fewest, limits.needs
        self.facts, self.residual, self.by_kind = limits.facts, limits.residual, limits.by_kind
        self.low, self.high = limits.low, limits.high
        self.twins, self.doors, self.groups_of = limits.twins, limits.doors, limits.groups_of
        self.widest, self.most_players = limits.widest, limits.most_players
        self.wants, self.claims = limits.wants, limits.claims

    def free(self) -> Rows:
        """The rows not matched yet, oldest first."""
        self._free = self._free[self.left[self._free]]
        return self._free

    def column(self, index: int) -> Floats:
        """The column of numbers behind a Window or Range."""
        shape = self.facts[index].shape
        assert isinstance(shape, Window | Range)
        return self.pool.numbers[shape.attribute, shape.how]

    def exempt(self, index: int, rows: Rows) -> Bools:
        """Which of `rows` a Window does not bind as long as they are among themselves."""
        shape = self.facts[index].shape
        assert isinstance(shape, Window)
        if shape.unless is None:
            return np.zeros(rows.shape, dtype=np.bool_)
        attribute, word = shape.unless
        found: Bools = self.pool.words[attribute][rows] == self.pool.codes.get(attribute, {}).get(word, -2)
        return found

    def words(self, index: int) -> Rows:
        """The column of codes behind a Same."""
        shape = self.facts[index].shape
        assert isinstance(shape, Same | Word)
        return self.pool.words[shape.attribute]

    def listed(self, index: int) -> NDArray[np.uint64]:
        """The column of bits behind a Shared."""
        shape = self.facts[index].shape
        assert isinstance(shape, Shared)
        return self.pool.bits[shape.attribute, shape.how]

    def latencies(self, index: int) -> Floats:
        """Rows by regions, in ms; infinite where a ticket did not report a region."""
        shape = self.facts[index].shape
        assert isinstance(shape, Cap)
        return self.pool.latencies[shape.how].values

    def fitting(self, index: int, rows: Rows, stages: Rows) -> Bools:
        """Which of `rows` meet a Range or Word at `stages`."""
        shape, fact = self.facts[index].shape, self.facts[index]
        if isinstance(shape, Range):
            numbers = self.column(index)[rows]
            return (numbers >= fact.low[stages]) & (numbers <= fact.high[stages])
        assert isinstance(shape, Word)
        code = self.pool.codes.get(shape.attribute, {}).get(shape.word, -2)
        found: Bools = self.pool.words[shape.attribute][rows] == code
        return ~found if shape.negated else found

    def added(self, index: int, rows: Rows) -> Rows:
        """What each of `rows` adds to a Count."""
        shape = self.facts[index].shape
        assert isinstance(shape, Count)
        return self.pool.counts[shape.attribute, shape.how, shape.word][rows]

    def meant(self, index: int) -> Bools:
        """The teams a Range or Word speaks of."""
        shape = self.facts[index].shape
        assert isinstance(shape, Range | Word)
        return np.array([name in shape.teams for name in self.names])

    def may_fit(self, index: int, row: int, stage: int) -> bool:
        """Whether a ticket may meet a Range or Word at some stage the match may still reach."""
        if isinstance(self.facts[index].shape, Range):
            number = self.column(index)[row]
            return bool(self.low[index][stage] <= number <= self.high[index][stage])
        return bool(self.fitting(index, np.array([row]), np.array([stage]))[0])

    def reject(self, index: int, rows: Rows, other: Floats | float) -> None:
        """Note that a fact turned `rows` (each at most once) away, and the value it held against them."""
        if len(rows):
            self.rejected[rows, index] += 1
            self.other[rows, index] = other
            rule = self.facts[index].rule
            self.tally.rejections[rule] = self.tally.rejections.get(rule, 0) + len(rows)

    def blame(self, index: int, row: int, times: int, other: float) -> None:
        """Note that a fact kept `times` tickets away from the one in `row`; `other` is the nearest of theirs."""
        self.rejected[row, index] += times
        self.other[row, index] = other
        rule = self.facts[index].rule
        self.tally.rejections[rule] = self.tally.rejections.get(rule, 0) + times

    def crowded(self, rows: Rows) -> None:
        """Note that no team had places enough for `rows` (each at most once)."""
        if len(rows):
            self.rejected[rows, -1] += 1
            self.tally.rejections["teams"] = self.tally.rejections.get("teams", 0) + len(rows)

    def fail(self, row: int, rule: str) -> None:
        """Note that the evaluator refused a candidate match of the ticket in `row` for `rule`."""
        seen = self.failures.setdefault(row, {})
        seen[rule] = seen.get(rule, 0) + 1
        self.tally.rejections[rule] = self.tally.rejections.get(rule, 0) + 1

    def judge(self, teams: Sequence[Sequence[int]], stage: int, there: Sequence[Sequence[Party]] = ()) -> str | None:
        """Put a candidate match to the evaluator: the rule that refuses it, or None. `there` are those in a match."""
        self.tally.evaluations += 1
        parties = [[self.pool.party(row) for row in rows] for rows in teams]
        if there:
            parties = [[*old, *new] for old, new in zip(there, parties, strict=True)]
        return first_failure(self.rules.stages[stage], dict(zip(self.names, parties, strict=True)))

    @property
    def spent(self) -> bool:
        """Whether the pass has used up its evaluations."""
        return self.tally.evaluations >= EVALUATIONS

    def stage_of(self, rows: list[int]) -> int:
        """The stage of a match of the tickets in `rows`."""
        stages = self.stage[rows]
        return int(stages.min() if self.newest else stages.max())

    def take(self, match: Match) -> Match:
        """Its tickets are no longer free."""
        for rows in match.teams:
            self.left[list(rows)] = False
        return match
