"""Compound statements: `or(and(Serious, Close), not(Ranked))`, the names they use, and the order they may use them in.

A statement may name other compound rules. A circle of them is refused by name before anything else, since it is the
mistake behind the other complaints; then, as in GameLift, whatever a statement names must stand above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from core.rules.model import Compound, Operation, Rule
from core.rules.reader import Node, quoted, shown

OPERATORS: Final = ("and", "or", "not", "xor")
MAX_NESTING: Final = 16
_PART = re.compile(r"\s*([^(),]*)")


def parse_statement(node: Node) -> Operation:
    """Read a statement. Raises Invalid at `node` for syntax and wrong numbers of arguments; names are not looked up."""
    text = node.text()
    found, end = _operation(node, text, 0, 0)
    if text[end:].strip():
        node.fail(f"in {shown(text)}: nothing may follow character {end}")
    if isinstance(found, str):
        node.fail(f"{shown(text)} is not a statement; write and(...), or(...), not(...) or xor(...) over rule names")
    return found


def _operation(node: Node, text: str, at: int, nesting: int) -> tuple[str | Operation, int]:
    """The operation or name that starts at `at`, and where it ends."""
    part = _PART.match(text, at)
    assert part is not None, "the pattern matches the empty string too"
    word, at = part.group(1).strip(), part.end()
    if not word:
        node.fail(f"in {shown(text)}: expected a rule name or an operator at character {at + 1}")
    if text[at : at + 1] != "(":
        return word, at
    if word not in OPERATORS:
        node.fail(f"in {shown(text)}: {word!r} is not an operator; use {quoted(OPERATORS)}")
    if nesting == MAX_NESTING:
        node.fail(f"operators are nested more than {MAX_NESTING} deep")
    arguments: list[str | Operation] = []
    while not arguments or text[at : at + 1] == ",":
        argument, at = _operation(node, text, at + 1, nesting + 1)
        arguments.append(argument)
        at += len(text[at:]) - len(text[at:].lstrip())
    if text[at : at + 1] != ")":
        node.fail(f"in {shown(text)}: a '(' is not closed at character {at + 1}")
    if (word == "not") != (len(arguments) == 1):
        node.fail(f"{word} takes {'one argument' if word == 'not' else 'two or more'}, not {len(arguments)}")
    return Operation(word, tuple(arguments)), at + 1  # type: ignore[arg-type]  # one of OPERATORS


def names_in(operation: Operation) -> Iterator[str]:
    """The rule names of a statement, from left to right."""
    for argument in operation.arguments:
        if isinstance(argument, str):
            yield argument
        else:
            yield from names_in(argument)


def holds(operation: Operation, truth: Mapping[str, bool]) -> bool:
    """The value of a statement where `truth` says which rules hold. `xor` is true if exactly one argument is."""
    values = [truth[a] if isinstance(a, str) else holds(a, truth) for a in operation.arguments]
    match operation.operator:
        case "and":
            return all(values)
        case "or":
            return any(values)
        case "xor":
            return values.count(True) == 1
        case _:
            return not values[0]


def check_compounds(rules: tuple[Rule, ...], nodes: Mapping[str, Node]) -> None:
    """Raise Invalid where a statement goes in a circle, or names what it may not. `nodes` are the statements'."""
    known = {rule.name: rule for rule in rules}
    order = {rule.name: i for i, rule in enumerate(rules)}
    compounds = {rule.name: rule for rule in rules if isinstance(rule, Compound)}
    _check_circles(compounds, nodes)
    for rule in compounds.values():
        for name in names_in(rule.statement):
            named = known.get(name)
            if named is None:
                nodes[rule.name].fail(f"there is no rule {name!r}; known are {quoted(list(known)[:20])}")
            if named.kind in ("batchDistance", "absoluteSort", "distanceSort"):
                nodes[rule.name].fail(f"{name!r} is a {named.kind} rule, which a statement may not use")
            if order[name] > order[rule.name]:
                nodes[rule.name].fail(f"{name!r} is defined later; move it above this rule")


def _check_circles(compounds: Mapping[str, Compound], nodes: Mapping[str, Node]) -> None:
    """Depth-first over the compounds; a name met again on the way down closes a circle."""
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " -> ".join((*way[way.index(name) :], name))
            nodes[name].fail(f"compound rules go in a circle: {circle}")
        if name in done or name not in compounds:
            return
        for inner in names_in(compounds[name].statement):
            visit(inner, (*way, name))
        done.add(name)

    for name in compounds:
        visit(name, ())
