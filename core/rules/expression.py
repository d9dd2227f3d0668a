"""Property expressions: `avg(flatten(teams[*].players.attributes[skill]))`, read and typed before anybody plays.

Grammar (spaces are free; `team` is accepted for `teams`, as Amazon's own tables mix them):

    expression := function "(" expression ")" | path
    path       := "teams[" name {"," name} | "*" "]" [".players" ["[playerId]" | ".playerId" | ".attributes[" name "]"]]

A type is a kind and a depth: `teams[red].players.attributes[skill]` is a list of numbers (depth 1), the same of
`teams[*]` a list of lists (depth 2), grouped by team. An aggregate works on the innermost lists, so that on a list of
lists it answers a list; `flatten` joins the two outermost levels (Amazon's examples 3-6 depend on both).
Source: GameLift FlexMatch developer guide, "FlexMatch property expressions".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NoReturn

from core.rules.reader import Node, quoted, shown

Kind = Literal["number", "string", "map", "player", "team"]
NUMERIC: Final = ("min", "max", "avg", "median", "sum", "stddev")
FUNCTIONS: Final = (*NUMERIC, "count", "flatten", "set_intersection")
MAX_NESTING: Final = 16

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|[\[\]().,*])")
_LOOKS = re.compile(rf"\s*(teams?\s*\[|({'|'.join(FUNCTIONS)})\s*\()")


@dataclass(frozen=True, slots=True)
class Members:
    """What a path selects: the players of `teams`, or one thing of each. `grouped` keeps a list per team."""

    teams: tuple[str, ...]
    grouped: bool
    what: Literal["team", "player", "id", "attribute"]
    attribute: str
    kind: Kind
    depth: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function applied to an expression."""

    function: str
    argument: Expression
    kind: Kind
    depth: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written in the rule set: a number, a string, or a list of strings (depth 1)."""

    values: tuple[float, ...] | tuple[str, ...]
    kind: Kind
    depth: int


Expression = Members | Call | Constant


@dataclass(frozen=True, slots=True)
class Names:
    """What expressions may refer to: `teams` maps a written name to the teams it stands for, `attributes` to types.

    A definition with `quantity` 3 named `trio` is known as `trio` (all three) and as `trio_1` to `trio_3`.
    """

    teams: Mapping[str, tuple[str, ...]]
    every: tuple[str, ...]
    attributes: Mapping[str, str]


def is_expression(text: str) -> bool:
    """Whether a referenceValue is meant as an expression rather than as a string to compare with."""
    return _LOOKS.match(text) is not None


def parse_expression(node: Node, names: Names) -> Expression:
    """Read one expression. Raises Invalid at `node` for syntax, unknown names and types that do not fit."""
    return _Parser(node, names).whole()


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, node: Node, names: Names) -> None:
        self.node, self.names, self.text = node, names, node.text()
        self.at = 0

    def fail(self, detail: str) -> NoReturn:
        self.node.fail(f"in {shown(self.text)}: {detail}")

    def peek(self) -> str:
        found = _TOKEN.match(self.text, self.at)
        return found.group(1) if found else self.text[self.at :].strip()[:1]

    def take(self, wanted: str) -> None:
        if self.peek() != wanted:
            self.fail(f"expected {wanted!r} at character {self.at + 1}, found {shown(self.peek() or 'the end')}")
        self.at = self.text.index(wanted, self.at) + len(wanted)

    def whole(self) -> Expression:
        found = self.expression(0)
        if self.text[self.at :].strip():
            self.fail(f"nothing may follow character {self.at}")
        return found

    def expression(self, nesting: int) -> Expression:
        word = self.peek()
        if word in ("team", "teams"):
            return self.path(word)
        if word not in FUNCTIONS:
            self.fail(f"{shown(word)} is not known; use teams[...] or a function: {quoted(FUNCTIONS)}")
        if nesting == MAX_NESTING:
            self.fail(f"functions are nested more than {MAX_NESTING} deep")
        self.take(word)
        self.take("(")
        argument = self.expression(nesting + 1)
        self.take(")")
        return self.call(word, argument)

    def call(self, function: str, argument: Expression) -> Call:
        """Type the call, or say what the function works on."""
        kind, depth = argument.kind, argument.depth
        if function in NUMERIC:
            fits, kind, depth, needs = kind == "number" and depth >= 1, "number", depth - 1, "a list of numbers"
        elif function == "count":
            fits, kind, depth, needs = depth >= 1, "number", depth - 1, "a list"
        elif function == "flatten":
            fits, depth, needs = depth >= 2, depth - 1, "a list of lists"
        else:
            fits, depth, needs = kind == "string" and depth >= 2, depth - 1, "a list of lists of strings"
        if not fits:
            self.fail(f"{function} works on {needs}, not on {describe(argument)}")
        return Call(function, argument, kind, depth)

    def path(self, word: str) -> Members:
        self.take(word)
        teams, grouped = self.teams()
        if self.peek() != ".":
            return Members(teams, grouped, "team", "", "team", int(grouped))
        self.take(".")
        self.take("players")
        depth = 2 if grouped else 1
        if self.peek() == "[":
            self.word_in_brackets("playerId")
            return Members(teams, grouped, "id", "", "string", depth)
        if self.peek() != ".":
            return Members(teams, grouped, "player", "", "player", depth)
        self.take(".")
        if self.peek() == "playerId":
            self.take("playerId")
            return Members(teams, grouped, "id", "", "string", depth)
        self.take("attributes")
        name = self.bracketed()
        declared = self.names.attributes.get(name)
        if declared is None:
            self.fail(f"player attribute {name!r} is not in playerAttributes{_hint(self.names.attributes)}")
        kind: Kind = "number" if declared == "number" else "map" if declared == "string_number_map" else "string"
        return Members(teams, grouped, "attribute", name, kind, depth + (declared == "string_list"))

    def teams(self) -> tuple[tuple[str, ...], bool]:
        """The teams of `[red,blue]`, and whether their players come as a list per team."""
        written = [name.strip() for name in self.bracketed().split(",")]
        if written == ["*"]:
            return self.names.every, True
        found: list[str] = []
        for name in written:
            if name not in self.names.teams:
                self.fail(f"there is no team {name!r}{_hint(self.names.teams)}")
            found += self.names.teams[name]
        return tuple(dict.fromkeys(found)), len(found) > 1

    def bracketed(self) -> str:
        self.take("[")
        end = self.text.find("]", self.at)
        if end < 0:
            self.fail("a '[' is not closed")
        inner = self.text[self.at : end].strip()
        self.at = end + 1
        return inner

    def word_in_brackets(self, word: str) -> None:
        found = self.bracketed()
        if found.lower() != word.lower():  # one of Amazon's tables writes [playerid]
            self.fail(f"players[{found}] is not known; use players[{word}] or players.attributes[name]")


def constant(values: Sequence[float] | Sequence[str]) -> Constant:
    """A literal of the rule set: one value is a scalar, more are a list of strings."""
    kind: Kind = "number" if values and isinstance(values[0], float) else "string"
    return Constant(tuple(values), kind, 0 if len(values) == 1 else 1)  # type: ignore[arg-type]  # all of one kind


def describe(expression: Expression) -> str:
    """A type in words: 'a list of lists of numbers'."""
    if expression.depth == 0:
        return f"one {expression.kind}"
    return f"a list{' of lists' * (expression.depth - 1)} of {expression.kind}s"


def _hint(known: Mapping[str, object]) -> str:
    return f"; known are {quoted(list(known)[:20])}" if known else "; none is declared"
