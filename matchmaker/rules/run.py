"""One pass over a pool: what is still free, at which stage each ticket is, and what stood in whose way.

A `Run` is made for a pass and thrown away; the pool itself is never changed by one. Limits of facts are tables over
stages. A match's stage is that of its newest ticket (or oldest, if the rules say so), so it can still change while the
match grows: a fact's own limits hold for the stage reached, the loosened ones kept here (`low`, `high`, `loose_least`,
`loose_most`) for every stage it may still reach. Only loosened limits may cut a search short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from core.rules.attributes import Party
from core.rules.model import Stage
from matchmaker.rules.evaluate import first_failure
from matchmaker.rules.facts import Cap, Count, Fact, Floats, Range, Same, Shared, Window, Word, teams_mentioned
from matchmaker.rules.pool import MAX_BITS, Pool

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


class Counted(NamedTuple):
    """One group of a Count: its place among the Counts, its own among their groups, its loosest limits by stage."""

    place: int
    group: int
    low: list[float]
    high: list[float]


class Want(NamedTuple):
    """How often all teams together want what the Count `fact` counts: from `least` to `most`, for each stage."""

    fact: int
    least: Floats
    most: Floats
    counts: tuple[Counted, ...]


class Claim(NamedTuple):
    """Counts that no ticket's player can serve two of, so `teams` need a place for each that is missing."""

    teams: tuple[int, ...]
    counts: tuple[Counted, ...]


class Run:
    """The state of one pass."""

    def __init__(self, pool: Pool, now_ms: int, seed: int) -> None:
        self.pool, self.rules, self.now_ms = pool, pool.rules, now_ms
        self.rng = np.random.default_rng(seed)
        self.tally = Tally()
        self.left: Bools = pool.alive.copy()
        self.newest = pool.rules.stages[0].algorithm.age == "newest"
        opens = np.array(pool.rules.opens_ms, dtype=np.int64)
        self.stage: Rows = np.searchsorted(opens, now_ms - pool.since, side="right").astype(np.int64)
        stages = pool.rules.stages
        self.names = tuple(team.name for team in stages[0].teams)
        self.least: Rows = np.array([[team.least for team in stage.teams] for stage in stages], dtype=np.int64)
        self.most: Rows = np.array([[team.most for team in stage.teams] for stage in stages], dtype=np.int64)
        self.loose_least: Rows = self.loosened(self.least, np.minimum)
        self.loose_most: Rows = self.loosened(self.most, np.maximum)
        self._facts()
        living = np.flatnonzero(pool.alive)
        self.by_age: Rows = living[np.lexsort((pool.tie[living], pool.since[living]))]
        self._free = self.by_age
        self.rejected: NDArray[np.int32] = np.zeros((len(pool.alive), len(self.facts) + 1), dtype=np.int32)
        self.other: Floats = np.zeros((len(pool.alive), len(self.facts)))
        self.failures: dict[int, dict[str, int]] = {}
        self.searched = -1  # the row that was searched around in vain already
        self.vain: dict[bytes, int] = {}  # how often these rows (sorted) were searched, and nothing found
        self.barren: Bools = np.zeros(len(pool.alive), dtype=np.bool_)  # no match with any who are free holds these

    def _facts(self) -> None:
        """The facts that can be relied on today: a `Shared` column that ran out of bits is left to the evaluator."""
        pool = self.pool
        over = {a for a, codes in pool.codes.items() if len(codes) > MAX_BITS}
        usable, dropped = [], set()
        for fact in pool.facts.facts:
            if isinstance(fact.shape, Shared) and fact.shape.attribute in over:
                dropped.add(fact.rule)
            else:
                usable.append(fact)
        self.facts: tuple[Fact, ...] = tuple(usable)
        self.residual = pool.facts.residual | dropped
        kinds = (Window, Same, Range, Word, Cap, Shared, Count)
        self.by_kind = {kind: [i for i, f in enumerate(usable) if isinstance(f.shape, kind)] for kind in kinds}
        self.low = [self.loosened(fact.low, np.minimum) for fact in usable]
        self.high = [self.loosened(fact.high, np.maximum) for fact in usable]
        self.twins = _twins(self.rules.stages[0])
        self.doors = (*self.by_kind[Range], *self.by_kind[Word])
        self.widest: list[list[float]] = [table.tolist() for table in self.high]  # `high` for plain Python
        self.most_players: list[list[int]] = self.loose_most.tolist()
        # Of a Count, for each team: which of the groups it is in.
        self.groups_of: dict[int, list[tuple[bool, ...]]] = {}
        for index in self.by_kind[Count]:
            groups = usable[index].shape.groups  # type: ignore[union-attr]  # by_kind says it is a Count
            self.groups_of[index] = [tuple(name in group for group in groups) for name in self.names]
        self.wants, self.claims = tuple(_wants(self)), tuple(_claims(self))

    def loosened(self, table: NDArray[N], best: np.ufunc) -> NDArray[N]:
        """The loosest limit over the stages a match at stage s may still come to: down for newest, up for oldest."""
        turned = table if self.newest else table[::-1]
        loosest: NDArray[N] = best.accumulate(turned, axis=0)
        return loosest if self.newest else loosest[::-1]

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


