"""What a search can know about rules without evaluating them: windows, equal words, ranges, caps, shared and counted
words.

A `Fact` is a bound on something that is kept as a column of the pool, with its limits for every stage. It is always
necessary (a match that breaks it breaks the rule), and `exact` if it also suffices. Rules that have no exact fact are
the `residual`: a candidate match is only certain once `evaluate` has judged it. Most rule sets in the wild (skill
within a distance, latency under a limit, same mode, roles) are exact, which is what makes large pools cheap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.rules.expression import Call, Constant, Expression, Members
from core.rules.model import (
    BatchDistance,
    Collection,
    Comparison,
    Compound,
    Distance,
    Latency,
    Operation,
    Rule,
    RuleSet,
    Stage,
)

Floats = NDArray[np.float64]
SLACK: Final = 1e-9  # relative; a mean is rounded, so a window derived from one must not be a hair too narrow


@dataclass(frozen=True, slots=True)
class Window:
    """All tickets' numbers lie in a window as wide as `high`; `unless` every player has a certain word."""

    attribute: str
    how: str
    unless: tuple[str, str] | None = None  # attribute, word


@dataclass(frozen=True, slots=True)
class Same:
    """All players have one value of a string."""

    attribute: str


@dataclass(frozen=True, slots=True)
class Range:
    """A ticket in one of `teams` has a number from `low` to `high`."""

    attribute: str
    how: str
    teams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """Every player in one of `teams` has the string `word` (or, negated, none has it)."""

    attribute: str
    word: str
    negated: bool
    teams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cap:
    """In some region all tickets' latencies are at most `high` ms."""

    how: str


@dataclass(frozen=True, slots=True)
class Shared:
    """At least `low` strings are in every ticket's list."""

    attribute: str
    how: str


@dataclass(frozen=True, slots=True)
class Count:
    """In each group of teams, from `low` to `high` lists hold `word` (of plain strings: that many players have it)."""

    attribute: str
    how: str
    word: str
    groups: tuple[tuple[str, ...], ...]


Shape = Window | Same | Range | Word | Cap | Shared | Count


