"""What must hold for any rule set and any pool: the engine against an independent checker and exhaustive search."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.model import Waiting
from core.rules import Party, RuleSet, parse
from matchmaker.rules import Backfill, Pass, Pool, explain, form
from matchmaker.rules.prospects import prospects
from matchmaker.rules.run import Run
from tests.unit.rules.checker import THERE, Teams, broken, instances
from tests.unit.rules.worlds import NOW_MS, rule_sets, tickets

EXAMPLES = int(os.environ.get("MUSTER_EXAMPLES", "40"))  # a thousand and more for a soak
GENEROUS = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
COVERED = ("batchDistance", "latency", "collection", "comparison", "sort", "distance")


def fitting(rules: RuleSet, waiting: list[Waiting]) -> list[Waiting]:
    """Those that pass the door: a party larger than any team does not."""
    return [ticket for ticket in waiting if len(ticket.players) <= rules.largest_party]


def assert_legal(tree: dict[str, Any], waiting: list[Waiting], result: Pass) -> None:
    """Every proposal satisfies the checker, no ticket is used twice, and all are tickets of the pool."""
    known = {ticket.id: ticket for ticket in waiting}
    used = [ticket for proposal in result.proposals for ticket in proposal.tickets]
    assert len(set(used)) == len(used)
    for proposal in result.proposals:
        teams = {name: [known[i] for i in ids] for name, ids in proposal.teams.items()}
        assert broken(tree, teams, NOW_MS) == set(), (tree, teams)


def candidates(tree: dict[str, Any], waiting: list[Waiting]) -> Iterator[Teams]:
    """Every way to seat some of the tickets."""
    names = [name for team in tree["teams"] for name in instances(team)]
    for seats in itertools.product((None, *names), repeat=len(waiting)):
        teams: Teams = {name: [] for name in names}
        for ticket, seat in zip(waiting, seats, strict=True):
            if seat is not None:
                teams[seat].append(ticket)
        yield teams


@GENEROUS
@given(rule_sets(), tickets(most=4), st.data())
def test_evaluator_and_checker_agree_on_any_seating(
    tree: dict[str, Any], waiting: list[Waiting], data: st.DataObject
) -> None:
    """For any seating, legal or not, the evaluator finds the same broken rules as the independent checker."""
    rules = parse(tree)
    seats = [name for team in tree["teams"] for name in instances(team)]
    chosen = [data.draw(st.sampled_from(seats)) for _ in waiting]
    teams = {name: [t for t, seat in zip(waiting, chosen, strict=True) if seat == name] for name in seats}
    stage = rules.stages[rules.stage_of(NOW_MS, [ticket.since_ms for ticket in waiting])]
    findings = explain(stage, {name: [Party(rules, t) for t in members] for name, members in teams.items()})
    assert {f.rule for f in findings if f.required and not f.passed} == broken(tree, teams, NOW_MS)


@GENEROUS
@given(rule_sets(), tickets(most=9), st.integers(0, 3))
def test_every_match_of_a_small_pool_is_legal(tree: dict[str, Any], waiting: list[Waiting], seed: int) -> None:
    """Whatever a pass proposes satisfies the rules at that moment's expansion and splits no party."""
    rules = parse(tree)
    waiting = fitting(rules, waiting)
    assert_legal(tree, waiting, form(Pool.of(rules, waiting), rules, NOW_MS, seed))


