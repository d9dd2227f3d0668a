"""Rule sets that must be read as they are, and mistakes that must be refused with the place and what is allowed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.errors import Invalid
from core.rules import parse
from tests.unit.rules.samples import ALL, ATTRIBUTES, team, tree

SKILL = ALL.format("skill")
GOOD = {"name": "R", "type": "distance", "measurements": [SKILL], "referenceValue": f"avg({SKILL})", "maxDistance": 5}


def rule(**changes: Any) -> dict[str, Any]:
    """The good rule with some fields changed; None takes one out."""
    return {key: value for key, value in (GOOD | changes).items() if value is not None}


def compared(measured: Any, reference: Any = None, operation: str = "=") -> dict[str, Any]:
    """A comparison rule."""
    made = {"name": "R", "type": "comparison", "measurements": measured, "operation": operation}
    return made if reference is None else made | {"referenceValue": reference}


def expanding(target: str, value: Any = 9, wait: Any = 5) -> dict[str, Any]:
    """The good rule set with one expansion."""
    return tree(rule(), expansions=[{"target": target, "steps": [{"waitTimeSeconds": wait, "value": value}]}])


def compounds(*statements: str) -> dict[str, Any]:
    """The good rule, and compound rules C0, C1 ... over it."""
    made = [{"name": f"C{i}", "type": "compound", "statement": text} for i, text in enumerate(statements)]
    return tree(rule(), *made)


LARGE = {"strategy": "balanced", "balancedAttribute": "skill"}
MANY = [{"name": f"a{i}", "type": "number"} for i in range(10_000)]
REFUSED = {
    "no version": ({"teams": [team("a", 1, 1)]}, "/", "ruleLanguageVersion"),
    "other version": (tree(ruleLanguageVersion="2.0"), "/ruleLanguageVersion", "'1.0'"),
    "unknown field": (tree(ruels=[]), "/ruels", "'rules'"),
    "no teams": (tree(teams=[]) | {"teams": []}, "/teams", "at least one team"),
    "team bounds": (tree(teams=[team("a", 3, 2)]), "/teams/0/minPlayers", "minPlayers 3 is more than maxPlayers 2"),
    "team of nobody": (tree(teams=[team("a", 0, 2)]), "/teams", "need nobody"),
    "team size no number": (tree(teams=[team("a", 1, "many")]), "/teams/0/maxPlayers", "expected a number"),
    "team size broken": (tree(teams=[team("a", 1, 1.5)]), "/teams/0/maxPlayers", "whole number"),
    "team huge": (tree(teams=[team("a", 1, 10**9)]), "/teams/0/maxPlayers", "from 1 to 200"),
    "teams too many players": (tree(teams=[team("a", 1, 50, quantity=5)], algorithm=LARGE), "/teams", "at most 200"),
    "team twice": (tree(teams=[team("a", 1, 1), team("a", 1, 1)]), "/teams/1/name", "two teams"),
    "team numbered twice": (tree(teams=[team("a", 1, 1, quantity=2), team("a_1", 1, 1)]), "/teams", "numbered"),
    "attributes too many": (tree(playerAttributes=MANY), "/playerAttributes", "at most 50"),
    "attribute type": (
        tree(playerAttributes=[{"name": "x", "type": "integer"}]), "/playerAttributes/0/type", "'string_number_map'",
    ),
    "default of other type": (
        tree(playerAttributes=[{"name": "x", "type": "number", "default": "10"}]), "/playerAttributes/0/default",
        "expected a number",
    ),
    "rule twice": (tree(rule(), rule()), "/rules/1/name", "two rules are named 'R'"),
    "rule type": (tree(rule(type="distnace")), "/rules/0/type", "'distnace' is not allowed"),
    "rule field of another kind": (tree(rule(minCount=1)), "/rules/0/minCount", "rule 'R'"),
    "NaN": (tree(rule(maxDistance=float("nan"))), "/rules/0/maxDistance", "1e15"),
    "infinite": (tree(rule(maxDistance=float("inf"))), "/rules/0/maxDistance", "1e15"),
    "huge": (tree(rule(maxDistance=10**400)), "/rules/0/maxDistance", "1e15"),
    "longer than Python writes": (tree(rule(maxDistance=10**6000)), "/rules/0/maxDistance", "bits"),
    "bool": (tree(rule(maxDistance=True)), "/rules/0/maxDistance", "expected a number"),
    "no distance": (tree(rule(maxDistance=None)), "/rules/0", "maxDistance, minDistance or both"),
    "impossible distance": (tree(rule(minDistance=9)), "/rules/0/minDistance", "nobody can be both"),
    "aggregation": (tree(rule(partyAggregation="union")), "/rules/0/partyAggregation", "'avg', 'min' or 'max'"),
    "unknown team": (tree(compared("count(teams[green].players)", 1)), "/rules/0/measurements", "'green'"),
    "unknown attribute": (tree(compared("teams[red].players.attributes[elo]", 1)), "/rules/0/measurements", "'elo'"),
    "unknown function": (tree(compared("mean(teams[red].players)", 1)), "/rules/0/measurements", "'median'"),
    "open bracket": (tree(compared("avg(teams[red.players", 1)), "/rules/0/measurements", "not closed"),
    "trailing": (tree(compared(["count(teams[red].players) + 1"], 1)), "/rules/0/measurements/0", "nothing may follow"),
    "avg of one": (tree(compared("avg(count(teams[red].players))", 1)), "/rules/0/measurements", "one number"),
    "avg of words": (tree(compared("avg(teams[red].players.attributes[mode])", 1)), "/rules/0/measurements", "numbers"),
    "flatten of a list": (tree(compared("flatten(teams[red].players)", 1)), "/rules/0/measurements", "list of lists"),
    "too deep": (tree(compared("min(" * 40 + SKILL + ")" * 40, 1)), "/rules/0/measurements", "deep"),
    "order of words": (
        tree(compared("teams[red].players.attributes[mode]", "x", "<")), "/rules/0/operation", "'=' or '!='",
    ),
    "order without reference": (tree(compared(SKILL, None, ">")), "/rules/0/operation", "'=' or '!='"),
    "word against number": (tree(compared(SKILL, "many")), "/rules/0/referenceValue", "expected a number"),
    "map measured": (
        tree(compared("teams[red].players.attributes[maps]", 1)), "/rules/0/measurements", "'number' or 'string'",
    ),
    "batch of lists": (
        tree({"name": "R", "type": "batchDistance", "batchAttribute": "roles"}), "/rules/0/batchAttribute", "'number'",
    ),
    "batch without bound": (
        tree({"name": "R", "type": "batchDistance", "batchAttribute": "skill"}), "/rules/0", "maxDistance",
    ),
    "collection without bound": (
        tree({"name": "R", "type": "collection", "operation": "intersection",
              "measurements": ALL.format("roles")}), "/rules/0", "minCount",
    ),
    "collection of numbers": (
        tree({"name": "R", "type": "collection", "operation": "contains", "referenceValue": "x", "minCount": 1,
              "measurements": SKILL}), "/rules/0/measurements", "'string'",
    ),
    "latency without bound": (tree({"name": "R", "type": "latency"}), "/rules/0", "maxLatency"),
    "latency half a distance": (
        tree({"name": "R", "type": "latency", "maxDistance": 9}), "/rules/0", "distanceReference",
    ),
    "sort of a map without key": (
        tree({"name": "R", "type": "absoluteSort", "sortDirection": "ascending", "sortAttribute": "maps"}),
        "/rules/0", "mapKey",
    ),
    "statement syntax": (compounds("and(R, R"), "/rules/1/statement", "not closed"),
    "statement operator": (compounds("nand(R, R)"), "/rules/1/statement", "'and', 'or', 'not' or 'xor'"),
    "statement arguments": (compounds("not(R, R)"), "/rules/1/statement", "one argument"),
    "statement of one name": (compounds("R"), "/rules/1/statement", "not a statement"),
    "statement of unknown": (compounds("and(R, S)"), "/rules/1/statement", "no rule 'S'"),
    "statement of a later rule": (compounds("and(R, C1)", "not(R)"), "/rules/1/statement", "defined later"),
    "circle": (compounds("and(R, C1)", "or(R, C0)"), "/rules/1/statement", "C0 -> C1 -> C0"),
    "circle of one": (compounds("not(C0)"), "/rules/1/statement", "C0 -> C0"),
    "wildcard target": (expanding("rules[*].maxDistance"), "/expansions/0/target", "no wildcard"),
    "unknown target": (expanding("rules[S].maxDistance"), "/expansions/0/target", "no rule 'S'"),
    "fixed target": (expanding("rules[R].type"), "/expansions/0/target", "'type' cannot expand"),
    "target without field": (expanding("rules[R]"), "/expansions/0/target", "rules[Name].field"),
    "step of other type": (expanding("rules[R].maxDistance", "far"), "/expansions/0/steps/0/value", "a number"),
    "step against sense": (
        expanding("teams[red].minPlayers", 3), "/expansions/0/steps/0/value", "minPlayers 3 is more than maxPlayers 2",
    ),
    "step wait": (expanding("rules[R].maxDistance", 9, -1), "/expansions/0/steps/0/waitTimeSeconds", "0 to 43200"),
    "large without algorithm": (tree(teams=[team("a", 1, 50)]), "/", "'balanced'"),
    "large with other rules": (
        tree(rule(), teams=[team("a", 1, 50)], algorithm=LARGE), "/rules/0/type", "'latency' or 'batchDistance'",
    ),
    "balanced by nothing": (tree(algorithm={"strategy": "balanced"}), "/algorithm", "balancedAttribute"),
    "balanced by words": (
        tree(algorithm=LARGE | {"balancedAttribute": "mode"}), "/algorithm/balancedAttribute", "type number",
    ),
    "sorted by nothing": (tree(algorithm={"batchingPreference": "sorted"}), "/algorithm", "sortByAttributes"),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "pointer", "words"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_refused_with_its_place(bad: dict[str, Any], pointer: str, words: str) -> None:
    """The pointer leads to the mistake and the sentence says what is allowed."""
    with pytest.raises(Invalid) as refused:
        parse(bad)
    assert refused.value.pointer == pointer
    assert words in refused.value.detail


def test_the_sentence_names_the_rule() -> None:
    """Whoever reads only the sentence learns which rule is meant."""
    with pytest.raises(Invalid, match="rule 'R': 'frist' is not allowed"):
        parse(tree(rule(type="latency", measurements=None, referenceValue=None, distanceReference="frist")))


ACCEPTED = {
    "numbers as strings": tree({"name": "R", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": "500"}),
    "version as YAML reads it": tree() | {"ruleLanguageVersion": 1.0},
    "measurements as one string": tree(compared(SKILL, 3)),
    "spaces and team for teams": tree(compared("avg ( team[ red , blue ].players.attributes[skill] )", 3, ">=")),
    "player ids, either way": tree(
        {"name": "Block", "type": "collection", "operation": "reference_intersection_count", "maxCount": 0,
         "measurements": ALL.format("roles"), "referenceValue": "flatten(teams[*].players[playerId])"},
    ),
    "a team by its number": tree(
        compared("count(teams[trio_2].players)", "count(teams[trio].players)"),
        teams=[team("trio", 1, 3, quantity=3)],
    ),
    "descriptions anywhere": tree(rule(description="why"), description="what for"),
    "more than 40 players": tree(
        {"name": "R", "type": "latency", "maxLatency": 150}, teams=[team("a", 75, 100, quantity=2)],
        algorithm={"strategy": "balanced", "balancedAttribute": "skill", "batchingPreference": "fastestRegion"},
    ),
    "balanced below 41 players": tree(rule(), algorithm=LARGE),
    "a target into a list": expanding("rules[R].measurements[0]", f"max({SKILL})"),
    "several teams as target": expanding("teams[red,blue].minPlayers", 2),
    "an algorithm as target": tree(
        algorithm={"batchingPreference": "sorted", "sortByAttributes": ["mode", "skill"]},
        expansions=[{"target": "algorithm.batchingPreference", "steps": [{"waitTimeSeconds": 9, "value": "random"}]}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("good", ACCEPTED.values(), ids=ACCEPTED)
def test_what_gamelift_takes_is_taken(good: dict[str, Any]) -> None:
    """Forms found in Amazon's guide are read, and reading changes nothing in the tree."""
    before = copy.deepcopy(good)
    assert parse(good).warnings == ()
    assert good == before


