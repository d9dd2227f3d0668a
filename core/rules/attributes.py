"""What a ticket brings: its players' attributes and latencies, checked at the door, completed, and summed per party.

A `Party` is a ticket as rules see it. FlexMatch lets one ticket give one value: `partyAggregation` makes the players'
numbers avg, min or max, their string lists a union or an intersection, and their latencies one per region.
Plain strings and ids are never merged: "all players in the request must meet the match requirements".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, cast

from msgspec import Struct

from core.errors import Invalid
from core.model import MAX_PLAYERS_PER_TICKET, TicketPlayer, Waiting
from core.rules.model import Attribute, RuleSet, Value
from core.rules.reader import Node, shown

MAX_STRING: Final = 256  # characters of an attribute's string
MAX_ENTRIES: Final = 100  # strings of a list, keys of a map


def check_value(node: Node, kind: str) -> Value:
    """`node` as a value of an attribute type, frozen. Raises Invalid for another type, NaN, and sizes beyond bounds."""
    if kind == "number":
        if isinstance(node.value, str):
            node.fail(f"expected a number, found {shown(node.value)}")
        return node.number()
    if kind == "string":
        return node.text(longest=MAX_STRING)
    if kind == "string_list":
        return tuple(each.text(longest=MAX_STRING) for each in node.items("strings", most=MAX_ENTRIES))
    if not isinstance(node.value, dict) or len(node.value) > MAX_ENTRIES:
        node.fail(f"expected a map of at most {MAX_ENTRIES} strings to numbers, found {shown(node.value)}")
    return {Node(key, node.pointer, node.owner).text(): node.child(key).number() for key in node.value}


def check_ticket(rules: RuleSet, players: Sequence[TicketPlayer]) -> None:
    """Raise Invalid if these players cannot queue together under `rules`; pointers start at `/players`."""
    if not 1 <= len(players) <= MAX_PLAYERS_PER_TICKET:
        raise Invalid(f"a ticket has 1 to {MAX_PLAYERS_PER_TICKET} players", pointer="/players")
    if len({player.id for player in players}) != len(players):
        raise Invalid("a player is on the ticket twice", pointer="/players")
    if len(players) > rules.largest_party:
        raise Invalid(
            f"a party of {len(players)} fits no team: the largest has {rules.largest_party} players", pointer="/players"
        )
    for i, player in enumerate(players):
        complete(rules.attributes, player, f"/players/{i}")
        for region, ms in player.latencies.items():
            if not math.isfinite(ms) or ms < 0:
                raise Invalid(f"a latency is 0 or more ms, found {ms}", pointer=f"/players/{i}/latencies/{region}")


def complete(declared: Mapping[str, Attribute], player: TicketPlayer, pointer: str = "") -> dict[str, Value]:
    """The declared attributes of a player, defaults filled in. Raises Invalid for a wrong type or a missing value.

    Attributes that the rule set does not declare are for the game server and are passed over.
    """
    found: dict[str, Value] = {}
    for name, attribute in declared.items():
        given = player.attributes.get(name)
        if given is None:
            if attribute.default is None:
                raise Invalid(
                    f"player {player.id!r} must bring the attribute {name!r} ({attribute.type}): it has no default",
                    pointer=f"{pointer}/attributes/{name}",
                )
            found[name] = attribute.default
        else:
            node = Node(given, f"{pointer}/attributes/{name}", f"attribute {name!r} is a {attribute.type}")
            found[name] = check_value(node, attribute.type)
    return found


class Member(Struct, frozen=True, gc=False):
    """A player of a party, attributes completed. A long queue has hundreds of thousands, hence `gc=False`."""

    id: str
    attributes: Mapping[str, Value]
    latencies: Mapping[str, float]


class Party:
    """A ticket as rules see it; sums are computed once."""

    __slots__ = ("_kept", "id", "players", "since_ms", "size")

    def __init__(self, rules: RuleSet, ticket: Waiting) -> None:
        """Raises Invalid as `check_ticket` does for attributes; sizes are the caller's."""
        self.id, self.since_ms, self.size = ticket.id, ticket.since_ms, len(ticket.players)
        self.players = tuple(Member(p.id, complete(rules.attributes, p), p.latencies) for p in ticket.players)
        self._kept: dict[tuple[str, str], object] = {}

    def number(self, attribute: str, how: str) -> float:
        """The party's avg, min or max of a number."""
        kept = self._kept.get((attribute, how))
        if kept is None:
            kept = aggregate([float(p.attributes[attribute]) for p in self.players], how)  # type: ignore[arg-type]  # checked
            self._kept[attribute, how] = kept
        return kept  # type: ignore[return-value]  # what was put there

    def strings(self, attribute: str, how: str) -> tuple[str, ...]:
        """The union or intersection of the players' string lists, sorted."""
        kept = self._kept.get((attribute, how))
        if kept is None:
            lists = [set(p.attributes[attribute]) for p in self.players]  # type: ignore[arg-type]  # checked
            kept = tuple(sorted(set.union(*lists) if how == "union" else set.intersection(*lists)))
            self._kept[attribute, how] = kept
        return kept  # type: ignore[return-value]  # what was put there

    def mapped(self, attribute: str, key: str, how: str) -> float | None:
        """The party's number under `key` of a map, over the players who have it; None if nobody has."""
        maps = [cast(Mapping[str, float], p.attributes[attribute]) for p in self.players]
        found = [numbers[key] for numbers in maps if key in numbers]
        return aggregate(found, how) if found else None

    def latencies(self, how: str) -> Mapping[str, float]:
        """Region -> the party's ms. A region counts only if every player reported it."""
        kept = self._kept.get(("", how))
        if kept is None:
            regions = set.intersection(*(set(p.latencies) for p in self.players))
            kept = {r: aggregate([float(p.latencies[r]) for p in self.players], how) for r in sorted(regions)}
            self._kept["", how] = kept
        return kept  # type: ignore[return-value]  # what was put there


def aggregate(values: Sequence[float], how: str) -> float:
    """min, max or avg of at least one number. The avg's sum is exact, so it does not depend on the order."""
    if len(values) == 1:
        return values[0]
    if how == "min":
        return min(values)
    return max(values) if how == "max" else math.fsum(values) / len(values)
