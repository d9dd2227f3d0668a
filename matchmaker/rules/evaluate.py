"""Does a candidate match satisfy a stage of the rules? The language's meaning, exactly, and nothing about searching.

A candidate is teams of parties. `explain` answers one `Finding` per rule with what was seen; `first_failure` stops at
the first rule that fails. Where Amazon's guide leaves a reading open, ours is:

- An aggregate of an empty list (an empty team) is no value: it is left out of lists, measures nothing where it is
  measured, and fails the rule where it is the reference.
- A rule measures every value its expressions give; with a list as reference, each against each.
- `=` and `!=` without a reference look at each innermost list by itself, and at single values together.
- A collection rule counts each innermost group by itself: `teams[*]...` per team, `flatten(teams[*]...)` the match.
- A region suits a latency rule if every ticket reported it and is within the bounds there; the match is played in one
  region, so all required latency rules must share one.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.rules.attributes import Party
from core.rules.compound import holds
from core.rules.model import (
    BatchDistance,
    Collection,
    Comparison,
    Compound,
    Distance,
    Latency,
    Rule,
    Sort,
    Stage,
)
from matchmaker.rules.values import Teams, groups, intersection, leaves, value_of

MAX_SHOWN: Final = 50  # values kept in a finding: enough to see why, bounded for 200 players


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule saw. `wanted` is the bound in words; `required` is False for rules only compounds ask for."""

    rule: str
    kind: str
    passed: bool
    required: bool
    wanted: str
    values: tuple[Any, ...] = ()
    reference: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    """The bare answer of a rule: passed, values, reference."""

    passed: bool
    values: Sequence[Any] = ()
    reference: Sequence[Any] = ()


def first_failure(stage: Stage, teams: Teams) -> str | None:
    """The name of the first required rule that fails ("teams" for the bounds); None if the match is legal."""
    if not _sizes_fit(stage, teams):
        return "teams"
    truth: dict[str, bool] = {}
    for rule in stage.rules:
        truth[rule.name] = _see(rule, stage, teams, truth).passed
        if not truth[rule.name] and rule.name not in stage.spoken_for:
            return rule.name
    return None


def explain(stage: Stage, teams: Teams) -> list[Finding]:
    """A finding for the team bounds, then one for each rule, in the order of the rule set."""
    sizes = {team.name: _players(teams[team.name]) for team in stage.teams}
    bounds = ", ".join(f"{team.name} {team.least}-{team.most}" for team in stage.teams)
    found = [Finding("teams", "teams", _sizes_fit(stage, teams), True, bounds, tuple(sizes.items()))]
    truth: dict[str, bool] = {}
    for rule in stage.rules:
        seen = _see(rule, stage, teams, truth)
        truth[rule.name] = seen.passed
        required = rule.name not in stage.spoken_for
        values, reference = tuple(seen.values[:MAX_SHOWN]), tuple(seen.reference[:MAX_SHOWN])
        found.append(Finding(rule.name, rule.kind, seen.passed, required, wanted(rule), values, reference))
    return found


def regions_for(stage: Stage, teams: Teams) -> list[str]:
    """The regions this match may be played in, the one of least average latency first.

    Without latency rules that is every region all tickets reported; empty if there is none in common.
    """
    parties = [party for members in teams.values() for party in members]
    limits = [rule for rule in stage.required if isinstance(rule, Latency)]
    how = limits[0].party if limits else "avg"
    suited = set(suiting(limits[0], parties)) if limits else _common(parties, "avg")
    for rule in limits[1:]:
        suited &= set(suiting(rule, parties))
    mean = {r: math.fsum(p.latencies(how)[r] * p.size for p in parties) for r in suited}
    return sorted(suited, key=lambda region: (mean[region], region))


def _players(parties: Iterable[Party]) -> int:
    return sum(party.size for party in parties)


def _sizes_fit(stage: Stage, teams: Teams) -> bool:
    return all(team.least <= _players(teams[team.name]) <= team.most for team in stage.teams)


_OPERATIONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
}


def _see(rule: Rule, stage: Stage, teams: Teams, truth: Mapping[str, bool]) -> _Seen:
    match rule:
        case Comparison():
            return _comparison(rule, teams)
        case Distance():
            return _distance(rule, teams)
        case BatchDistance():
            return _batch_distance(rule, teams)
        case Collection():
            return _collection(rule, teams)
        case Latency():
            return _latency(rule, stage, teams)
        case Compound():
            return _Seen(holds(rule.statement, truth))
        case Sort():
            return _Seen(True)


def _comparison(rule: Comparison, teams: Teams) -> _Seen:
    measured = [value_of(each, teams, rule.party) for each in rule.measurements]
    if rule.reference is not None:
        compare = _OPERATIONS[rule.operation]
        values, references = leaves(measured), leaves(value_of(rule.reference, teams, rule.party))
        passed = all(compare(v, r) for v in values for r in references) and not (values and not references)
        return _Seen(passed, values, references)
    single = [v for e, v in zip(rule.measurements, measured, strict=True) if e.depth == 0 and v is not None]
    lists = [part for e, v in zip(rule.measurements, measured, strict=True) if e.depth for part in groups(e, v, 1)]
    alike = rule.operation == "="
    passed = all(len(set(g)) <= 1 if alike else len(set(g)) == len(g) for g in (single, *lists))
    return _Seen(passed, [*single, *lists])