def test_expansions_are_laid_out_in_time() -> None:
    """Each wait opens a stage that holds all steps taken until then."""
    both = [
        {
            "target": "rules[R].maxDistance",
            "steps": [{"waitTimeSeconds": w, "value": v} for w, v in ((20, 9), (10, 7))],
        },
        {"target": "teams[red].minPlayers", "steps": [{"waitTimeSeconds": 10, "value": 2}]},
    ]
    rules = parse(tree(rule(), expansions=both))
    assert rules.opens_ms == (10_000, 20_000)
    seen = [(stage.rules[0].most, stage.teams[0].least) for stage in rules.stages]  # type: ignore[union-attr]
    assert seen == [(5, 1), (7, 2), (9, 2)]
    assert [rules.stage_at(ms) for ms in (0, 9_999, 10_000, 20_000)] == [0, 0, 1, 2]
    assert [rules.next_opening_ms(ms) for ms in (0, 10_000, 20_000)] == [10_000, 20_000, None]


def test_a_definition_with_a_quantity_is_several_teams() -> None:
    """`quantity` 3 makes three teams, numbered from 1."""
    rules = parse(tree(teams=[team("trio", 1, 3, quantity=3), team("solo", 1, 1)]))
    assert [each.name for each in rules.stages[0].teams] == ["trio_1", "trio_2", "trio_3", "solo"]


