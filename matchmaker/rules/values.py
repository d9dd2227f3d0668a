"""The value of a property expression in a candidate match. See `expression` for types and `evaluate` for readings.

An aggregate of an empty list is no value (None): it is left out of the list it would stand in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from core.rules.attributes import Party
from core.rules.expression import Constant, Expression, Members

Teams = Mapping[str, Sequence[Party]]  # team name -> its parties; every team of the stage is present


def value_of(expression: Expression, teams: Teams, party: str) -> Any:
    """The value of an expression: a number or string, (nested) lists of them, or None for no value.

    `party` is the rule's partyAggregation.
    """
    if isinstance(expression, Constant):
        return list(expression.values) if expression.depth else expression.values[0]
    if isinstance(expression, Members):
        if expression.what == "team":
            return list(expression.teams) if expression.grouped else expression.teams[0]
        groups = [[v for p in teams[name] for v in _of_party(expression, p, party)] for name in expression.teams]
        return groups if expression.grouped else groups[0]
    argument = value_of(expression.argument, teams, party)
    if expression.function == "flatten":
        return [inner for outer in argument for inner in outer]
    depth = expression.argument.depth - (2 if expression.function == "set_intersection" else 1)
    return _mapped(_FUNCTIONS[expression.function], argument, depth)


def _of_party(members: Members, party: Party, how: str) -> list[Any]:
    """What one party gives: one value where a party counts as one, else one for each player."""
    if members.what in ("player", "id"):
        return [player.id for player in party.players]
    if members.kind == "number":
        return [party.number(members.attribute, how if how in ("min", "max") else "avg")]
    values = [player.attributes[members.attribute] for player in party.players]
    if how in ("union", "intersection") and isinstance(values[0], tuple):
        return [party.strings(members.attribute, how)]
    return values


def _mapped(function: Callable[[Any], Any], value: Any, depth: int) -> Any:
    """`function` over the lists that lie `depth` levels down; no values are left out."""
    if depth <= 0:
        return function(value)
    return [found for inner in value if (found := _mapped(function, inner, depth - 1)) is not None]


def _average(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _deviation(values: Sequence[float]) -> float | None:
    """Of the whole population: these are all the players there are."""
    mean = _average(values)
    return None if mean is None else math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))


def intersection(lists: Sequence[Sequence[str]]) -> list[str]:
    return sorted(set.intersection(*map(set, lists))) if lists else []


_FUNCTIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "avg": _average,
    "median": lambda values: median(values) if values else None,
    "sum": math.fsum,
    "count": len,
    "stddev": _deviation,
    "set_intersection": intersection,
}


def leaves(value: Any) -> list[Any]:
    """The single values inside nested lists; none for None."""
    if isinstance(value, list | tuple):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [] if value is None else [value]


def groups(expression: Expression, value: Any, depth: int) -> list[Any]:
    """The parts of a value that lie `depth` levels deep, which a rule judges one by one."""
    parts = [value]
    for _ in range(expression.depth - depth):
        parts = [inner for outer in parts for inner in outer]
    return parts