def _wants(run: Run) -> Iterator[Want]:
    """The Counts of each word added up over teams that have none in common."""
    by_word: dict[tuple[str, str, str], list[tuple[int, tuple[str, ...], Counted]]] = {}
    for index, shape, counted in _counted(run):
        group = shape.groups[counted.group]
        by_word.setdefault((shape.attribute, shape.how, shape.word), []).append((index, group, counted))
    for found in by_word.values():
        least, most, seen, counts = np.zeros(len(run.least)), np.zeros(len(run.least)), set[str](), []
        for index, group, counted in found:
            if seen.isdisjoint(group):
                seen.update(group)
                least, most = least + run.facts[index].low, most + run.facts[index].high
                counts.append(counted)
        most = most if seen == set(run.names) else np.full(len(run.least), np.inf)
        yield Want(found[0][0], least, most, tuple(counts))


def _claims(run: Run) -> Iterator[Claim]:
    """A player has one string, so words of one attribute want a place each; of lists, each word is by itself."""
    together: dict[tuple[str, ...], list[Counted]] = {}
    for index, shape, counted in _counted(run):
        single = run.rules.attributes[shape.attribute].type == "string"
        key = (shape.attribute, "" if single else f"{index}", *shape.groups[counted.group])
        words = together.setdefault(key, [])
        if not any(run.by_kind[Count][other.place] != index and _same_word(run, other, shape) for other in words):
            words.append(counted)
    for (_, _, *teams), counts in together.items():
        yield Claim(tuple(run.names.index(team) for team in teams), tuple(counts))


def _same_word(run: Run, counted: Counted, shape: Count) -> bool:
    other = run.facts[run.by_kind[Count][counted.place]].shape
    return isinstance(other, Count) and other.word == shape.word


def _counted(run: Run) -> Iterator[tuple[int, Count, Counted]]:
    """Every group of every Count."""
    for place, index in enumerate(run.by_kind[Count]):
        shape = run.facts[index].shape
        assert isinstance(shape, Count)
        for group in range(len(shape.groups)):
            yield index, shape, Counted(place, group, run.low[index].tolist(), run.widest[index])


def _twins(stage: Stage) -> list[int]:
    """A number for each team; teams of one number are the same to every rule, so while empty one stands for all."""
    mentioned = [set(teams) for rule in stage.rules for teams in teams_mentioned(rule)]
    numbers: dict[object, int] = {}
    found = []
    for team in stage.teams:
        seen = tuple(i for i, teams in enumerate(mentioned) if team.name in teams)
        found.append(numbers.setdefault((team.definition, seen), len(numbers)))
    return found
