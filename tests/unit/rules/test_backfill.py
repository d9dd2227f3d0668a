"""Players for matches that run: together with those there they obey the rules."""

from __future__ import annotations

from core.model import Waiting
from core.rules import parse
from matchmaker.rules import Backfill, Pool, form
from tests.unit.rules.samples import ticket, tree
from tests.unit.rules.test_grouping import CLOSE, DUEL, NOW_MS, at


def backfilled(priority: str, request_since_s: float, *waiting: Waiting) -> list[tuple[str | None, set[str]]]:
    """A pass with one running duel that lost a player of skill 10."""
    rules = parse(tree(CLOSE, teams=DUEL, algorithm={"backfillPriority": priority}))
    pool = Pool.of(rules, waiting)
    pool.backfill(Backfill("match", NOW_MS - int(request_since_s * 1000), {"player_1": [at("there", 10)]}))
    return [(p.backfill, set(p.tickets)) for p in form(pool, rules, NOW_MS, 0).proposals]


def test_a_running_match_gets_who_fits_those_there() -> None:
    """The newcomer is seated in the free team and obeys the rules together with the player already there."""
    rules = parse(tree(CLOSE, teams=DUEL))
    pool = Pool.of(rules, [at("far", 30, 9), at("near", 12, 1)])
    pool.backfill(Backfill("match", NOW_MS, {"player_1": [at("there", 10)]}))
    (proposal,) = form(pool, rules, NOW_MS, 0).proposals
    assert (proposal.backfill, proposal.teams) == ("match", {"player_1": (), "player_2": ("near",)})


def test_backfills_go_by_their_priority() -> None:
    """High comes before new matches, low after them, normal by age."""
    pair = at("a", 10, 9), at("b", 11, 5)
    new, old = [(None, {"a", "b"})], [("match", {"a"})]
    assert backfilled("high", 1, *pair) == old
    assert backfilled("low", 99, *pair) == new
    assert backfilled("normal", 99, *pair) == old
    assert backfilled("normal", 1, *pair) == new


def test_without_starts_only_running_matches_are_filled() -> None:
    """Where no server can be started, a ticket that would begin a new match joins the running one all the same."""
    rules = parse(tree(CLOSE, teams=DUEL, algorithm={"backfillPriority": "low"}))
    pool = Pool.of(rules, [at("a", 10, 9), at("b", 11, 5), at("c", 11, 1)])
    pool.backfill(Backfill("match", NOW_MS, {"player_1": [at("there", 10)]}))
    (proposal,) = form(pool, rules, NOW_MS, 0, starts=False).proposals
    assert (proposal.backfill, proposal.tickets) == ("match", ["a"])
    pool.withdraw("match")
    assert form(pool, rules, NOW_MS, 0, starts=False).proposals == []


def test_a_request_relaxes_the_rules_as_it_waits() -> None:
    """The pool tells when a step opens for a match that asks, and from then on it gets who fits by then."""
    steps = [{"target": "rules[Close].maxDistance", "steps": [{"waitTimeSeconds": 5, "value": 50}]}]
    rules = parse(tree(CLOSE, teams=DUEL, expansions=steps, algorithm={"expansionAgeSelection": "oldest"}))
    pool = Pool.of(rules, [at("far", 40)])
    pool.backfill(Backfill("match", NOW_MS - 3_000, {"player_1": [at("there", 10)]}))
    assert form(pool, rules, NOW_MS, 0).proposals == []
    assert pool.relaxes_ms(NOW_MS) == NOW_MS + 2_000
    (proposal,) = form(pool, rules, NOW_MS + 2_000, 0).proposals
    assert proposal.tickets == ["far"]


def test_a_withdrawn_or_full_match_gets_nobody() -> None:
    """Only a request that stands, for a match with free places, is answered; a newer one replaces it."""
    rules = parse(tree(teams=DUEL))
    pool = Pool.of(rules, [ticket("a")])
    pool.backfill(Backfill("match", 0, {"player_1": [ticket("x")]}))
    pool.backfill(Backfill("match", 0, {"player_1": [ticket("x")], "player_2": [ticket("y")]}))
    assert form(pool, rules, NOW_MS, 0).proposals == []
    assert pool.withdraw("match")
    assert not pool.withdraw("match")


def test_a_running_match_nobody_can_join_asks_in_vain() -> None:
    """A backfill while no ticket waits, or none that shares its word, is answered with nothing."""
    rules = parse(tree({"name": "Same", "type": "batchDistance", "batchAttribute": "mode"}, teams=DUEL))
    pool = Pool(rules)
    pool.backfill(Backfill("match", 0, {"player_1": [at("there", 10, mode="casual")]}))
    assert form(pool, rules, NOW_MS, 0).proposals == []
    pool.add(at("a", 10, mode="ranked"))
    assert form(pool, rules, NOW_MS, 0).proposals == []