WARNED = {
    "bounds that leave nothing": ([compared(SKILL, 10, ">"), compared(SKILL, 5, "<") | {"name": "S"}], "contradicts"),
    "a count no team can have": ([compared("count(teams[red].players)", 7)], "contradicts the team sizes"),
    "more roles than places": (
        [{"name": "R", "type": "collection", "operation": "contains", "referenceValue": "tank", "minCount": 5,
          "measurements": ALL.format("roles")}],
        "4 places",
    ),
    "a statement never true": (
        [rule(), {"name": "C", "type": "compound", "statement": "and(R, not(R))"}], "never true",
    ),
    "a statement always true": (
        [rule(), {"name": "C", "type": "compound", "statement": "or(R, not(R))"}], "rejects nobody",
    ),
    "a distance from itself": (
        [rule(measurements=[f"avg({SKILL})"], maxDistance=None, minDistance=1)], "away from itself",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "words"), WARNED.values(), ids=WARNED)
def test_a_rule_set_that_matches_nobody_warns(rules: list[dict[str, Any]], words: str) -> None:
    """It is read, and the developer is told why it is of no use."""
    (warning,) = parse(tree(*rules)).warnings
    assert words in warning


def test_a_warning_ends_where_an_expansion_helps() -> None:
    """What only becomes possible later is said to be so."""
    (warning,) = parse(
        tree(
            compared("count(teams[red].players)", 2),
            teams=[team("red", 1, 1), team("blue", 1, 1)],
            expansions=[{"target": "teams[red].maxPlayers", "steps": [{"waitTimeSeconds": 30, "value": 2}]}],
        )
    ).warnings
    assert warning.startswith("nobody is matched before 30 s")


def test_attributes_of_the_samples_are_all_types() -> None:
    """The tests' own attributes cover the four types of the language."""
    assert {a["type"] for a in ATTRIBUTES} == {"number", "string", "string_list", "string_number_map"}
