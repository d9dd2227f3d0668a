"""Reads a rule set: the tree of GameLift's JSON, or the same tree from YAML. Everything wrong is refused here.

`parse` raises `core.errors.Invalid` whose `pointer` leads to the place; a rule set that can be read but can match
nobody is returned with `warnings`. Source: GameLift FlexMatch developer guide, "FlexMatch rule set schema".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from core.errors import Invalid
from core.model import MAX_ATTRIBUTES, MAX_PLAYERS_PER_MATCH
from core.rules.attributes import check_value
from core.rules.compound import check_compounds, names_in
from core.rules.expansions import lay_out, read_steps
from core.rules.expression import Names
from core.rules.kinds import parse_rule
from core.rules.model import LARGE, Algorithm, Attribute, AttributeType, Compound, Rule, RuleSet, Stage, Team
from core.rules.reader import Node, quoted
from core.rules.warn import warnings_of

MAX_RULES: Final = 100
MAX_DEFINITIONS: Final = 32
TYPES: Final = ("string", "number", "string_list", "string_number_map")
TOP: Final = ("name", "ruleLanguageVersion", "playerAttributes", "algorithm", "teams", "rules", "expansions")


def parse(tree: Mapping[str, Any]) -> RuleSet:
    """The rule set of a decoded tree. Raises Invalid with the pointer, the rule's name and what is allowed."""
    root = Node(tree).fields(TOP)
    label = root.get("name")
    attributes = _attributes(root)
    first = _stage(root, attributes)
    steps = read_steps(root)
    stages, opens = [first], []
    for wait_ms, changed, places in lay_out(tree, steps):
        opens.append(wait_ms)
        stages.append(_expanded(Node(changed), attributes, first, places))
    rules = RuleSet(label.text() if label else "", attributes, tuple(stages), tuple(opens))
    return RuleSet(rules.name, attributes, rules.stages, rules.opens_ms, warnings_of(rules))


def _expanded(root: Node, attributes: Mapping[str, Attribute], first: Stage, places: list[Node]) -> Stage:
    """The stage after some steps. What is wrong only then is the fault of the steps just taken."""
    try:
        stage = _stage(root, attributes)
    except Invalid as error:
        places[-1].fail(f"after this step the rule set is wrong at {error.pointer}: {error.detail}")
    if (_players(stage) > LARGE) != (_players(first) > LARGE):
        places[-1].fail(f"this step takes the match across {LARGE} players, where other rules apply")
    return stage


def _stage(root: Node, attributes: Mapping[str, Attribute]) -> Stage:
    version = root.need("ruleLanguageVersion", '"1.0"')
    if str(version.value) != "1.0":  # YAML reads an unquoted 1.0 as a number
        version.fail(f"the rule language is version '1.0', not {version.value!r}")
    teams = _teams(root)
    large = sum(team.most for team in teams) > LARGE
    names = _names(teams, attributes)
    rules: list[Rule] = []
    statements: dict[str, Node] = {}
    field = root.get("rules")
    for node in field.items("rules", most=MAX_RULES) if field else ():
        rule = parse_rule(node, names, large=large)
        if any(rule.name == other.name for other in rules):
            node.child("name").fail(f"two rules are named {rule.name!r}")
        if isinstance(rule, Compound):
            statements[rule.name] = node.child("statement").owned(f"rule {rule.name!r}")
        rules.append(rule)
    check_compounds(tuple(rules), statements)
    spoken_for = frozenset(n for rule in rules if isinstance(rule, Compound) for n in names_in(rule.statement))
    return Stage(teams, tuple(rules), _algorithm(root, attributes, large=large), spoken_for)


def _attributes(root: Node) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {}
    field = root.get("playerAttributes")
    for node in field.items("player attributes", most=MAX_ATTRIBUTES) if field else ():
        node.fields(("name", "type", "default"))
        name = node.need("name", "every player attribute has one").name()
        if name in found:
            node.child("name").fail(f"two player attributes are named {name!r}")
        kind = cast(AttributeType, node.need("type", f"one of {quoted(TYPES)}").choice(TYPES))
        default = node.get("default")
        value = check_value(default.owned(f"attribute {name!r}"), kind) if default else None
        found[name] = Attribute(name, kind, value)
    return found


