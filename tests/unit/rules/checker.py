"""An independent judge of matches, written straight from the language's description: slow, obvious, no shared code.

It reads the raw rule set and the raw tickets, knows nothing of stages, columns or facts, and answers the names of the
rules a match breaks. It takes for granted that the parser has accepted the rule set.
"""

from __future__ import annotations

import copy
import itertools
import math
import operator as op
import re
import statistics
from typing import Any

from core.model import TicketPlayer, Waiting

Teams = dict[str, list[Waiting]]
THERE = -1  # since_ms of tickets that already play in a match to be backfilled: they do not count for expansions


def broken(tree: dict[str, Any], teams: Teams, now_ms: int, *, asked_ms: int | None = None) -> set[str]:
    """The rules a match breaks at `now_ms`; "teams" for a wrong number of players. `asked_ms`: when a backfill was."""
    since = [t.since_ms for tickets in teams.values() for t in tickets if t.since_ms != THERE]
    since += [] if asked_ms is None else [asked_ms]
    oldest = tree.get("algorithm", {}).get("expansionAgeSelection") == "oldest"
    tree = expanded(tree, now_ms - (min(since) if oldest else max(since)))
    judge = Judge(tree, teams)
    found = set()
    for team in tree["teams"]:
        for name in instances(team):
            if not team["minPlayers"] <= sum(len(t.players) for t in teams[name]) <= team["maxPlayers"]:
                found.add("teams")
    rules = tree.get("rules", [])
    named = {w for r in rules if r["type"] == "compound" for w in re.findall(r"[^(),\s]+", r["statement"])}
    required = [rule for rule in rules if rule["name"] not in named]
    regions: set[str] | None = None
    for rule in required:
        if rule["type"] == "latency":
            suited = judge.regions(rule)
            regions = suited if regions is None else regions & suited
            if not regions:
                found.add(rule["name"])
        elif not judge.holds(rule):
            found.add(rule["name"])
    return found


def expanded(tree: dict[str, Any], wait_ms: int) -> dict[str, Any]:
    """The rule set as it stands after a wait."""
    tree = copy.deepcopy(tree)
    for expansion in tree.get("expansions", []):
        due = [step for step in expansion["steps"] if step["waitTimeSeconds"] * 1000 <= wait_ms]
        if due:
            value = max(due, key=lambda step: step["waitTimeSeconds"])["value"]
            group, name, field = re.findall(r"(\w+)\[(.*)\]\.(\w+)", expansion["target"])[0]
            next(each for each in tree[group] if each["name"] == name)[field] = value
    return tree


def instances(team: dict[str, Any]) -> list[str]:
    """The names of the teams a definition stands for."""
    count = team.get("quantity", 1)
    return [team["name"]] if count == 1 else [f"{team['name']}_{i + 1}" for i in range(count)]