def _distance(rule: Distance, teams: Teams) -> _Seen:
    values = leaves([value_of(each, teams, rule.party) for each in rule.measurements])
    references = leaves(value_of(rule.reference, teams, rule.party))
    passed = all(_within(abs(v - r), rule.least, rule.most) for v in values for r in references)
    return _Seen(passed and not (values and not references), values, references)


def _within(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _batch_distance(rule: BatchDistance, teams: Teams) -> _Seen:
    parties = [party for members in teams.values() for party in members]
    if not rule.numeric:
        values = sorted({str(player.attributes[rule.attribute]) for party in parties for player in party.players})
        return _Seen(len(values) <= 1, values)
    numbers = sorted(party.number(rule.attribute, rule.party) for party in parties)
    steps = [high - low for low, high in itertools.pairwise(numbers)]
    near = rule.most is None or not numbers or numbers[-1] - numbers[0] <= rule.most
    return _Seen(near and (rule.least is None or all(step >= rule.least for step in steps)), numbers)


def _collection(rule: Collection, teams: Teams) -> _Seen:
    reference = [] if rule.reference is None else leaves(value_of(rule.reference, teams, rule.party))
    counts: list[int] = []
    for expression in rule.measurements:
        value = value_of(expression, teams, rule.party)
        if expression.depth == 1 and rule.operation != "contains":
            value = [value]  # one collection
        for group in groups(expression, value, 2) if expression.depth > 2 else [value]:
            counts += _counts(rule.operation, group, reference)
    return _Seen(all(_within(count, rule.least, rule.most) for count in counts), counts, reference)


def _counts(operation: str, group: Sequence[Any], reference: Sequence[Any]) -> list[int]:
    """The counts a rule bounds in one group of collections: one for the group, or one for each collection."""
    if operation == "intersection":
        return [len(intersection(group))] if group else []
    if operation == "contains":  # a bare string is a collection of one
        return [sum(reference[0] in each if isinstance(each, list | tuple) else reference[0] == each for each in group)]
    return [len(set(each) & set(reference)) for each in group]


def _common(parties: Sequence[Party], how: str) -> set[str]:
    return set.intersection(*(set(party.latencies(how)) for party in parties)) if parties else set()


def suiting(rule: Latency, parties: Sequence[Party]) -> list[str]:
    """The regions that suit a latency rule, sorted by name."""
    found = []
    for region in sorted(_common(parties, rule.party)):
        values = [party.latencies(rule.party)[region] for party in parties]
        reference = min(values) if rule.reference == "min" else math.fsum(values) / len(values)
        near = rule.distance is None or all(abs(v - reference) <= rule.distance for v in values)
        if near and (rule.most is None or max(values) <= rule.most):
            found.append(region)
    return found


def _latency(rule: Latency, stage: Stage, teams: Teams) -> _Seen:
    """Passed if a region suits this rule and, for a required one, every required latency rule above it."""
    parties = [party for members in teams.values() for party in members]
    suited = suiting(rule, parties)
    if rule.name not in stage.spoken_for:
        for other in stage.required:
            if other is rule:
                break
            if isinstance(other, Latency):
                suited = [region for region in suited if region in suiting(other, parties)]
    return _Seen(bool(suited), suited)


def wanted(rule: Rule) -> str:
    """What a rule asks for, in words."""
    match rule:
        case Comparison():
            against = "the reference" if rule.reference is not None else "each other"
            return f"{rule.operation} {against}"
        case Distance() | BatchDistance():
            return _apart(rule.least, rule.most)
        case Collection():
            return f"{rule.operation} {_bounds(rule.least, rule.most)}"
        case Latency():
            parts = [] if rule.most is None else [f"at most {rule.most:g} ms"]
            parts += [] if rule.distance is None else [f"within {rule.distance:g} ms of the {rule.reference}"]
            return f"a common region {' and '.join(parts)}"
        case Compound():
            return _written(rule.statement)
        case Sort():
            return f"sorted by {rule.attribute}"


def _apart(least: float | None, most: float | None) -> str:
    if most is None:
        return "the same value" if least is None else f"at least {least:g} apart"
    return f"{least:g} to {most:g} apart" if least else f"within {most:g}"


def _bounds(least: float | None, most: float | None) -> str:
    parts = [f"{word} {bound:g}" for word, bound in (("min", least), ("max", most)) if bound is not None]
    return ", ".join(parts) or "any"


def _written(statement: Any) -> str:
    if isinstance(statement, str):
        return statement
    return f"{statement.operator}({', '.join(_written(a) for a in statement.arguments)})"
