"""What a pass does with a pool: whom it brings together, when, where, and what it says to the others."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import Invalid
from core.model import Waiting
from core.rules import parse
from matchmaker.rules import Pass, Pool, form
from tests.unit.rules.checker import broken
from tests.unit.rules.samples import ALL, team, ticket, tree

NOW_MS = 100_000
SKILL = ALL.format("skill")
DUEL = [team("player", 1, 1, quantity=2)]
CLOSE = {"name": "Close", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": 5}


def grouped(rule_set: dict[str, Any], *waiting: Waiting, seed: int = 0) -> Pass:
    """One pass over a fresh pool."""
    rules = parse(rule_set)
    return form(Pool.of(rules, waiting), rules, NOW_MS, seed)


def sets(result: Pass) -> list[set[str]]:
    """The tickets of each proposal."""
    return [set(proposal.tickets) for proposal in result.proposals]


def at(name: str, skill: float, waited_s: float = 0, **more: Any) -> Waiting:
    """A ticket of one player."""
    return ticket(name, {"skill": skill, **more}, since_ms=NOW_MS - int(waited_s * 1000))


def test_the_oldest_is_served_first() -> None:
    """Where two could be matched with a third, the longer waiting is."""
    assert sets(grouped(tree(CLOSE, teams=DUEL), at("young", 0, 1), at("old", 10, 9), at("mid", 5, 5))) == [
        {"old", "mid"}
    ]


def test_a_party_stays_together() -> None:
    """Parties of two and of one fill teams of two, none torn apart."""
    pair = ticket("pair", {}, {})
    result = grouped(tree(teams=[team("red", 2, 2), team("blue", 2, 2)]), pair, ticket("a"), ticket("b"))
    (proposal,) = result.proposals
    assert sorted(map(sorted, proposal.teams.values())) == [["a", "b"], ["pair"]]


def test_a_match_is_filled_as_far_as_players_go() -> None:
    """A team that may have two to four players gets four when four wait."""
    result = grouped(tree(teams=[team("crew", 2, 4)]), *(ticket(name) for name in "abcd"))
    assert sets(result) == [set("abcd")]


@pytest.mark.parametrize(("age", "waits", "matched"), [
    ("newest", (20, 1), False), ("newest", (20, 10), True), ("oldest", (20, 1), True), ("oldest", (9, 1), False),
])  # fmt: skip
def test_expansions_open_by_the_age_the_rules_name(age: str, waits: tuple[float, float], matched: bool) -> None:
    """By default the newest ticket of a match decides which step is reached, else the oldest."""
    rule_set = tree(
        CLOSE,
        teams=DUEL,
        algorithm={"expansionAgeSelection": age},
        expansions=[{"target": "rules[Close].maxDistance", "steps": [{"waitTimeSeconds": 10, "value": 50}]}],
    )
    assert bool(sets(grouped(rule_set, at("a", 0, waits[0]), at("b", 30, waits[1])))) is matched


def test_a_team_may_start_smaller_after_a_wait() -> None:
    """An expansion of minPlayers lets those who waited start without a full team."""
    smaller = {"target": "teams[crew].minPlayers", "steps": [{"waitTimeSeconds": 30, "value": 2}]}
    rule_set = tree(teams=[team("crew", 4, 4)], expansions=[smaller])
    assert sets(grouped(rule_set, at("a", 0, 29), at("b", 0, 31))) == []
    assert sets(grouped(rule_set, at("a", 0, 30), at("b", 0, 31))) == [{"a", "b"}]


def test_the_proposal_names_the_nearest_region() -> None:
    """Of the regions that suit everybody the one of least average latency is proposed."""
    limit = {"name": "Ping", "type": "latency", "maxLatency": 60}
    a = ticket("a", latencies={"eu": 50, "us": 40, "ap": 10})
    b = ticket("b", latencies={"eu": 20, "us": 50})
    (proposal,) = grouped(tree(limit, teams=DUEL), a, b).proposals
    assert proposal.region == "eu"


def test_roles_are_found_among_many() -> None:
    """Each team gets its one tank although the preferred candidates have none."""
    tank = {
        "name": "Tank", "type": "collection", "operation": "contains", "referenceValue": "tank", "minCount": 1,
        "maxCount": 1, "measurements": "teams[*].players.attributes[roles]",
    }  # fmt: skip
    waiting = [at(f"t{i}", 10, 60 - i, roles=["tank"] if i >= 28 else ["scout"]) for i in range(30)]
    (proposal, *_) = grouped(tree(tank, teams=[team("red", 3, 3), team("blue", 3, 3)]), *waiting).proposals
    assert sum("t28" in ids for ids in proposal.teams.values()) == 1
    assert sum("t29" in ids for ids in proposal.teams.values()) == 1
    assert not any({"t28", "t29"} <= set(ids) for ids in proposal.teams.values())


def test_uneven_teams_take_only_their_kind() -> None:
    """Rules over one team decide who may join it: Amazon's hunters and their monster."""
    wants = "teams[{}].players.attributes[mode]"
    rules = [
        {"name": n, "type": "comparison", "operation": "=", "measurements": wants.format(n), "referenceValue": n}
        for n in ("monster", "hunters")
    ]
    waiting = [at(f"h{i}", 0, 9, mode="hunters") for i in range(5)] + [at("m", 0, 1, mode="monster")]
    (proposal,) = grouped(tree(*rules, teams=[team("hunters", 5, 5), team("monster", 1, 1)]), *waiting).proposals
    assert proposal.teams["monster"] == ("m",)


