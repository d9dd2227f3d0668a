"""Reads one rule of each of the eight kinds. Which fields a kind has, and what they may hold, stands here only.

Source: GameLift FlexMatch developer guide, "FlexMatch rule types" and "FlexMatch rule set schema".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, cast

from core.rules.compound import parse_statement
from core.rules.expression import Constant, Expression, Names, constant, describe, is_expression, parse_expression
from core.rules.model import (
    Aggregation,
    AttributeType,
    BatchDistance,
    Collection,
    Comparison,
    Compound,
    Distance,
    Latency,
    Rule,
    Sort,
)
from core.rules.reader import Node, quoted

MAX_MEASUREMENTS: Final = 20
MAX_LISTED: Final = 100  # strings of a literal list
MAX_COUNT: Final = 10_000
MAX_LATENCY_MS: Final = 60_000

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "comparison": ("measurements", "referenceValue", "operation", "partyAggregation"),
    "distance": ("measurements", "referenceValue", "minDistance", "maxDistance", "partyAggregation"),
    "batchDistance": ("batchAttribute", "minDistance", "maxDistance", "partyAggregation"),
    "collection": ("measurements", "referenceValue", "operation", "minCount", "maxCount", "partyAggregation"),
    "latency": ("maxLatency", "maxDistance", "distanceReference", "partyAggregation"),
    "absoluteSort": ("sortDirection", "sortAttribute", "mapKey", "partyAggregation"),
    "distanceSort": ("sortDirection", "sortAttribute", "mapKey", "partyAggregation"),
    "compound": ("statement",),
}
LARGE_KINDS: Final = ("latency", "batchDistance")


def parse_rule(node: Node, names: Names, *, large: bool) -> Rule:
    """Read one rule. Raises Invalid with the pointer and the rule's name."""
    if isinstance(node.value, dict) and isinstance(node.value.get("name"), str):
        node = node.owned(f"rule {node.value['name'][:64]!r}")
    node.fields({"name", "type", *(field for fields in FIELDS.values() for field in fields)})
    name = node.need("name", "every rule has one").name()
    kind = node.need("type", f"one of {quoted(FIELDS)}").choice(FIELDS)
    if large and kind not in LARGE_KINDS:
        node.child("type").fail(
            f"a match of more than 40 players allows {quoted(LARGE_KINDS)} rules only, not {kind!r}"
        )
    node.fields(("name", "type", *FIELDS[kind]))
    return _READERS[kind](node, name, names)


def _party(node: Node, *, sets: bool = False) -> Aggregation:
    options = ("union", "intersection") if sets else ("avg", "min", "max")
    found = node.get("partyAggregation")
    return cast(Aggregation, found.choice(options) if found else options[0])


def _measurements(node: Node, names: Names) -> tuple[Expression, ...]:
    field = node.need("measurements", "the expressions to measure")
    nodes = [field] if isinstance(field.value, str) else list(field.items("measurements", most=MAX_MEASUREMENTS))
    if not nodes:
        field.fail("name at least one expression")
    return tuple(parse_expression(each, names) for each in nodes)


def _reference(node: Node, names: Names, kind: str) -> Expression | None:
    """The referenceValue: an expression, or a literal of the measurements' kind ("number" or "string")."""
    field = node.get("referenceValue")
    if field is None:
        return None
    if isinstance(field.value, str) and is_expression(field.value):
        return parse_expression(field, names)
    if kind == "number":
        return constant([field.number()])
    if isinstance(field.value, list):
        return Constant(tuple(each.text() for each in field.items("strings", most=MAX_LISTED)), "string", 1)
    return constant([field.text()])


def _same_kind(node: Node, measured: tuple[Expression, ...], kinds: tuple[str, ...]) -> str:
    """The one kind of all measurements, which must be among `kinds`."""
    for each in measured:
        if each.kind not in kinds or each.kind != measured[0].kind:
            node.child("measurements").fail(f"expected {quoted(kinds)} values, all of one kind; found {describe(each)}")
    return measured[0].kind


def _comparison(node: Node, name: str, names: Names) -> Rule:
    measured = _measurements(node, names)
    kind = _same_kind(node, measured, ("number", "string"))
    operation = node.need("operation", "<, <=, =, !=, > or >=").choice(("<", "<=", "=", "!=", ">", ">="))
    reference = _reference(node, names, kind)
    if operation not in ("=", "!=") and (reference is None or kind == "string"):
        why = "strings have no order" if kind == "string" else "without a referenceValue values can only be (un)equal"
        node.child("operation").fail(f"{operation!r} does not fit: {why}; use '=' or '!='")
    if reference is not None and reference.kind != kind:
        node.child("referenceValue").fail(f"measurements are {kind}s, this is {describe(reference)}")
    return Comparison(name, measured, reference, cast(Literal["="], operation), _party(node))


def _bounds(node: Node) -> tuple[float | None, float | None]:
    low, high = node.get("minDistance"), node.get("maxDistance")
    least = low.number(least=0) if low else None
    most = high.number(least=0) if high else None
    if low and least is not None and most is not None and least > most:
        low.fail(f"minDistance {least:g} is more than maxDistance {most:g}: nobody can be both")
    return least, most


