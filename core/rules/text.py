"""A rule set as its developer pastes it: JSON as GameLift takes it, or the same tree in YAML -> the tree.

YAML comes from strangers: only plain values are read, no aliases (a few lines of them can stand for gigabytes), and
no two values under one key, of which the second would silently win.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

import yaml

from core.errors import Invalid

MAX_BYTES: Final = 65_535  # GameLift's bound for a rule set
_Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where the wheel has it: ten times as fast


class _Loader(_Base):  # type: ignore[misc, valid-type]  # either of two classes
    """Plain values, no repeated keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                _refuse(f"the key {name!r} is no text: put it in quotes", key.start_mark)
            if name in seen:
                _refuse(f"the key {name!r} is there twice", key.start_mark)
            seen.add(name)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def tree_of(given: dict[str, Any] | str, pointer: str) -> dict[str, Any]:
    """The tree of a rule set. Raises Invalid at `pointer`, naming line and column of text that cannot be read."""
    if isinstance(given, dict):
        return given
    if len(given.encode()) > MAX_BYTES:
        raise Invalid(f"a rule set has at most {MAX_BYTES} bytes", pointer=pointer)
    try:
        for event in yaml.parse(given, _Base):
            if isinstance(event, yaml.AliasEvent):
                _refuse("aliases (*name) are not allowed", event.start_mark)
        read = yaml.load(given, _Loader)  # noqa: S506 - a safe loader; JSON is YAML too
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark
        where = f" in line {place.line + 1}, column {place.column + 1}" if place else ""
        raise Invalid(f"neither JSON nor YAML{where}: {error.problem}", pointer=pointer) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(f"neither JSON nor YAML: {type(error).__name__}", pointer=pointer) from None
    except Invalid as error:
        raise Invalid(error.detail, pointer=pointer) from None
    if not isinstance(read, dict):
        raise Invalid("a rule set is an object with ruleLanguageVersion, teams and rules", pointer=pointer)
    return read


def _refuse(what: str, mark: Any) -> NoReturn:
    raise Invalid(f"line {mark.line + 1}, column {mark.column + 1}: {what}")
