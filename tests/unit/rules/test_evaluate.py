"""Every rule kind and expression on matches small enough to check by eye."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import Invalid
from core.model import TicketPlayer, Waiting
from core.rules import Party, check_ticket, parse
from matchmaker.rules import Finding, explain, first_failure, regions_for
from tests.unit.rules.samples import ALL, team, ticket, tree

SKILL = ALL.format("skill")
ROLES = ALL.format("roles")


def finding(rule: dict[str, Any], red: list[Waiting], blue: list[Waiting], *others: dict[str, Any]) -> Finding:
    """What the first rule finds in a match of red and blue."""
    teams = [team("red", 0, 9), team("blue", 1, 9)]
    rules = parse(tree(rule | {"name": "R"}, *others, teams=teams))
    parties = {"red": [Party(rules, t) for t in red], "blue": [Party(rules, t) for t in blue]}
    return explain(rules.stages[0], parties)[1]


def skilled(*numbers: float, **more: Any) -> list[Waiting]:
    """One ticket with a player of each skill."""
    return [ticket("t" + "-".join(map(str, numbers)), *({"skill": n, **more} for n in numbers))]


def roles(*lists: list[str]) -> list[Waiting]:
    """A ticket for each list of roles."""
    return [ticket(f"r{i}{''.join(words)}", {"roles": words}) for i, words in enumerate(lists)]


def compared(measured: str, operation: str, reference: Any = None, **more: Any) -> dict[str, Any]:
    """A comparison rule."""
    made = {"type": "comparison", "measurements": [measured], "operation": operation, **more}
    return made if reference is None else made | {"referenceValue": reference}


RED = [*skilled(1), *skilled(2), *skilled(6)]
BLUE = [*skilled(4), *skilled(8)]
EXPRESSIONS = {
    "teams[red].players.attributes[skill]": [1, 2, 6],
    "teams[*].players.attributes[skill]": [1, 2, 6, 4, 8],
    f"min({SKILL})": [1],
    f"max({SKILL})": [8],
    "avg(teams[red].players.attributes[skill])": [3],
    "avg(teams[*].players.attributes[skill])": [3, 6],
    "median(teams[*].players.attributes[skill])": [2, 6],
    "sum(teams[red,blue].players.attributes[skill])": [9, 12],
    "count(teams[red].players)": [3],
    "count(teams[*].players)": [3, 2],
    "count(teams[*])": [2],
    "stddev(teams[blue].players.attributes[skill])": [2],
    "max(avg(teams[*].players.attributes[skill]))": [6],
    f"count({SKILL})": [5],
    "count(flatten(teams[*].players[playerId]))": [5],
    "min(sum(teams[*].players.attributes[skill]))": [9],
    "count(set_intersection(flatten(teams[*].players.attributes[roles])))": [0],
    "count(set_intersection(teams[*].players.attributes[mode]))": [1],
}


@pytest.mark.parametrize(("expression", "values"), EXPRESSIONS.items(), ids=EXPRESSIONS)
def test_an_expression_has_the_value_the_guide_gives_it(expression: str, values: list[float]) -> None:
    """Selections list players by team; aggregates work on the innermost lists."""
    assert list(finding(compared(expression, ">=", 0), RED, BLUE).values) == values


PARTY = skilled(2, 4, 9)
RULES: dict[str, tuple[dict[str, Any], list[Waiting], list[Waiting], bool]] = {
    "every value is compared": (compared(SKILL, ">=", 2), skilled(2), skilled(1), False),
    "a reference may be an expression": (
        compared("max(teams[red].players.attributes[skill])", "<", "min(teams[blue].players.attributes[skill])"),
        skilled(3), skilled(4), True,
    ),
    "a party counts with its average": (compared(SKILL, "=", 5), PARTY, skilled(5), True),
    "a party counts with its least": (compared(SKILL, "<=", 2, partyAggregation="min"), PARTY, skilled(2), True),
    "a party counts with its most": (compared(SKILL, ">=", 9, partyAggregation="max"), PARTY, skilled(9), True),
    "a party counts once in an average": (compared(f"avg({SKILL})", "=", 6), PARTY, skilled(7), True),
    "all alike": (compared(ALL.format("mode"), "="), skilled(1), skilled(2, mode="casual"), False),
    "all alike in each team": (
        compared("teams[*].players.attributes[mode]", "="), skilled(1), skilled(2, mode="casual"), True,
    ),
    "all different": (compared(SKILL, "!="), [*skilled(1), *skilled(2)], skilled(1), False),
    "words are compared for each player": (
        compared(ALL.format("mode"), "=", "ranked"), [ticket("p", {}, {"mode": "casual"})], skilled(1), False,
    ),
    "a distance from the average": (
        {"type": "distance", "measurements": [SKILL], "referenceValue": f"avg({SKILL})", "maxDistance": 2},
        skilled(1), skilled(5), True,
    ),
    "too far from the average": (
        {"type": "distance", "measurements": [SKILL], "referenceValue": f"avg({SKILL})", "maxDistance": 2},
        skilled(1), skilled(5.5), False,
    ),
    "too near": (
        {"type": "distance", "measurements": ["avg(teams[red].players.attributes[skill])"],
         "referenceValue": "avg(teams[blue].players.attributes[skill])", "minDistance": 3},
        skilled(1), skilled(3), False,
    ),
    "nothing to measure passes": (compared("avg(teams[red].players.attributes[skill])", ">", 99), [], skilled(1), True),
    "nothing to measure from fails": (
        compared(SKILL, ">=", "avg(teams[red].players.attributes[skill])"), [], skilled(1), False,
    ),
    "a batch within its distance": (
        {"type": "batchDistance", "batchAttribute": "skill", "maxDistance": 3}, PARTY, skilled(8), True,
    ),
    "a batch too wide": (
        {"type": "batchDistance", "batchAttribute": "skill", "maxDistance": "2.5"}, PARTY, skilled(8), False,
    ),
    "a batch too close": (
        {"type": "batchDistance", "batchAttribute": "skill", "minDistance": 2}, [*skilled(1), *skilled(9)], skilled(2),
        False,
    ),
    "a batch of one word": (
        {"type": "batchDistance", "batchAttribute": "mode"}, [ticket("p", {}, {"mode": "casual"})], skilled(1), False,
    ),
    "strings in common": (
        {"type": "collection", "operation": "intersection", "measurements": ROLES, "minCount": 1},
        roles(["a", "b"]), roles(["b", "c"], ["b"]), True,
    ),
    "no string in common": (
        {"type": "collection", "operation": "intersection", "measurements": ROLES, "minCount": 1},
        roles(["a", "b"]), roles(["b"], ["a"]), False,
    ),
    "a count over the match": (
        {"type": "collection", "operation": "contains", "measurements": ROLES, "referenceValue": "a", "maxCount": 1},
        roles(["a"]), roles(["a"]), False,
    ),
    "a count in each team": (
        {"type": "collection", "operation": "contains", "referenceValue": "a", "maxCount": 1,
         "measurements": "teams[*].players.attributes[roles]"},
        roles(["a"]), roles(["a"]), True,
    ),
    "a party is one collection, united": (
        {"type": "collection", "operation": "contains", "measurements": ROLES, "referenceValue": "a", "minCount": 2},
        [ticket("p", {"roles": ["a"]}, {"roles": ["a"]})], roles(["b"]), False,
    ),
    "a party is one collection, what it shares": (
        {"type": "collection", "operation": "contains", "measurements": ROLES, "referenceValue": "a", "minCount": 1,
         "partyAggregation": "intersection"},
        [ticket("p", {"roles": ["a"]}, {"roles": ["b"]})], roles(["b"]), False,
    ),
    "plain words are counted by player": (
        {"type": "collection", "operation": "contains", "measurements": "teams[red].players.attributes[mode]",
         "referenceValue": "ranked", "minCount": 2},
        [ticket("p", {}, {})], skilled(1), True,
    ),
    "each collection meets the reference": (
        {"type": "collection", "operation": "reference_intersection_count", "measurements": ROLES,
         "referenceValue": ["a", "b"], "minCount": 1},
        roles(["a"]), roles(["b", "z"]), True,
    ),
    "one collection does not": (
        {"type": "collection", "operation": "reference_intersection_count", "measurements": ROLES,
         "referenceValue": f"set_intersection({ROLES})", "minCount": 1},
        roles(["a"]), roles(["b"]), False,
    ),
    "a block list": (
        {"type": "collection", "operation": "reference_intersection_count", "measurements": ROLES,
         "referenceValue": "flatten(teams[*].players[playerId])", "maxCount": 0},
        [ticket("p", {"roles": ["q0"]})], [ticket("q")], False,
    ),
    "sorting forbids nothing": (
        {"type": "distanceSort", "sortAttribute": "skill", "sortDirection": "ascending"}, skilled(1), skilled(9), True,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "red", "blue", "passed"), RULES.values(), ids=RULES)
def test_a_rule_judges_as_the_guide_says(
    rule: dict[str, Any], red: list[Waiting], blue: list[Waiting], passed: bool
) -> None:
    """One match for each thing a rule kind may say."""
    assert finding(rule, red, blue).passed is passed


EU, BOTH, US = {"eu": 30.0}, {"eu": 60.0, "us": 40.0}, {"us": 20.0}
LATENCIES = {
    "a common region": ({"maxLatency": 60}, EU, BOTH, True),
    "too slow there": ({"maxLatency": 59}, EU, BOTH, False),
    "no common region": ({"maxLatency": 90}, EU, US, False),
    "nothing reported": ({"maxLatency": 90}, EU, {}, False),
    "near the fastest": ({"maxDistance": 20, "distanceReference": "min"}, BOTH, US, True),
    "far from the fastest": ({"maxDistance": 19, "distanceReference": "min"}, BOTH, US, False),
    "near the average": ({"maxDistance": 10, "distanceReference": "avg"}, BOTH, US, True),
}


@pytest.mark.parametrize(("limits", "red", "blue", "passed"), LATENCIES.values(), ids=LATENCIES)
def test_a_latency_rule_wants_one_region_for_all(
    limits: dict[str, Any], red: dict[str, float], blue: dict[str, float], passed: bool
) -> None:
    """A region counts if every ticket reported it and is within the bounds there."""
    match = [ticket("a", latencies=red)], [ticket("b", latencies=blue)]
    assert finding({"type": "latency", **limits}, *match).passed is passed


def test_a_party_reports_a_region_only_together() -> None:
    """A region one player did not measure is no region of the ticket; the others' values are aggregated."""
    rules = parse(tree({"name": "R", "type": "latency", "maxLatency": 50, "partyAggregation": "max"}))
    pair = Waiting("p", 0, [TicketPlayer("a", "", {}, {"eu": 40, "us": 10}), TicketPlayer("b", "", {}, {"eu": 60})])
    assert dict(Party(rules, pair).latencies("max")) == {"eu": 60}


