"""Warnings about rule sets that can be read but match nobody, or hold rules without effect.

Sound, not complete: a warning is only given where it can be shown (contradictory bounds on one expression, counts no
team can have, statements that are never true). Silence promises nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Final

from core.rules.compound import holds, names_in
from core.rules.expression import Call, Constant, Expression, Members
from core.rules.model import Collection, Comparison, Compound, Distance, Latency, RuleSet, Stage

MAX_TABLE: Final = 10  # names of a statement whose truth table is tried: 1,024 rows
Interval = tuple[float, float]


def warnings_of(rules: RuleSet) -> tuple[str, ...]:
    """Sentences for the developer; empty if nothing could be shown to be wrong."""
    impossible = [list(_impossible(stage)) for stage in rules.stages]
    found = list(_idle(rules.stages[0]))
    if all(impossible):
        found += [f"this rule set can match nobody: {why}" for why in dict.fromkeys(impossible[0])]
    elif impossible[0]:
        opens_s = next(rules.opens_ms[i - 1] for i, why in enumerate(impossible) if not why) / 1000
        found += [f"nobody is matched before {opens_s:g} s of waiting: {why}" for why in dict.fromkeys(impossible[0])]
    return tuple(found)


def _impossible(stage: Stage) -> Iterator[str]:
    """Why no match can satisfy this stage."""
    yield from _contradictions(stage)
    seats = sum(team.most for team in stage.teams)
    for rule in stage.required:
        match rule:
            case Collection(least=least) if rule.operation == "contains" and least is not None and least > seats:
                yield f"rule {rule.name!r} wants {least} collections, a match has {seats} places"
            case Latency(most=0.0):
                yield f"rule {rule.name!r} wants a latency of 0 ms"
            case Distance(least=least) if least and _itself(rule, stage):
                yield f"rule {rule.name!r} wants a value to be {least:g} away from itself"
            case Compound() if not any(_table(rule)):
                yield f"the statement of rule {rule.name!r} is never true"


def _idle(stage: Stage) -> Iterator[str]:
    """Rules that reject nobody."""
    for rule in stage.rules:
        if isinstance(rule, Compound) and (table := list(_table(rule))) and all(table):
            yield f"the statement of rule {rule.name!r} is always true: it rejects nobody"


def _itself(rule: Distance, stage: Stage) -> bool:
    """Whether a distance is measured from the very value it is measured to."""
    alike = rule.measurements == (rule.reference,) and rule.reference.depth == 0
    return alike and _has_values(rule.reference, stage)


def _table(rule: Compound) -> Iterator[bool]:
    """The truth table of a statement; a single True and False where it would be too long."""
    names = sorted(set(names_in(rule.statement)))
    if len(names) > MAX_TABLE:
        yield from (True, False)
        return
    for row in itertools.product((True, False), repeat=len(names)):
        yield holds(rule.statement, dict(zip(names, row, strict=True)))


def _contradictions(stage: Stage) -> Iterator[str]:
    """Expressions whose literal bounds leave nothing, e.g. skill > 10 in one rule and skill < 5 in another."""
    left: dict[tuple[Expression, str], tuple[list[Interval], str]] = {}
    for rule in stage.required:
        if not isinstance(rule, Comparison | Distance) or not isinstance(rule.reference, Constant):
            continue
        if rule.reference.kind != "number":
            continue
        low, high = _interval(rule, float(rule.reference.values[0]))
        for measured in rule.measurements:
            if not _has_values(measured, stage):
                continue
            before, other = left.get((measured, rule.party), (_possible(measured, stage), "the team sizes"))
            after = [(max(low, least), min(high, most)) for least, most in before]
            if any(least > most for least, most in after):
                yield f"rule {rule.name!r} contradicts {other}"
            left[measured, rule.party] = (after, f"rule {rule.name!r}")


def _has_values(measured: Expression, stage: Stage) -> bool:
    """Whether every match gives the expression something to measure: one of its teams is never empty."""
    while isinstance(measured, Call):
        measured = measured.argument
    if isinstance(measured, Constant):
        return True
    return any(team.least > 0 for team in stage.teams if team.name in measured.teams)


def _interval(rule: Comparison | Distance, reference: float) -> Interval:
    """The closed interval a measured value must lie in, as far as one interval can say it."""
    if isinstance(rule, Distance):
        return (-math.inf, math.inf) if rule.most is None else (reference - rule.most, reference + rule.most)
    match rule.operation:
        case "<":
            return -math.inf, math.nextafter(reference, -math.inf)
        case "<=":
            return -math.inf, reference
        case "=":
            return reference, reference
        case ">=":
            return reference, math.inf
        case ">":
            return math.nextafter(reference, math.inf), math.inf
        case _:
            return -math.inf, math.inf


def _possible(measured: Expression, stage: Stage) -> list[Interval]:
    """What the values of `count(teams[x].players)` can be, team by team; anything for other expressions."""
    if isinstance(measured, Call) and measured.function == "count" and isinstance(measured.argument, Members):
        inner = measured.argument
        if inner.what in ("player", "id"):
            return [(team.least, team.most) for team in stage.teams if team.name in inner.teams]
    return [(-math.inf, math.inf)]