def _distance(node: Node, name: str, names: Names) -> Rule:
    measured = _measurements(node, names)
    _same_kind(node, measured, ("number",))
    reference = _reference(node, names, "number")
    if reference is None:
        node.need("referenceValue", "a number or an expression to measure the distance from")
        raise AssertionError("need() has raised")
    if reference.kind != "number":
        node.child("referenceValue").fail(f"expected numbers, found {describe(reference)}")
    least, most = _bounds(node)
    if least is None and most is None:
        node.fail("a distance rule needs maxDistance, minDistance or both")
    return Distance(name, measured, reference, least, most, _party(node))


def _attribute(node: Node, field: str, names: Names, types: tuple[str, ...]) -> tuple[str, AttributeType]:
    """A declared attribute of one of `types`, named by `field`."""
    place = node.need(field, "the name of a player attribute")
    name = place.name()
    if name not in names.attributes:
        place.fail(f"the player attribute {name!r} is not declared in playerAttributes")
    kind = cast(AttributeType, names.attributes[name])
    if kind not in types:
        place.fail(f"{name!r} is a {kind}; this rule works on {quoted(types)}")
    return name, kind


def _batch_distance(node: Node, name: str, names: Names) -> Rule:
    attribute, kind = _attribute(node, "batchAttribute", names, ("number", "string"))
    least, most = _bounds(node)
    if kind == "number" and least is None and most is None:
        node.fail("a number as batchAttribute needs maxDistance (or minDistance)")
    if kind == "string" and not (least is None and most is None):
        node.fail("strings have no distance: leave minDistance and maxDistance out, all players then share one value")
    return BatchDistance(name, attribute, kind == "number", least, most, _party(node))


def _collection(node: Node, name: str, names: Names) -> Rule:
    measured = _measurements(node, names)
    _same_kind(node, measured, ("string",))
    for each in measured:
        if each.depth == 0:
            node.child("measurements").fail(f"expected collections of strings, found {describe(each)}")
    operations = ("intersection", "contains", "reference_intersection_count")
    operation = node.need("operation", f"one of {quoted(operations)}").choice(operations)
    reference = _collection_reference(node, operation, names)
    low, high = node.get("minCount"), node.get("maxCount")
    least = low.integer(least=0, most=MAX_COUNT) if low else None
    most = high.integer(least=0, most=MAX_COUNT) if high else None
    if least is None and most is None:
        node.fail("a collection rule needs minCount, maxCount or both")
    if low and least is not None and most is not None and least > most:
        low.fail(f"minCount {least} is more than maxCount {most}: no count is both")
    return Collection(
        name, measured, cast(Literal["contains"], operation), reference, least, most, _party(node, sets=True)
    )


def _collection_reference(node: Node, operation: str, names: Names) -> Expression | None:
    reference = _reference(node, names, "string")
    if operation == "intersection":
        if reference is not None:
            node.child("referenceValue").fail("intersection has none; did you mean reference_intersection_count?")
        return None
    if reference is None:
        node.need("referenceValue", "the string or strings to look for")
        raise AssertionError("need() has raised")
    place = node.child("referenceValue")
    if operation == "contains" and not (isinstance(reference, Constant) and reference.depth == 0):
        place.fail("contains looks for one string")
    if reference.kind != "string" or reference.depth > 1:
        place.fail(f"expected one list of strings, found {describe(reference)}; try flatten or set_intersection")
    return reference


def _latency(node: Node, name: str, names: Names) -> Rule:
    del names  # latencies are no attributes
    high, span, reference = node.get("maxLatency"), node.get("maxDistance"), node.get("distanceReference")
    if high is None and span is None:
        node.fail("a latency rule needs maxLatency, maxDistance or both")
    if (span is None) != (reference is None):
        node.fail("maxDistance and distanceReference ('min' or 'avg') come together")
    most = high.number(least=0) if high else None
    if high and most is not None and most > MAX_LATENCY_MS:
        high.fail(f"expected at most {MAX_LATENCY_MS} ms, found {most:g}")
    chosen = cast(Literal["min", "avg"], reference.choice(("min", "avg"))) if reference else None
    return Latency(name, most, span.number(least=0) if span else None, chosen, _party(node))


def _sort(node: Node, name: str, names: Names) -> Rule:
    kind = cast(Literal["absoluteSort", "distanceSort"], node.value["type"])
    types = ("number", "string_number_map", *(("string",) if kind == "absoluteSort" else ()))
    attribute, of_type = _attribute(node, "sortAttribute", names, types)
    direction = node.need("sortDirection", "ascending or descending").choice(("ascending", "descending"))
    key = node.get("mapKey")
    if (key is not None) != (of_type == "string_number_map"):
        node.fail("mapKey ('minValue' or 'maxValue') belongs to a string_number_map attribute, and to no other")
    chosen = cast(Literal["minValue", "maxValue"], key.choice(("minValue", "maxValue"))) if key else None
    return Sort(name, attribute, of_type, direction == "descending", chosen, _party(node), kind)


def _compound(node: Node, name: str, names: Names) -> Rule:
    del names  # rules are looked up when all are read
    return Compound(name, parse_statement(node.need("statement", "and(...), or(...), not(...) or xor(...)")))


_READERS: Final[Mapping[str, Callable[[Node, str, Names], Rule]]] = {
    "comparison": _comparison,
    "distance": _distance,
    "batchDistance": _batch_distance,
    "collection": _collection,
    "latency": _latency,
    "absoluteSort": _sort,
    "distanceSort": _sort,
    "compound": _compound,
}
