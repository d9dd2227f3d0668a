"""What a rule set says, as tables that every pass over a pool of its tickets looks at. PURE.

Limits of facts are tables over stages. A match's stage is that of its newest ticket (or oldest, if the rules say so),
so it can still change while the match grows: a fact's own limits hold for the stage reached, the loosened ones kept
here (`low`, `high`, `loose_least`, `loose_most`) for every stage it may still reach. Only loosened limits may cut a
search short. None of it changes while the rules stay, so that a pass over a few tickets need not make it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.rules.model import RuleSet, Stage
from matchmaker.rules.facts import Cap, Count, Fact, Facts, Floats, Range, Same, Shared, Window, Word, teams_mentioned

N = TypeVar("N", bound=np.generic)


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


class Limits:
    """See the module. `over` are attributes with more strings than a `Shared` column has bits for: the facts of these
    are left to the evaluator."""

    def __init__(self, rules: RuleSet, facts: Facts, over: frozenset[str]) -> None:
        self.rules, self.over = rules, over
        self.newest = rules.stages[0].algorithm.age == "newest"
        self.opens = np.array(rules.opens_ms, dtype=np.int64)
        stages = rules.stages
        self.names = tuple(team.name for team in stages[0].teams)
        self.least = np.array([[team.least for team in stage.teams] for stage in stages], dtype=np.int64)
        self.most = np.array([[team.most for team in stage.teams] for stage in stages], dtype=np.int64)
        self.seats = int(self.most.max(axis=0).sum())  # of a match at the most
        self.must_fill = bool((self.least == self.most).any())  # some team is to be full
        self.loose_least = self._loosened(self.least, np.minimum)
        self.fewest: list[int] = self.loose_least.sum(axis=1).tolist()  # players of a match
        # By stage: how many teams need a ticket each at least, and how many players they need together.
        self.needs = [(int((least > 0).sum()), float(least.sum())) for least in self.least]
        self.loose_most = self._loosened(self.most, np.maximum)
        dropped = {f.rule for f in facts.facts if isinstance(f.shape, Shared) and f.shape.attribute in over}
        self.facts: tuple[Fact, ...] = tuple(
            f for f in facts.facts if not (isinstance(f.shape, Shared) and f.shape.attribute in over)
        )
        self.residual = facts.residual | dropped
        kinds = (Window, Same, Range, Word, Cap, Shared, Count)
        self.by_kind = {kind: [i for i, f in enumerate(self.facts) if isinstance(f.shape, kind)] for kind in kinds}
        self.low = [self._loosened(fact.low, np.minimum) for fact in self.facts]
        self.high = [self._loosened(fact.high, np.maximum) for fact in self.facts]
        self.twins = _twins(stages[0])
        self.doors = (*self.by_kind[Range], *self.by_kind[Word])
        self.widest: list[list[float]] = [table.tolist() for table in self.high]  # `high` for plain Python
        self.most_players: list[list[int]] = self.loose_most.tolist()
        # Of a Count, for each team: which of the groups it is in.
        self.groups_of: dict[int, list[tuple[bool, ...]]] = {}
        for index in self.by_kind[Count]:
            groups = self.facts[index].shape.groups  # type: ignore[union-attr]  # by_kind says it is a Count
            self.groups_of[index] = [tuple(name in group for group in groups) for name in self.names]
        self.wants, self.claims = tuple(_wants(self)), tuple(_claims(self))

    def _loosened(self, table: NDArray[N], best: np.ufunc) -> NDArray[N]:
        """The loosest limit over the stages a match at stage s may still come to: down for newest, up for oldest."""
        turned = table if self.newest else table[::-1]
        loosest: NDArray[N] = best.accumulate(turned, axis=0)
        return loosest if self.newest else loosest[::-1]


def _wants(limits: Limits) -> Iterator[Want]:
    """The Counts of each word added up over teams that have none in common."""
    by_word: dict[tuple[str, str, str], list[tuple[int, tuple[str, ...], Counted]]] = {}
    for index, shape, counted in _counted(limits):
        group = shape.groups[counted.group]
        by_word.setdefault((shape.attribute, shape.how, shape.word), []).append((index, group, counted))
    for found in by_word.values():
        least, most, seen, counts = np.zeros(len(limits.least)), np.zeros(len(limits.least)), set[str](), []
        for index, group, counted in found:
            if seen.isdisjoint(group):
                seen.update(group)
                least, most = least + limits.facts[index].low, most + limits.facts[index].high
                counts.append(counted)
        most = most if seen == set(limits.names) else np.full(len(limits.least), np.inf)
        yield Want(found[0][0], least, most, tuple(counts))


def _claims(limits: Limits) -> Iterator[Claim]:
    """A player has one string, so words of one attribute want a place each; of lists, each word is by itself."""
    together: dict[tuple[str, ...], list[Counted]] = {}
    for index, shape, counted in _counted(limits):
        single = limits.rules.attributes[shape.attribute].type == "string"
        key = (shape.attribute, "" if single else f"{index}", *shape.groups[counted.group])
        words = together.setdefault(key, [])
        if not any(limits.by_kind[Count][other.place] != index and _same_word(limits, other, shape) for other in words):
            words.append(counted)
    for (_, _, *teams), counts in together.items():
        yield Claim(tuple(limits.names.index(team) for team in teams), tuple(counts))


def _same_word(limits: Limits, counted: Counted, shape: Count) -> bool:
    other = limits.facts[limits.by_kind[Count][counted.place]].shape
    return isinstance(other, Count) and other.word == shape.word


def _counted(limits: Limits) -> Iterator[tuple[int, Count, Counted]]:
    """Every group of every Count."""
    for place, index in enumerate(limits.by_kind[Count]):
        shape = limits.facts[index].shape
        assert isinstance(shape, Count)
        for group in range(len(shape.groups)):
            yield index, shape, Counted(place, group, limits.low[index].tolist(), limits.widest[index])


def _twins(stage: Stage) -> list[int]:
    """A number for each team; teams of one number are the same to every rule, so while empty one stands for all."""
    mentioned = [set(teams) for rule in stage.rules for teams in teams_mentioned(rule)]
    numbers: dict[object, int] = {}
    found = []
    for team in stage.teams:
        seen = tuple(i for i, teams in enumerate(mentioned) if team.name in teams)
        found.append(numbers.setdefault((team.definition, seen), len(numbers)))
    return found