@GENEROUS
@given(rule_sets(kinds=COVERED), tickets(most=14, party=3), st.integers(0, 3))
def test_every_match_made_in_lockstep_is_legal(tree: dict[str, Any], waiting: list[Waiting], seed: int) -> None:
    """The same where the lockstep of large pools does the work, on several copies of each ticket."""
    rules = parse(tree)
    many = [
        Waiting(f"{t.id}-{i}", t.since_ms, [type(p)(f"{p.id}-{i}", "", p.attributes, p.latencies) for p in t.players])
        for t in fitting(rules, waiting)
        for i in range(12)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matchmaker.rules.grouping.SMALL", 0)
        result = form(Pool.of(rules, many), rules, NOW_MS, seed)
    assert_legal(tree, many, result)


@GENEROUS
@given(rule_sets(), tickets(most=5))
def test_the_oldest_ticket_never_starves(tree: dict[str, Any], waiting: list[Waiting]) -> None:
    """If exhaustive search finds a legal match with the oldest ticket, the first pass makes one."""
    rules = parse(tree)
    waiting = fitting(rules, waiting)
    assume(waiting)
    pool = Pool.of(rules, waiting)
    result = form(pool, rules, NOW_MS, 0)
    oldest = min(t.since_ms for t in waiting)
    first = [t.id for t in waiting if t.since_ms == oldest]
    assume(len(first) == 1)
    matched = {ticket for proposal in result.proposals for ticket in proposal.tickets}
    possible = any(
        any(t.id in first for members in teams.values() for t in members) and not broken(tree, teams, NOW_MS)
        for teams in candidates(tree, waiting)
    )
    assert (first[0] in matched) == possible


@GENEROUS
@given(rule_sets(), tickets(most=4))
def test_a_pass_over_a_few_leaves_no_match_behind(tree: dict[str, Any], waiting: list[Waiting]) -> None:
    """Among those that a pass leaves, exhaustive search finds no legal match: no search was given up too early."""
    rules = parse(tree)
    waiting = fitting(rules, waiting)
    matched = {t for proposal in form(Pool.of(rules, waiting), rules, NOW_MS, 0).proposals for t in proposal.tickets}
    left = [ticket for ticket in waiting if ticket.id not in matched]
    for teams in candidates(tree, left):
        assert not any(teams.values()) or broken(tree, teams, NOW_MS), (tree, teams)


@GENEROUS
@given(rule_sets(), tickets(most=5))
def test_every_legal_match_is_within_a_group(tree: dict[str, Any], waiting: list[Waiting]) -> None:
    """Sums rule nothing out that is legal: each legal match of a ticket is among one group of its prospects."""
    rules = parse(tree)
    waiting = fitting(rules, waiting)
    assume(waiting)
    pool = Pool.of(rules, waiting)
    run, rows = Run(pool, NOW_MS, 0), np.array([pool.rows[ticket.id] for ticket in waiting])
    groups = [{pool.ids[row] for row in group} for group in prospects(run, rows)]
    assert all(waiting[0].id in group for group in groups)
    for teams in candidates(tree, waiting):
        tickets_of = {ticket.id for members in teams.values() for ticket in members}
        if waiting[0].id in tickets_of and not broken(tree, teams, NOW_MS):
            assert any(tickets_of <= group for group in groups), (tree, teams)


@GENEROUS
@given(rule_sets(), tickets(most=10), st.integers(0, 99))
def test_a_pass_is_determined_by_its_seed(tree: dict[str, Any], waiting: list[Waiting], seed: int) -> None:
    """The same pool, time and seed give the same proposals; the pool is left as it was."""
    rules = parse(tree)
    pool = Pool.of(rules, fitting(rules, waiting))
    before = len(pool)
    first, second = form(pool, rules, NOW_MS, seed), form(pool, rules, NOW_MS, seed)
    assert first.proposals == second.proposals
    assert len(pool) == before


@GENEROUS
@given(rule_sets(), tickets(most=8), tickets(most=2), st.integers(0, 60), st.integers(0, 3))
def test_every_backfill_is_legal_with_those_there(
    tree: dict[str, Any], waiting: list[Waiting], playing: list[Waiting], asked_s: int, seed: int
) -> None:
    """Newcomers to a running match obey the rules together with the players it has, and new matches too."""
    rules = parse(tree)
    waiting = fitting(rules, waiting)
    asked_ms, first = NOW_MS - 1000 * asked_s, rules.stages[0].teams[0].name
    there = [Waiting(f"old-{t.id}", THERE, [type(p)(f"old-{p.id}", "", p.attributes, p.latencies) for p in t.players])
             for t in playing]  # fmt: skip
    pool = Pool.of(rules, waiting)
    pool.backfill(Backfill("match", asked_ms, {first: there}))
    known = {ticket.id: ticket for ticket in waiting}
    for proposal in form(pool, rules, NOW_MS, seed).proposals:
        teams = {name: [known[i] for i in ids] for name, ids in proposal.teams.items()}
        if proposal.backfill:
            teams[first] = [*there, *teams[first]]
        assert not broken(tree, teams, NOW_MS, asked_ms=asked_ms if proposal.backfill else None)