SORTED = {
    "nearest": ({"type": "distanceSort", "sortDirection": "ascending", "sortAttribute": "skill"}, "near"),
    "farthest": ({"type": "distanceSort", "sortDirection": "descending", "sortAttribute": "skill"}, "low"),
    "lowest": ({"type": "absoluteSort", "sortDirection": "ascending", "sortAttribute": "skill"}, "low"),
    "highest": ({"type": "absoluteSort", "sortDirection": "descending", "sortAttribute": "skill"}, "high"),
    "the same word": ({"type": "absoluteSort", "sortDirection": "ascending", "sortAttribute": "mode"}, "high"),
    "the anchor's favourite": (
        {"type": "absoluteSort", "sortDirection": "descending", "sortAttribute": "maps", "mapKey": "maxValue"}, "near",
    ),
    "what the anchor likes least": (
        {"type": "absoluteSort", "sortDirection": "descending", "sortAttribute": "maps", "mapKey": "minValue"}, "low",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "chosen"), SORTED.values(), ids=SORTED)
def test_a_sort_rule_says_whom_the_oldest_meets(rule: dict[str, Any], chosen: str) -> None:
    """The oldest ticket's partner is the first in the order the rule gives."""
    waiting = [
        at("old", 10, 9, mode="casual", maps={"dust": 5.0, "nuke": 1.0}),
        at("low", 1, 3, maps={"nuke": 9.0}),
        at("near", 11, 2, maps={"dust": 7.0}),
        at("high", 15, 1, mode="casual", maps={"dust": 2.0}),
    ]
    first = grouped(tree(rule | {"name": "S"}, teams=DUEL), *waiting).proposals[0]
    assert set(first.tickets) == {"old", chosen}


def test_a_seating_without_the_oldest_is_judged_by_who_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a ticket is left out to please a rule, the expansion that its age had opened is gone with it."""
    monkeypatch.setattr("matchmaker.rules.grouping.SMALL", 0)
    alike = {
        "name": "Alike",
        "type": "comparison",
        "measurements": "teams[*].players.attributes[skill]",
        "operation": "=",
    }
    level = {
        "name": "Level", "type": "distance", "maxDistance": 0, "referenceValue": f"avg({SKILL})",
        "measurements": "avg(teams[*].players.attributes[skill])",
    }  # fmt: skip
    rule_set = tree(
        alike,
        level,
        teams=[team("red", 2, 2, quantity=2)],
        algorithm={"expansionAgeSelection": "oldest"},
        expansions=[{"target": "teams[red].minPlayers", "steps": [{"waitTimeSeconds": 10, "value": 1}]}],
    )
    pairs = [ticket(f"p{i}", {}, {}, since_ms=NOW_MS) for i in range(12)]
    waiting = [*pairs, *(at(f"s{i}", 10) for i in range(24)), *(at(f"old{i}", 0, 10) for i in range(12))]
    known = {each.id: each for each in waiting}
    for proposal in grouped(rule_set, *waiting).proposals:
        assert not broken(rule_set, {n: [known[i] for i in ids] for n, ids in proposal.teams.items()}, NOW_MS)


def test_an_anchor_that_fits_nowhere_lends_its_age_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `oldest`, young tickets do not profit from the expansion of an old one that is not in their match."""
    monkeypatch.setattr("matchmaker.rules.grouping.SMALL", 0)
    common = {
        "name": "Common", "type": "collection", "operation": "intersection", "minCount": 2,
        "measurements": ALL.format("roles"),
    }  # fmt: skip
    relaxed = {"target": "rules[Common].minCount", "steps": [{"waitTimeSeconds": 10, "value": 1}]}
    rule_set = tree(common, teams=DUEL, algorithm={"expansionAgeSelection": "oldest"}, expansions=[relaxed])
    alone = [at(f"old{i}", 10, 20, roles=[]) for i in range(4)]
    assert sets(grouped(rule_set, *alone, *(at(f"t{i}", 10, roles=["tank"]) for i in range(40)))) == []


def test_a_large_match_has_level_teams() -> None:
    """The balanced strategy deals the players out so that the teams' averages are close."""
    rules = parse(
        tree(
            teams=[team("red", 30, 30), team("blue", 30, 30)],
            algorithm={"strategy": "balanced", "balancedAttribute": "skill"},
        )
    )
    waiting = [at(f"t{i}", (i * i) % 97, i) for i in range(200)]
    result = form(Pool.of(rules, waiting), rules, NOW_MS, 0)
    skills = {t.id: float(t.players[0].attributes["skill"]) for t in waiting}  # type: ignore[arg-type]
    assert len(result.proposals) == 3
    for proposal in result.proposals:
        red, blue = (sum(skills[i] for i in ids) / 30 for ids in proposal.teams.values())
        assert abs(red - blue) < 1


