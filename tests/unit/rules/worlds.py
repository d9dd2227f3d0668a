"""Hypothesis strategies: small rule sets of every kind, and tickets that are likely to fit some of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from core.model import TicketPlayer, Waiting

NOW_MS = 100_000
WORDS = ("tank", "healer", "scout")
MODES = ("ranked", "casual")
REGIONS = ("eu", "us")
ATTRIBUTES = [
    {"name": "skill", "type": "number", "default": 3},
    {"name": "mode", "type": "string", "default": "casual"},
    {"name": "roles", "type": "string_list", "default": ["scout"]},
    {"name": "maps", "type": "string_number_map", "default": {"dust": 1}},
]
numbers = st.integers(0, 6).map(float)
parties = st.sampled_from(["avg", "min", "max"])
sets = st.sampled_from(["union", "intersection"])


@st.composite
def teams(draw: st.DrawFn, most: int = 3) -> list[dict[str, Any]]:
    """One or two definitions of small teams."""
    made = []
    for name in draw(st.sampled_from([("red",), ("red", "blue")])):
        high = draw(st.integers(1, most))
        team = {"name": name, "minPlayers": draw(st.integers(0 if name == "blue" else 1, high)), "maxPlayers": high}
        if draw(st.integers(0, 4)) == 0:
            team["quantity"] = 2
        made.append(team)
    return made


def paths(attribute: str) -> st.SearchStrategy[str]:
    """Expressions that list an attribute."""
    some = st.sampled_from(["teams[*]", "teams[red]"]).map(lambda team: f"{team}.players.attributes[{attribute}]")
    return some | st.just(f"flatten(teams[*].players.attributes[{attribute}])")


functions = st.sampled_from(["min", "max", "avg", "median", "sum", "stddev", "count"])
measures = paths("skill") | st.builds(lambda f, p: f"{f}({p})", functions, paths("skill")) | st.sampled_from(
    ["count(teams[red].players)", "count(teams[*].players)", "max(avg(teams[*].players.attributes[skill]))",
     "count(set_intersection(flatten(teams[*].players.attributes[roles])))"]
)  # fmt: skip


@st.composite
def comparison(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        operation = st.sampled_from(["<", "<=", "=", "!=", ">", ">="])
        reference = draw(numbers | st.sampled_from(["avg(flatten(teams[*].players.attributes[skill]))", "2"]))
        return {"measurements": [draw(measures)], "operation": draw(operation), "referenceValue": reference}
    text = draw(st.booleans())
    rule = {"measurements": draw(paths("mode" if text else "skill")), "operation": draw(st.sampled_from(["=", "!="]))}
    return rule | ({"referenceValue": draw(st.sampled_from(MODES))} if text and draw(st.booleans()) else {})


@st.composite
def distance(draw: st.DrawFn) -> dict[str, Any]:
    all_skill = "flatten(teams[*].players.attributes[skill])"
    usual = [(all_skill, f"avg({all_skill})"), (f"max({all_skill})", f"min({all_skill})")]
    usual += [("avg(teams[*].players.attributes[skill])", f"avg({all_skill})"), (all_skill, 3)]
    free = st.tuples(measures, st.just(f"median({all_skill})"))
    measured, reference = draw(st.sampled_from(usual) | free)
    bound = draw(st.sampled_from(["maxDistance", "maxDistance", "minDistance"]))
    return {"measurements": [measured], "referenceValue": reference, bound: draw(numbers)}


@st.composite
def batch_distance(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"batchAttribute": "mode"}
    rule = {"batchAttribute": "skill", "maxDistance": draw(numbers | st.just("2"))}
    return rule | ({"minDistance": 0} if draw(st.integers(0, 9)) == 0 else {})


@st.composite
def collection(draw: st.DrawFn) -> dict[str, Any]:
    operation = draw(st.sampled_from(["intersection", "contains", "reference_intersection_count"]))
    rule: dict[str, Any] = {
        "operation": operation,
        "measurements": [draw(paths("roles"))],
        "partyAggregation": draw(sets),
    }
    if operation == "contains":
        rule["referenceValue"] = draw(st.sampled_from(WORDS))
        rule["measurements"] = [draw(paths("roles") | paths("mode"))]
    elif operation == "reference_intersection_count":
        shared = "set_intersection(flatten(teams[*].players.attributes[roles]))"
        rule["referenceValue"] = draw(
            st.sampled_from([["tank", "scout"], "flatten(teams[*].players[playerId])", shared])
        )
    bound = draw(st.sampled_from(["minCount", "maxCount"]))
    return rule | {bound: draw(st.integers(0, 2))}


@st.composite
def latency(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = {"maxLatency": draw(st.sampled_from([20, 50]))}
    if draw(st.integers(0, 3)) == 0:
        rule |= {
            "maxDistance": draw(st.sampled_from([10, 30])),
            "distanceReference": draw(st.sampled_from(["min", "avg"])),
        }
    return rule


@st.composite
def sorting(draw: st.DrawFn) -> dict[str, Any]:
    kind, direction = (
        draw(st.sampled_from(["absoluteSort", "distanceSort"])),
        st.sampled_from(["ascending", "descending"]),
    )
    rule = {"type": kind, "sortDirection": draw(direction), "sortAttribute": draw(st.sampled_from(["skill", "maps"]))}
    if rule["sortAttribute"] == "maps":
        rule["mapKey"] = draw(st.sampled_from(["minValue", "maxValue"]))
    return rule


_KINDS = {
    "comparison": comparison(),
    "distance": distance(),
    "batchDistance": batch_distance(),
    "collection": collection(),
    "latency": latency(),
    "sort": sorting(),
}
_EXPANDING = {"maxDistance": numbers, "maxLatency": st.sampled_from([20, 50, 90]), "minCount": st.integers(0, 2)}
_STATEMENTS = ("or({}, {})", "and({}, not({}))", "xor({}, {})", "or(not({}), and({}, {}))")


@st.composite
def rule_sets(draw: st.DrawFn, kinds: tuple[str, ...] = tuple(_KINDS), most_rules: int = 3) -> dict[str, Any]:
    """A rule set the parser accepts: up to three rules, sometimes a compound over them, sometimes expansions."""
    rules: list[dict[str, Any]] = []
    for i in range(draw(st.integers(0, most_rules))):
        kind = draw(st.sampled_from(kinds))
        rule = {"name": f"r{i}", "type": kind} | draw(_KINDS[kind])
        if kind in ("comparison", "distance", "batchDistance", "latency") and draw(st.booleans()):
            rule["partyAggregation"] = draw(parties)
        rules.append(rule)
    named = [rule["name"] for rule in rules if rule["type"] not in ("batchDistance", "absoluteSort", "distanceSort")]
    if named and draw(st.integers(0, 3)) == 0:
        statement = draw(st.sampled_from(_STATEMENTS))
        chosen = [draw(st.sampled_from(named)) for _ in range(statement.count("{}"))]
        rules.append({"name": "all", "type": "compound", "statement": statement.format(*chosen)})
    if draw(st.integers(0, 4)) == 0:
        rules += draw(either())
    tree = {"ruleLanguageVersion": "1.0", "playerAttributes": ATTRIBUTES, "teams": draw(teams()), "rules": rules}
    tree["algorithm"] = {
        "strategy": "exhaustiveSearch",
        "expansionAgeSelection": draw(st.sampled_from(["newest", "oldest"])),
    }
    if draw(st.integers(0, 4)) == 0:
        tree["algorithm"] |= {"strategy": "balanced", "balancedAttribute": "skill"}
    return tree | {"expansions": draw(expansions(tree))}


@st.composite
def either(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Skills are close, unless everybody plays the same mode: what most games mean by a compound rule."""
    skills = "flatten(teams[*].players.attributes[skill])"
    close = {"measurements": [f"max({skills})"], "referenceValue": f"min({skills})", "maxDistance": draw(numbers)}
    mode = {"measurements": [draw(paths("mode"))], "operation": "=", "referenceValue": draw(st.sampled_from(MODES))}
    return [
        {"name": "Mode", "type": "comparison"} | mode,
        {"name": "Close", "type": "distance", "partyAggregation": draw(parties)} | close,
        {
            "name": "Either",
            "type": "compound",
            "statement": draw(st.sampled_from(["or(Mode, Close)", "or(Close, Mode)"])),
        },
    ]