@dataclass(frozen=True, slots=True)
class Fact:
    """A shape with its limits: `low[s]` and `high[s]` hold in stage s."""

    rule: str
    shape: Shape
    low: Floats
    high: Floats
    exact: bool

    @property
    def constant(self) -> bool:
        """Whether no expansion changes it."""
        return bool(np.all(self.low == self.low[0]) and np.all(self.high == self.high[0]))


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a rule set, and the required rules they do not fully cover."""

    facts: tuple[Fact, ...]
    residual: frozenset[str]
    seating: frozenset[str]  # rules whose outcome depends on who is in which team, not only on who plays
    balance: str  # the number whose team averages should be close; "" if none is asked for
    near: str  # where no window says it, the number in which players had better be alike; "" if there is none


_Read = tuple[Shape, float, float, bool]


def facts_of(rules: RuleSet) -> Facts:
    """Derive the facts of every required rule that has the same shape in all stages."""
    found: list[Fact] = []
    residual: set[str] = set()
    balance = rules.stages[0].algorithm.balanced_attribute
    for rule in rules.stages[0].required:
        versions = [_read(next(r for r in stage.rules if r.name == rule.name), stage) for stage in rules.stages]
        shapes = [[shape for shape, _, _, _ in version] for version in versions]
        if not shapes[0] or any(shape != shapes[0] for shape in shapes):
            residual.add(rule.name)
            balance = balance or _balanced(rule)
            continue
        for i, (shape, _, _, _) in enumerate(versions[0]):
            limits = np.array([version[i][1:3] for version in versions], dtype=np.float64)
            exact = all(version[i][3] for version in versions)
            found.append(Fact(rule.name, shape, limits[:, 0], limits[:, 1], exact))
            if not exact:
                residual.add(rule.name)
    first = rules.stages[0]
    seating = frozenset(rule.name for rule in first.required if _depends_on_seating(rule, first))
    return Facts(tuple(found), frozenset(residual), seating, balance, balance or _near(first))


def _near(stage: Stage) -> str:
    """The number of a window that only a compound rule asks for: no limit to rely on, but a hint."""
    for rule in stage.rules:
        for shape, _, _, _ in _read(rule, stage) if rule.name in stage.spoken_for else ():
            if isinstance(shape, Window):
                return shape.attribute
    return ""


def _read(rule: Rule, stage: Stage) -> list[_Read]:
    """The facts of one rule: (shape, low, high, exact). Empty if nothing useful can be said."""
    match rule:
        case BatchDistance():
            if not rule.numeric:
                return [(Same(rule.attribute), 0, 0, True)]
            if rule.most is None:
                return []
            return [(Window(rule.attribute, rule.party), 0, rule.most, not rule.least)]
        case Latency():
            if rule.most is None:
                return []
            alone = sum(isinstance(other, Latency) for other in stage.required) == 1
            return [(Cap(rule.party), 0, rule.most, alone and rule.distance is None)]
        case Distance() | Comparison() | Collection():
            reads = [list(_measured(rule, each, stage)) for each in rule.measurements]
            return [read for each in reads for read in each] if all(reads) else []
        case Compound(statement=Operation("or", (str(one), str(other)))):
            named = {each.name: each for each in stage.rules}
            return _of_either(_read(named[one], stage), _read(named[other], stage), stage)
        case _:
            return []


def _of_either(one: list[_Read], other: list[_Read], stage: Stage) -> list[_Read]:
    """All are casual, or skills are close: a window that some are free of, as long as they are among themselves."""
    everybody = {team.name for team in stage.teams}
    match [*one, *other]:
        case [(Word(word_of, word, False, teams), _, _, True), (Window(attribute, how, None), low, high, exact)] | [
            (Window(attribute, how, None), low, high, exact),
            (Word(word_of, word, False, teams), _, _, True),
        ] if len(one) == 1 and set(teams) == everybody:
            return [(Window(attribute, how, (word_of, word)), low, high, exact)]
        case _:
            return []


def _measured(rule: Distance | Comparison | Collection, measured: Expression, stage: Stage) -> Iterator[_Read]:
    match rule:
        case Distance():
            yield from _of_distance(rule, measured, stage)
        case Comparison():
            yield from _of_comparison(rule, measured, stage)
        case Collection():
            yield from _of_collection(rule, measured, stage)


def _of_distance(rule: Distance, measured: Expression, stage: Stage) -> Iterator[_Read]:
    if rule.most is None:
        return
    players = _players(measured)
    if isinstance(rule.reference, Constant):
        if players and not rule.least:
            value = float(rule.reference.values[0])
            shape = Range(players.attribute, rule.party, players.teams)
            yield shape, value - rule.most, value + rule.most, False  # |v - r| rounds otherwise than r + most
        return
    function, inner = _aggregated(rule.reference)
    if inner is None or not _everybody(inner, stage):
        return
    window = Window(inner.attribute, rule.party)
    if players == inner and function in ("min", "max"):
        yield window, 0, rule.most, not rule.least
    elif players == inner and function in ("avg", "median"):
        yield window, 0, 2 * rule.most * (1 + SLACK) + SLACK, False
    elif (_aggregated(measured), function) in ((("max", inner), "min"), (("min", inner), "max")):
        yield window, 0, rule.most, not rule.least


def _of_comparison(rule: Comparison, measured: Expression, stage: Stage) -> Iterator[_Read]:
    players = _players(measured)
    if players is None:
        return
    if rule.reference is None:
        one_list = players.depth == 1 or isinstance(measured, Call)
        if rule.operation == "=" and one_list and _everybody(players, stage):
            if players.kind == "string":
                yield Same(players.attribute), 0, 0, True
            else:
                yield Window(players.attribute, rule.party), 0, 0, True
        return
    if not isinstance(rule.reference, Constant) or rule.reference.depth:
        return
    if players.kind == "string":
        negated = rule.operation == "!="
        word = str(rule.reference.values[0])
        yield Word(players.attribute, word, negated, players.teams), 0, 0, not negated
    elif rule.operation != "!=":
        low, high = _bounds(rule.operation, float(rule.reference.values[0]))
        yield Range(players.attribute, rule.party, players.teams), low, high, True


def _bounds(operation: str, value: float) -> tuple[float, float]:
    """A comparison with a number as a closed interval of floats."""
    low = {"=": value, ">=": value, ">": math.nextafter(value, math.inf)}.get(operation, -math.inf)
    high = {"=": value, "<=": value, "<": math.nextafter(value, -math.inf)}.get(operation, math.inf)
    return low, high


def _of_collection(rule: Collection, measured: Expression, stage: Stage) -> Iterator[_Read]:
    players = _players(measured)
    if players is None:
        return
    flat = isinstance(measured, Call)
    lists = players.depth == (3 if players.grouped else 2)
    one_group = flat or not players.grouped
    if rule.operation == "intersection":
        if lists and one_group and rule.least and _everybody(players, stage):
            yield Shared(players.attribute, rule.party), rule.least, math.inf, rule.most is None
    elif rule.operation == "contains" and isinstance(rule.reference, Constant) and (lists or one_group):
        groups = (players.teams,) if one_group else tuple((team,) for team in players.teams)
        shape = Count(players.attribute, rule.party, str(rule.reference.values[0]), groups)
        yield shape, rule.least or 0, math.inf if rule.most is None else rule.most, True


def _players(expression: Expression) -> Members | None:
    """The attribute of players that an expression lists, one value for each, flattened or not."""
    if isinstance(expression, Call) and expression.function == "flatten":
        inner = expression.argument
        return inner if isinstance(inner, Members) and inner.grouped and inner.what == "attribute" else None
    return expression if isinstance(expression, Members) and expression.what == "attribute" else None


def _aggregated(expression: Expression) -> tuple[str, Members | None]:
    """(function, what it sums over) for `function(flatten(...))` of a number, or of a single team."""
    if not isinstance(expression, Call) or expression.depth != 0:
        return "", None
    return expression.function, _players(expression.argument)


def _everybody(members: Members, stage: Stage) -> bool:
    return set(members.teams) == {team.name for team in stage.teams}


def _balanced(rule: Rule) -> str:
    """The number of which a rule compares team averages or sums, as a hint where to seat whom."""
    if not isinstance(rule, Distance | Comparison):
        return ""
    for measured in rule.measurements:
        if isinstance(measured, Call) and measured.function in ("avg", "sum", "median"):
            inner = measured.argument
            if isinstance(inner, Members) and inner.what == "attribute" and inner.kind == "number":
                return inner.attribute
    return ""


def _depends_on_seating(rule: Rule, stage: Stage) -> bool:
    """Whether the same players in other teams may be judged otherwise."""
    match rule:
        case BatchDistance() | Latency():
            return False
        case Comparison() | Distance() | Collection():
            expressions = (*rule.measurements, *((rule.reference,) if rule.reference else ()))
            return any(_by_team(each, stage) for each in expressions)
        case _:
            return True


def teams_mentioned(rule: Rule) -> Iterator[tuple[str, ...]]:
    """The sets of teams that a rule's expressions look at."""
    if isinstance(rule, Comparison | Distance | Collection):
        for each in (*rule.measurements, *((rule.reference,) if rule.reference else ())):
            while isinstance(each, Call):
                each = each.argument
            if isinstance(each, Members):
                yield each.teams


def _by_team(expression: Expression, stage: Stage) -> bool:
    """Whether an expression looks at single teams: anything but `flatten` of all of them."""
    if isinstance(expression, Constant):
        return False
    if isinstance(expression, Members):
        return not (len(stage.teams) == 1 and _everybody(expression, stage))
    if expression.function == "flatten" and isinstance(expression.argument, Members):
        return not _everybody(expression.argument, stage)
    return _by_team(expression.argument, stage)