def test_why_not_names_the_rule_and_the_next_expansion() -> None:
    """A ticket learns which rule kept most others away, the value it met, and when the rule relaxes."""
    opens = [{"target": "rules[Close].maxDistance", "steps": [{"waitTimeSeconds": 30, "value": 50}]}]
    result = grouped(tree(CLOSE, teams=DUEL, expansions=opens), at("a", 0, 10), at("b", 30, 9), at("c", 90, 8))
    why = result.why("a")
    assert why is not None
    assert (why.rule, why.times, why.own, why.other) == ("Close", 2, 0, 30)
    assert (why.wanted, why.next_expansion_ms) == ("within 5", 20_000)
    assert result.tally.rejections["Close"] >= 2
    assert result.why("nobody") is None


def test_why_not_names_the_rule_that_left_too_few() -> None:
    """With the only other one too far away, the rule is the reason, not that the teams lack players."""
    why = grouped(tree(CLOSE, teams=DUEL), at("a", 0, 10), at("b", 30, 9)).why("a")
    assert why is not None
    assert (why.rule, why.times, why.other) == ("Close", 1, 30)


def test_why_not_says_when_players_are_missing() -> None:
    """Nobody to play with is a reason of its own, called "teams"."""
    why = grouped(tree(teams=DUEL), ticket("a")).why("a")
    assert why is not None
    assert (why.rule, why.wanted, why.next_expansion_ms) == ("teams", "2 x player of 1 player", None)


def test_why_not_reports_what_only_the_evaluator_sees() -> None:
    """A rule that is judged on whole matches is named too."""
    level = {
        "name": "Level", "type": "distance", "maxDistance": 1, "referenceValue": f"stddev({SKILL})",
        "measurements": [f"avg({SKILL})"],
    }  # fmt: skip
    why = grouped(tree(level, teams=DUEL), at("a", 90, 3), at("b", 91, 2)).why("a")
    assert why is not None
    assert why.rule == "Level"


def test_a_matched_ticket_has_no_why() -> None:
    """There is nothing to explain about a match."""
    assert grouped(tree(teams=DUEL), ticket("a"), ticket("b")).why("a") is None


def test_a_pool_takes_and_lets_go() -> None:
    """Tickets can be added, replaced and removed at any time, beyond the rows first allocated."""
    rules = parse(tree(CLOSE, teams=DUEL))
    pool = Pool.of(rules, [at(f"t{i}", i) for i in range(1000)])
    pool.add(at("t0", 999.5))
    assert (len(pool), "t0" in pool, pool.remove("t5"), pool.remove("t5")) == (1000, True, True, False)
    for i in range(1, 999):
        pool.remove(f"t{i}")
    assert sets(form(pool, rules, NOW_MS, 0)) == [{"t0", "t999"}]


def test_words_of_tickets_long_gone_are_forgotten() -> None:
    """A stream of tickets with ever new strings and regions does not grow the pool for ever."""
    same = {"name": "Same", "type": "batchDistance", "batchAttribute": "mode"}
    ping = {"name": "Ping", "type": "latency", "maxLatency": 50}
    rules = parse(tree(same, ping, teams=DUEL))
    pool = Pool(rules)
    for i in range(5_000):
        made = ticket(f"t{i}", {"mode": f"m{i // 2}"}, latencies={f"r{i // 2}": 9})
        pool.add(made)
        pool.remove(f"t{i - 2}")
    assert len(pool.codes["mode"]) <= 1_025
    assert len(pool.latencies["avg"].names) <= 64


def test_more_strings_than_bits_leave_the_evaluator_to_decide() -> None:
    """With hundreds of distinct strings in lists matches are still found, and legal."""
    common = {
        "name": "Common", "type": "collection", "operation": "intersection", "minCount": 1,
        "measurements": ALL.format("roles"),
    }  # fmt: skip
    waiting = [at(f"t{i}", 0, 99 - i, roles=[f"w{i // 2}"]) for i in range(300)]
    result = grouped(tree(common, teams=DUEL), *waiting)
    assert {"t0", "t1"} in sets(result)
    assert all(len({int(t[1:]) // 2 for t in match}) == 1 for match in sets(result))


def test_other_rules_need_another_pool() -> None:
    """Columns belong to a rule set; a pass under another one is refused."""
    with pytest.raises(ValueError, match="another rule set"):
        form(Pool(parse(tree())), parse(tree(CLOSE)), NOW_MS, 0)


def test_a_ticket_that_does_not_fit_is_refused_by_the_pool() -> None:
    """What slipped past the door raises, and the pool is unchanged."""
    pool = Pool(parse(tree(CLOSE)))
    with pytest.raises(Invalid):
        pool.add(ticket("a", {"skill": "high"}))
    assert len(pool) == 0
