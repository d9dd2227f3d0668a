"""Walks a rule set's decoded tree (JSON or YAML) and refuses what does not fit, with a JSON pointer (RFC 6901).

A `Node` is a value, the pointer to it and what owns it, for the sentence ("rule 'FairSkill': ..."). Every getter
raises `core.errors.Invalid`, saying what was found and what is allowed. Nothing here knows the language: `parse`
does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from core.errors import Invalid

MAX_NAME: Final = 128  # characters of a name; they travel into metrics and logs
MAX_TEXT: Final = 2_000  # characters of an expression, a statement or a description
MAX_NUMBER: Final = 1e15  # beyond it neighbouring integers are no longer distinct in the sums of 200 players


def quoted(names: Iterable[object]) -> str:
    """The names of a choice as people read them: `'a', 'b' or 'c'`."""
    shown = [repr(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def shown(value: object) -> str:
    """A value in an error message, cut to a readable length."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {value.bit_length()} bits"  # Python refuses to write the longest ones out
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the tree. `pointer` is its place, `owner` whose it is ("rule 'X'", "" at the top)."""

    value: Any
    pointer: str = ""
    owner: str = ""

    def fail(self, detail: str) -> NoReturn:
        """Raise Invalid at this place."""
        raise Invalid(f"{self.owner}: {detail}" if self.owner else detail, pointer=self.pointer or "/")

    def owned(self, owner: str) -> Node:
        return Node(self.value, self.pointer, owner)

    def child(self, key: str | int) -> Node:
        """The value under `key`, which must be there."""
        name = str(key).replace("~", "~0").replace("/", "~1")
        return Node(self.value[key], f"{self.pointer}/{name}", self.owner)

    def get(self, key: str) -> Node | None:
        """The value under `key`; None if it is absent or null."""
        return self.child(key) if self.value.get(key) is not None else None

    def need(self, key: str, what: str) -> Node:
        """The value under `key`, or a refusal that says `what` it should be."""
        found = self.get(key)
        if found is None:
            self.fail(f"{key!r} is missing: {what}")
        return found

    def fields(self, allowed: Iterable[str]) -> Node:
        """This node as an object that has no other fields than `allowed`."""
        if not isinstance(self.value, dict):
            self.fail(f"expected an object, found {shown(self.value)}")
        names = (*allowed, "description")  # free text may stand anywhere: JSON has no comments
        for key in self.value:
            if key not in names:
                place = Node(None, f"{self.pointer}/{key}", self.owner)
                place.fail(f"{shown(key)} is not known here; allowed are {quoted(names)}")
        return self

    def items(self, what: str, *, most: int) -> Iterator[Node]:
        """The elements of a list of at most `most`."""
        if not isinstance(self.value, list | tuple):
            self.fail(f"expected a list of {what}, found {shown(self.value)}")
        if len(self.value) > most:
            self.fail(f"{len(self.value)} {what}; at most {most} are allowed")
        return (self.child(i) for i in range(len(self.value)))

    def text(self, *, longest: int = MAX_TEXT) -> str:
        if not isinstance(self.value, str):
            self.fail(f"expected a string, found {shown(self.value)}")
        if len(self.value) > longest:
            self.fail(f"{len(self.value)} characters; at most {longest} are allowed")
        return self.value

    def name(self) -> str:
        found = self.text(longest=MAX_NAME).strip()
        if not found or any(c in found for c in "[](),*"):
            self.fail(f"a name is 1-{MAX_NAME} characters without [ ] ( ) , and *; found {shown(self.value)}")
        return found

    def choice(self, options: Iterable[str]) -> str:
        options = tuple(options)
        if self.value not in options:
            self.fail(f"{shown(self.value)} is not allowed; use {quoted(options)}")
        return str(self.value)

    def number(self, *, least: float = -MAX_NUMBER) -> float:
        """A finite number of at least `least`. GameLift's own examples write some as strings ("500"): accepted."""
        value = self.value
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                value = None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(f"expected a number, found {shown(self.value)}")
        if not abs(value) <= MAX_NUMBER:  # false for NaN too, and no int is too long for it
            self.fail(f"expected a number between -1e15 and 1e15, found {shown(self.value)}")
        if value < least:
            self.fail(f"expected at least {least:g}, found {value:g}")
        return float(value)

    def integer(self, *, least: int, most: int) -> int:
        found = self.number()
        if found != int(found) or not least <= found <= most:
            self.fail(f"expected a whole number from {least} to {most}, found {shown(self.value)}")
        return int(found)