class Judge:
    """Judges the rules of one match. Values travel as (depth, value): 0 is one value, 1 a list, 2 a list of lists."""

    def __init__(self, tree: dict[str, Any], teams: Teams) -> None:
        self.tree, self.teams = tree, teams
        self.declared = {a["name"]: a for a in tree.get("playerAttributes", [])}
        self.tickets = [ticket for tickets in teams.values() for ticket in tickets]

    def own(self, player: TicketPlayer, name: str) -> Any:
        return player.attributes.get(name, self.declared[name].get("default"))

    def number(self, ticket: Waiting, name: str, party: str) -> float:
        return summed([self.own(player, name) for player in ticket.players], party)

    # --- expressions -----------------------------------------------------------------------------------------------

    def value(self, text: str, party: str) -> tuple[int, Any]:
        text = text.strip()
        call = re.fullmatch(r"(\w+)\s*\((.*)\)", text, re.DOTALL)
        if call is None:
            return self.path(text, party)
        depth, inner = self.value(call.group(2), party)
        if call.group(1) == "flatten":
            return depth - 1, list(itertools.chain.from_iterable(inner))
        levels = 2 if call.group(1) == "set_intersection" else 1
        return depth - 1, deep(call.group(1), inner, depth - levels)

    def path(self, text: str, party: str) -> tuple[int, Any]:
        names, rest = re.findall(r"teams?\s*\[(.*?)\]\s*\.\s*players(.*)", text)[0]
        chosen: list[str] = []
        for name in (part.strip() for part in names.split(",")):
            for team in self.tree["teams"]:
                if name in ("*", team["name"]):
                    chosen += instances(team)
                elif name in instances(team):
                    chosen.append(name)
        groups = [[v for t in self.teams[n] for v in self.given(t, rest, party)] for n in dict.fromkeys(chosen)]
        grouped = names.strip() == "*" or len(groups) > 1
        lists = "attributes" in rest and self.declared[rest[12:-1]]["type"] == "string_list"
        return 1 + grouped + lists, groups if grouped else groups[0]

    def given(self, ticket: Waiting, rest: str, party: str) -> list[Any]:
        """What a ticket contributes: one value where the party counts as one, else one for each player."""
        if "attributes" not in rest:
            return [player.id for player in ticket.players]
        name = rest[12:-1]
        kind = self.declared[name]["type"]
        if kind == "number":
            return [self.number(ticket, name, party)]
        values = [self.own(player, name) for player in ticket.players]
        if kind == "string_list" and party == "union":
            return [set().union(*values)]
        if kind == "string_list" and party == "intersection":
            return [set(values[0]).intersection(*values)]
        return values

    # --- rules -----------------------------------------------------------------------------------------------------

    def holds(self, rule: dict[str, Any]) -> bool:
        return bool(getattr(self, rule["type"])(rule))

    def measured(self, rule: dict[str, Any]) -> list[tuple[int, Any]]:
        texts = rule["measurements"]
        default = "union" if rule["type"] == "collection" else "avg"
        party = rule.get("partyAggregation", default)
        return [self.value(text, party) for text in ([texts] if isinstance(texts, str) else texts)]

    def reference(self, rule: dict[str, Any]) -> list[Any]:
        """The reference as a flat list of values."""
        given = rule["referenceValue"]
        if isinstance(given, str) and re.match(r"\s*\w+\s*[\[(]", given):
            default = "union" if rule["type"] == "collection" else "avg"
            depth, value = self.value(given, rule.get("partyAggregation", default))
            return flat(depth, value)
        if isinstance(given, list):
            return given
        text = rule["type"] == "collection" or not re.fullmatch(r"[\d.]+", str(given))
        return [given if text else float(given)]

    def comparison(self, rule: dict[str, Any]) -> bool:
        measured = self.measured(rule)
        sign = rule["operation"]
        if "referenceValue" in rule:
            values = [v for depth, value in measured for v in flat(depth, value)]
            references = self.reference(rule)
            return not values or (bool(references) and all(SIGNS[sign](v, r) for v in values for r in references))
        groups = [[v for depth, v in measured if depth == 0 and v is not None]]
        groups += [group for depth, value in measured if depth for group in at_depth(depth, value, 1)]
        if sign == "=":
            return all(a == b for group in groups for a, b in itertools.combinations(group, 2))
        return all(a != b for group in groups for a, b in itertools.combinations(group, 2))

    def distance(self, rule: dict[str, Any]) -> bool:
        values = [v for depth, value in self.measured(rule) for v in flat(depth, value)]
        references = self.reference(rule)
        near = all(bounded(abs(v - r), rule, "Distance") for v in values for r in references)
        return not values or (bool(references) and near)

    def batchDistance(self, rule: dict[str, Any]) -> bool:  # noqa: N802  # named after the rule type
        name, party = rule["batchAttribute"], rule.get("partyAggregation", "avg")
        if self.declared[name]["type"] == "string":
            return len({self.own(player, name) for ticket in self.tickets for player in ticket.players}) <= 1
        values = [self.number(ticket, name, party) for ticket in self.tickets]
        return all(bounded(abs(a - b), rule, "Distance") for a, b in itertools.combinations(values, 2))

    def collection(self, rule: dict[str, Any]) -> bool:
        reference = self.reference(rule) if "referenceValue" in rule else []
        counts: list[int] = []
        for depth, value in self.measured(rule):
            if rule["operation"] == "contains":
                groups = [value] if depth == 1 else at_depth(depth, value, 2)
                for group in groups:
                    counts.append(sum(reference[0] in ([x] if isinstance(x, str) else x) for x in group))
                continue
            groups = [[value]] if depth == 1 else at_depth(depth, value, 2)
            for group in groups:
                if rule["operation"] == "intersection":
                    counts += [len(set(group[0]).intersection(*group))] if group else []
                else:
                    counts += [len(set(collection) & set(reference)) for collection in group]
        return all(bounded(count, rule, "Count") for count in counts)

    def latency(self, rule: dict[str, Any]) -> bool:
        return bool(self.regions(rule))

    def regions(self, rule: dict[str, Any]) -> set[str]:
        """The regions in which every ticket is within the rule's bounds."""
        party, suited = rule.get("partyAggregation", "avg"), set()
        for region in {region for ticket in self.tickets for player in ticket.players for region in player.latencies}:
            if not all(region in player.latencies for ticket in self.tickets for player in ticket.players):
                continue
            values = [summed([p.latencies[region] for p in ticket.players], party) for ticket in self.tickets]
            reference = min(values) if rule.get("distanceReference") == "min" else math.fsum(values) / len(values)
            if "maxLatency" in rule and any(value > rule["maxLatency"] for value in values):
                continue
            if "maxDistance" in rule and any(abs(value - reference) > rule["maxDistance"] for value in values):
                continue
            suited.add(region)
        return suited

    def absoluteSort(self, rule: dict[str, Any]) -> bool:  # noqa: N802  # named after the rule type
        return True

    distanceSort = absoluteSort  # noqa: N815

    def compound(self, rule: dict[str, Any]) -> bool:
        """Rewrite the statement as Python and let Python decide."""
        rules = {each["name"]: each for each in self.tree["rules"]}
        text = re.sub(
            r"([^(),\s]+)(?!\s*\()\b(?!\s*\()", lambda m: str(self.holds(rules[m.group(1)])), rule["statement"]
        )
        text = re.sub(r"\b(and|or|not|xor)\s*\(", r"_\1(", text)
        words = {
            "_and": lambda *a: all(a),
            "_or": lambda *a: any(a),
            "_not": lambda a: not a,
            "_xor": lambda *a: sum(a) == 1,
        }
        return bool(eval(text, {"__builtins__": {}}, words))


