"""A rule set after reading: frozen values that cannot be wrong any more.

Expansions are laid out in time: `RuleSet.stages[0]` holds before any wait, `stages[i]` from `opens_ms[i - 1]` on. Each
stage is a whole rule set of its own, so nothing that reads one has to know about expansions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from core.rules.expression import Expression

LARGE: Final = 40  # more players than this is a large match
Value = float | str | tuple[str, ...] | Mapping[str, float]
AttributeType = Literal["string", "number", "string_list", "string_number_map"]
Aggregation = Literal["avg", "min", "max", "union", "intersection"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """A player attribute that rules may look at. `default` None: a ticket without it is refused."""

    name: str
    type: AttributeType
    default: Value | None


@dataclass(frozen=True, slots=True)
class Team:
    """One team of the match. With `quantity` n a `definition` stands for n teams, named definition_1 to _n."""

    name: str
    definition: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How batches are made; see the developer guide, "Customize the match algorithm"."""

    strategy: Literal["exhaustiveSearch", "balanced"] = "exhaustiveSearch"
    batching: Literal["random", "sorted", "largestPopulation", "fastestRegion"] = "random"
    sort_by: tuple[str, ...] = ()
    balanced_attribute: str = ""
    age: Literal["newest", "oldest"] = "newest"
    backfill: Literal["normal", "low", "high"] = "normal"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`measurements` against `reference`; without one (`=`, `!=` only) all values alike, or all different."""

    name: str
    measurements: tuple[Expression, ...]
    reference: Expression | None
    operation: Literal["<", "<=", "=", "!=", ">", ">="]
    party: Aggregation
    kind: Literal["comparison"] = "comparison"


@dataclass(frozen=True, slots=True)
class Distance:
    """Every measured number is `least` to `most` away from every reference number."""

    name: str
    measurements: tuple[Expression, ...]
    reference: Expression
    least: float | None
    most: float | None
    party: Aggregation
    kind: Literal["distance"] = "distance"


@dataclass(frozen=True, slots=True)
class BatchDistance:
    """Any two tickets of the match are `least` to `most` apart in a number, or all alike in a string."""

    name: str
    attribute: str
    numeric: bool
    least: float | None
    most: float | None
    party: Aggregation
    kind: Literal["batchDistance"] = "batchDistance"


@dataclass(frozen=True, slots=True)
class Collection:
    """A count over collections of strings, within `least` to `most`."""

    name: str
    measurements: tuple[Expression, ...]
    operation: Literal["intersection", "contains", "reference_intersection_count"]
    reference: Expression | None
    least: int | None
    most: int | None
    party: Aggregation
    kind: Literal["collection"] = "collection"


@dataclass(frozen=True, slots=True)
class Latency:
    """Some region suits every ticket: at most `most` ms, and within `distance` ms of the tickets' min or avg."""

    name: str
    most: float | None
    distance: float | None
    reference: Literal["min", "avg"] | None
    party: Aggregation
    kind: Literal["latency"] = "latency"


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of preference among the tickets of a batch; it never forbids a match."""

    name: str
    attribute: str
    type: AttributeType
    descending: bool
    map_key: Literal["minValue", "maxValue"] | None
    party: Aggregation
    kind: Literal["absoluteSort", "distanceSort"]


@dataclass(frozen=True, slots=True)
class Operation:
    """A logical operator over `arguments`: names of rules, or further operations."""

    operator: Literal["and", "or", "not", "xor"]
    arguments: tuple[str | Operation, ...]


@dataclass(frozen=True, slots=True)
class Compound:
    """A statement over other rules. Those it names no longer have to hold by themselves."""

    name: str
    statement: Operation
    kind: Literal["compound"] = "compound"


Rule = Comparison | Distance | BatchDistance | Collection | Latency | Sort | Compound


@dataclass(frozen=True, slots=True)
class Stage:
    """A rule set at one moment of waiting. `spoken_for` are the rules that only compound rules ask for."""

    teams: tuple[Team, ...]
    rules: tuple[Rule, ...]
    algorithm: Algorithm
    spoken_for: frozenset[str]

    @property
    def required(self) -> tuple[Rule, ...]:
        """The rules that each have to hold."""
        return tuple(r for r in self.rules if r.name not in self.spoken_for and not isinstance(r, Sort))

    @property
    def sorts(self) -> tuple[Sort, ...]:
        return tuple(r for r in self.rules if isinstance(r, Sort))


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A whole rule set. `warnings` are sentences for the developer; the set works, or would if anybody fitted it."""

    name: str
    attributes: Mapping[str, Attribute]
    stages: tuple[Stage, ...]
    opens_ms: tuple[int, ...]
    warnings: tuple[str, ...] = ()

    @property
    def most_players(self) -> int:
        return sum(team.most for team in self.stages[0].teams)

    @property
    def large(self) -> bool:
        return self.most_players > LARGE

    @property
    def largest_party(self) -> int:
        """The most players one ticket may bring: a party is never split over teams."""
        return max(team.most for stage in self.stages for team in stage.teams)

    def stage_at(self, wait_ms: int) -> int:
        """The index of the stage that holds after a wait."""
        return bisect_right(self.opens_ms, wait_ms)

    def stage_of(self, now_ms: int, since_ms: list[int]) -> int:
        """The stage for a match of tickets that wait since then: the newest of them decides, or the oldest."""
        since = min(since_ms) if self.stages[0].algorithm.age == "oldest" else max(since_ms)
        return self.stage_at(now_ms - since)

    def next_opening_ms(self, wait_ms: int) -> int | None:
        """The wait at which the next expansion step opens; None after the last."""
        index = bisect_right(self.opens_ms, wait_ms)
        return self.opens_ms[index] if index < len(self.opens_ms) else None