def test_the_nearest_suiting_region_is_chosen() -> None:
    """Regions come in order of average latency over players, those a rule refuses left out."""
    rules = parse(tree({"name": "R", "type": "latency", "maxLatency": 50}))
    near = Party(rules, ticket("a", latencies={"eu": 10, "us": 30, "ap": 5}))
    far = Party(rules, ticket("b", latencies={"eu": 50, "us": 20, "ap": 90}))
    assert regions_for(rules.stages[0], {"red": [near], "blue": [far]}) == ["us", "eu"]


def test_latency_rules_have_to_agree_on_a_region() -> None:
    """A match is played in one region: two rules that each find another do not both pass."""
    first = {"name": "Near", "type": "latency", "maxLatency": 30}
    second = {"name": "Even", "type": "latency", "maxDistance": 5, "distanceReference": "min"}
    rules = parse(tree(first, second))
    a = Party(rules, ticket("a", latencies={"eu": 10, "us": 50}))
    b = Party(rules, ticket("b", latencies={"eu": 30, "us": 52}))
    assert first_failure(rules.stages[0], {"red": [a], "blue": [b]}) == "Even"


@pytest.mark.parametrize(
    ("statement", "passed"),
    [("and(High, Low)", False), ("or(High, Low)", True), ("xor(High, Low)", True), ("and(not(High), not(Low))", False),
     ("or(and(High, Low), not(Low))", True), ("xor(High, not(Low))", False)],
)  # fmt: skip
def test_a_compound_frees_the_rules_it_names(statement: str, passed: bool) -> None:
    """Only the statement has to hold; the rules in it are looked at and no longer required."""
    high, low = compared(SKILL, ">", 5) | {"name": "High"}, compared(SKILL, "<", 5) | {"name": "Low"}
    rules = parse(tree(high, low, {"name": "C", "type": "compound", "statement": statement}))
    teams = {"red": [Party(rules, t) for t in skilled(8)], "blue": [Party(rules, t) for t in skilled(9)]}
    found = {f.rule: f for f in explain(rules.stages[0], teams)}
    assert found["C"].passed is passed
    assert (found["High"].passed, found["High"].required, found["Low"].required) == (True, False, False)
    assert first_failure(rules.stages[0], teams) == (None if passed else "C")