@st.composite
def expansions(draw: st.DrawFn, tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Up to two expansions: of a bound of a rule, or of a team's least."""
    targets = {
        f"rules[{rule['name']}].{field}": values
        for rule in tree["rules"]
        for field, values in _EXPANDING.items()
        if field in rule
    }
    targets |= {f"teams[{t['name']}].minPlayers": st.integers(1, t["maxPlayers"]) for t in tree["teams"]}
    chosen = draw(st.lists(st.sampled_from(sorted(targets)), max_size=2, unique=True))
    waits = st.lists(st.sampled_from([10, 20, 40]), min_size=1, max_size=2, unique=True)
    return [
        {"target": t, "steps": [{"waitTimeSeconds": w, "value": draw(targets[t])} for w in draw(waits)]} for t in chosen
    ]


@st.composite
def players(draw: st.DrawFn, name: str) -> TicketPlayer:
    given: dict[str, Any] = {"skill": draw(numbers)} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        given["mode"] = draw(st.sampled_from(MODES))
    if draw(st.booleans()):
        given["roles"] = draw(st.lists(st.sampled_from(WORDS), max_size=2, unique=True))
    if draw(st.booleans()):
        given["maps"] = draw(st.dictionaries(st.sampled_from(["dust", "nuke"]), numbers, max_size=2))
    regions = draw(st.lists(st.sampled_from(REGIONS), min_size=1, max_size=2, unique=True))
    return TicketPlayer(name, "", given, {region: draw(st.sampled_from([10.0, 30.0, 60.0])) for region in regions})


@st.composite
def tickets(draw: st.DrawFn, most: int = 6, party: int = 2) -> list[Waiting]:
    """Waiting tickets of one to `party` players, of any age up to 60 s at `NOW_MS`."""
    made = []
    for i in range(draw(st.integers(1, most))):
        size = draw(st.integers(1, party))
        since = NOW_MS - draw(st.sampled_from([0, 5_000, 10_000, 15_000, 25_000, 45_000, 60_000]))
        made.append(Waiting(f"t{i}", since, [draw(players(f"p{i}{k}")) for k in range(size)]))
    return made