def _teams(root: Node) -> tuple[Team, ...]:
    teams: list[Team] = []
    defined: set[str] = set()
    for node in root.need("teams", "a match has at least one team").items("teams", most=MAX_DEFINITIONS):
        node.fields(("name", "minPlayers", "maxPlayers", "quantity"))
        name = node.need("name", "every team has one").name()
        if name in defined:
            node.child("name").fail(f"two teams are named {name!r}")
        defined.add(name)
        node = node.owned(f"team {name!r}")
        most = node.need("maxPlayers", "the most players of the team").integer(least=1, most=MAX_PLAYERS_PER_MATCH)
        least = node.need("minPlayers", "the fewest players of the team").integer(least=0, most=MAX_PLAYERS_PER_MATCH)
        if least > most:
            node.child("minPlayers").fail(f"minPlayers {least} is more than maxPlayers {most}")
        many = node.get("quantity")
        count = many.integer(least=1, most=MAX_PLAYERS_PER_MATCH) if many else 1
        teams += [Team(name if count == 1 else f"{name}_{i + 1}", name, least, most) for i in range(count)]
    _check_teams(root, teams)
    return tuple(teams)


def _check_teams(root: Node, teams: list[Team]) -> None:
    place = root.child("teams")
    if not teams:
        place.fail("a match has at least one team")
    if len({team.name for team in teams}) != len(teams):
        place.fail("two teams have the same name once those with a quantity are numbered")
    if sum(team.most for team in teams) > MAX_PLAYERS_PER_MATCH:
        place.fail(f"the teams hold {sum(t.most for t in teams)} players; a match has at most {MAX_PLAYERS_PER_MATCH}")
    if not any(team.least for team in teams):
        place.fail("every minPlayers is 0: a match would need nobody")


def _players(stage: Stage) -> int:
    return sum(team.most for team in stage.teams)


def _names(teams: tuple[Team, ...], attributes: Mapping[str, Attribute]) -> Names:
    groups: dict[str, tuple[str, ...]] = {}
    for team in teams:
        groups[team.definition] = (*groups.get(team.definition, ()), team.name)
    written = groups | {team.name: (team.name,) for team in teams}
    return Names(written, tuple(team.name for team in teams), {a.name: a.type for a in attributes.values()})


def _algorithm(root: Node, attributes: Mapping[str, Attribute], *, large: bool) -> Algorithm:
    node = root.get("algorithm")
    if node is None:
        if large:
            root.fail(f"a match of more than {LARGE} players needs algorithm.strategy 'balanced'")
        return Algorithm()
    names = ("strategy", "batchingPreference", "sortByAttributes", "balancedAttribute", "expansionAgeSelection")
    node.fields((*names, "backfillPriority"))

    def pick(field: str, options: tuple[str, ...]) -> str:
        found = node.get(field)
        return found.choice(options) if found else options[0]

    strategy = pick("strategy", ("exhaustiveSearch", "balanced"))
    if large and strategy != "balanced":
        node.fail(f"a match of more than {LARGE} players needs strategy 'balanced'")
    options = ("largestPopulation", "fastestRegion") if strategy == "balanced" else ("random", "sorted")
    batching = pick("batchingPreference", options)
    balanced = node.get("balancedAttribute")
    if (balanced is None) == (strategy == "balanced"):
        node.fail("strategy 'balanced' and balancedAttribute come together")
    if balanced and attributes.get(balanced.name(), Attribute("", "string", None)).type != "number":
        balanced.fail(f"expected a declared player attribute of type number, found {balanced.value!r}")
    age = pick("expansionAgeSelection", ("newest", "oldest"))
    backfill = pick("backfillPriority", ("normal", "low", "high"))
    sort_by = _sort_by(node, attributes, needed=batching == "sorted")
    fields: dict[str, Any] = {"strategy": strategy, "batching": batching, "age": age, "backfill": backfill}
    return Algorithm(**fields, sort_by=sort_by, balanced_attribute=balanced.name() if balanced else "")


def _sort_by(node: Node, attributes: Mapping[str, Attribute], *, needed: bool) -> tuple[str, ...]:
    field = node.get("sortByAttributes")
    if needed and field is None:
        node.fail("batchingPreference 'sorted' needs sortByAttributes")
    found = []
    for each in field.items("attributes", most=MAX_ATTRIBUTES) if field else ():
        name = each.name()
        if name not in attributes or attributes[name].type not in ("number", "string"):
            each.fail(f"{name!r} is not a declared player attribute of type number or string")
        found.append(name)
    return tuple(found)