def test_an_explanation_shows_values_and_what_was_wanted() -> None:
    """A finding holds what was measured, against what, and the bound in words."""
    rule = {"type": "distance", "measurements": [SKILL], "referenceValue": 3, "maxDistance": 2}
    found = finding(rule, skilled(1), skilled(6))
    assert found == Finding("R", "distance", False, True, "within 2", (1.0, 6.0), (3.0,))


def test_a_team_out_of_bounds_fails_first() -> None:
    """Bounds are judged like a rule named "teams"."""
    rules = parse(tree())
    full = [Party(rules, ticket("p", {}, {}, {}))]
    assert first_failure(rules.stages[0], {"red": full, "blue": full}) == "teams"


BAD_TICKETS = {
    "another type": ([TicketPlayer("a", "", {"skill": "high"})], "/players/0/attributes/skill"),
    "a bool for a number": ([TicketPlayer("a", "", {"skill": True})], "/players/0/attributes/skill"),
    "not a number": ([TicketPlayer("a", "", {"skill": float("nan")})], "/players/0/attributes/skill"),
    "a string for a list": ([TicketPlayer("a", "", {"roles": "tank"})], "/players/0/attributes/roles"),
    "numbers in a list": ([TicketPlayer("a", "", {"roles": [1]})], "/players/0/attributes/roles/0"),  # type: ignore[list-item]
    "words in a map": (
        [TicketPlayer("a", "", {"maps": {"dust": "x"}})], "/players/0/attributes/maps/dust",  # type: ignore[dict-item]
    ),
    "a list too long": ([TicketPlayer("a", "", {"roles": ["x"] * 101})], "/players/0/attributes/roles"),
    "a value missing": ([TicketPlayer("a"), TicketPlayer("b", "", {"rank": 1})], "/players/0/attributes/rank"),
    "nobody": ([], "/players"),
    "the same player twice": ([TicketPlayer("a"), TicketPlayer("a")], "/players"),
    "more than fit a team": ([TicketPlayer(name) for name in "abc"], "/players"),
    "a latency that is none": ([TicketPlayer("a", "", {"rank": 1}, {"eu": float("nan")})], "/players/0/latencies/eu"),
}  # fmt: skip


@pytest.mark.parametrize(("players", "pointer"), BAD_TICKETS.values(), ids=BAD_TICKETS)
def test_a_ticket_that_cannot_queue_is_refused_at_the_door(players: list[TicketPlayer], pointer: str) -> None:
    """Wrong types, missing values and parties larger than any team are refused with their place."""
    usual = tree()
    rules = parse(usual | {"playerAttributes": [*usual["playerAttributes"], {"name": "rank", "type": "number"}]})
    for player in players:
        if "rank" not in player.attributes and pointer != "/players/0/attributes/rank":
            player.attributes["rank"] = 1.0
    with pytest.raises(Invalid) as refused:
        check_ticket(rules, players)
    assert refused.value.pointer == pointer


def test_undeclared_attributes_are_for_the_game() -> None:
    """What the rule set does not declare is passed over, whatever its type."""
    check_ticket(parse(tree()), [TicketPlayer("a", "", {"hat": "red", "skill": 3.0})])