def summed(values: list[float], party: str) -> float:
    """A party's numbers as one."""
    return {"min": min, "max": max}.get(party, lambda v: math.fsum(v) / len(v))(values)


def deep(function: str, value: Any, levels: int) -> Any:
    """A function over the lists `levels` down; what has no value is dropped from its list."""
    if levels > 0:
        results = [deep(function, each, levels - 1) for each in value]
        return [result for result in results if result is not None]
    if function == "set_intersection":
        return sorted(set(value[0]).intersection(*value)) if value else []
    if function == "count":
        return len(value)
    if function == "sum":
        return math.fsum(value)
    if not value:
        return None
    functions: dict[str, Any] = {"min": min, "max": max, "median": statistics.median}
    if function == "avg":
        return math.fsum(value) / len(value)
    if function == "stddev":
        mean = math.fsum(value) / len(value)
        return math.sqrt(math.fsum((v - mean) ** 2 for v in value) / len(value))
    return functions[function](value)


def flat(depth: int, value: Any) -> list[Any]:
    """The single values of a value."""
    if depth == 0:
        return [] if value is None else [value]
    return [leaf for each in value for leaf in flat(depth - 1, each)]


def at_depth(depth: int, value: Any, wanted: int) -> list[Any]:
    """The parts of a value that are `wanted` deep."""
    return [value] if depth <= wanted else [part for each in value for part in at_depth(depth - 1, each, wanted)]


SIGNS = {"<": op.lt, "<=": op.le, "=": op.eq, "!=": op.ne, ">": op.gt, ">=": op.ge}


def bounded(value: float, rule: dict[str, Any], what: str) -> bool:
    """Whether a value is within the rule's min and max `what`."""
    low, high = rule.get(f"min{what}"), rule.get(f"max{what}")
    return (low is None or value >= float(low)) and (high is None or value <= float(high))
