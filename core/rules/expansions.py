"""Expansions: which field of the tree gets which value after which wait.

A step changes the tree and the whole tree is read again, so an expanded rule set obeys exactly the checks of a written
one, and any field can be a target. Targets are `rules[Name].field`, `teams[Name].field` (several names by commas) and
`algorithm.field`; `field[0]` reaches into a list. Fields that give a thing its identity cannot change under waiting
players. Source: developer guide, "Allow requirements to relax over time"; its waits are since the ticket, not since
the step before.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.rules.kinds import FIELDS
from core.rules.reader import Node, quoted

MAX_EXPANSIONS: Final = 50
MAX_STEPS: Final = 20  # of one expansion
MAX_STAGES: Final = 100  # distinct waits in a rule set: each is a rule set of its own
MAX_WAIT_S: Final = 43_200  # the longest request time-out

_TARGET = re.compile(r"(?:(rules|teams)\[([^\]]*)\]|(algorithm))\.([A-Za-z]+)(?:\[(\d+)\])?")
_TEAM_FIELDS: Final = ("minPlayers", "maxPlayers")
_ALGORITHM_FIELDS: Final = ("batchingPreference", "sortByAttributes", "backfillPriority")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: after `wait_ms`, `value` at each of `paths` (keys and indices from the root)."""

    wait_ms: int
    value: Any
    paths: tuple[tuple[str | int, ...], ...]
    place: Node


def read_steps(root: Node) -> list[Step]:
    """All steps of all expansions, by wait. Raises Invalid for targets that are unknown, fixed or with a wildcard."""
    steps: list[Step] = []
    field = root.get("expansions")
    for node in field.items("expansions", most=MAX_EXPANSIONS) if field else ():
        node.fields(("target", "steps"))
        target = node.need("target", "the field to change, e.g. rules[Skill].maxDistance")
        node = node.owned(f"expansion of {target.text()[:64]!r}")
        paths = _paths(root, target.owned(node.owner))
        waits: set[int] = set()
        for each in node.need("steps", "waitTimeSeconds and value, one or more").items("steps", most=MAX_STEPS):
            each.fields(("waitTimeSeconds", "value"))
            place = each.need("waitTimeSeconds", "seconds from 0 to 43200")
            wait_s = place.integer(least=0, most=MAX_WAIT_S)
            if wait_s in waits:
                place.fail(f"two steps wait {wait_s} seconds")
            waits.add(wait_s)
            value = each.need("value", "what the field becomes")
            steps.append(Step(wait_s * 1000, value.value, paths, value))
        if not waits:
            node.child("steps").fail("an expansion has at least one step")
    if field and len({step.wait_ms for step in steps}) > MAX_STAGES:
        field.fail(f"more than {MAX_STAGES} different waits")
    return sorted(steps, key=lambda step: step.wait_ms)


def lay_out(tree: Mapping[str, Any], steps: list[Step]) -> Iterator[tuple[int, dict[str, Any], list[Node]]]:
    """For each wait: (wait in ms, the tree from then on, the places of the steps taken then)."""
    changed = copy.deepcopy(dict(tree))
    for wait_ms in sorted({step.wait_ms for step in steps}):
        due = [step for step in steps if step.wait_ms == wait_ms]
        for step in due:
            for path in step.paths:
                _put(changed, path, step)
        yield wait_ms, copy.deepcopy(changed), [step.place for step in due]


def _put(tree: Any, path: tuple[str | int, ...], step: Step) -> None:
    for key in path[:-1]:
        tree = tree[key]
    last = path[-1]
    if isinstance(last, int) and (not isinstance(tree, list) or last >= len(tree)):
        step.place.fail(f"there is no element {last} to change")
    tree[last] = step.value


def _paths(root: Node, target: Node) -> tuple[tuple[str | int, ...], ...]:
    """Where the target points in the tree: one path for each name it lists."""
    found = _TARGET.fullmatch(target.text().strip())
    if "*" in target.text():
        target.fail("a target has no wildcard; write one expansion for each rule, or list team names with commas")
    if found is None:
        target.fail("a target is rules[Name].field, teams[Name].field or algorithm.field")
    group, names, algorithm, field, index = found.groups()
    tail: tuple[str | int, ...] = (field,) if index is None else (field, int(index))
    if algorithm:
        _allow(target, field, _ALGORITHM_FIELDS)
        if root.get("algorithm") is None:
            target.fail("there is no algorithm to change")
        return (("algorithm", *tail),)
    paths: list[tuple[str | int, ...]] = []
    for name in names.split(","):
        entries = root.value.get(group) or []
        index_of = next((i for i, e in enumerate(entries) if e["name"].strip() == name.strip()), None)
        if index_of is None:
            target.fail(f"there is no {group[:-1]} {name.strip()!r}; known are {quoted(e['name'] for e in entries)}")
        kind = entries[index_of].get("type")
        if kind == "compound":
            target.fail("a compound rule cannot expand; expand the rules it names")
        _allow(target, field, FIELDS[kind] if group == "rules" else _TEAM_FIELDS)
        paths.append((group, index_of, *tail))
    return tuple(paths)


def _allow(target: Node, field: str, allowed: tuple[str, ...]) -> None:
    if field not in allowed:
        target.fail(f"{field!r} cannot expand; {quoted(allowed)} can")
