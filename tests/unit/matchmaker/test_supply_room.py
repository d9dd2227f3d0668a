"""The supply planner where many start, and where others have no room."""

from __future__ import annotations

from dataclasses import replace

from core.model import EarlySpec, SupplySpec, WarmSpec
from matchmaker.supply import plan
from tests.unit.matchmaker.test_supply import NOW, SECOND, facts, waits, warm


def test_a_large_pool_is_filled_some_at_a_time() -> None:
    """At most `starts` of it start together; what groups that fill need now does not wait for them."""
    assert plan(facts(warm(servers=40), starts=8)).start == ["warm"] * 8
    there = [waits(f"w-{i}", ready_s=None, kind="warm") for i in range(6)]
    assert plan(facts(warm(servers=40), *there, starts=8)).start == ["warm"] * 2
    both = SupplySpec(early=EarlySpec(), warm=WarmSpec(servers=40), idle_most=50)
    assert len(plan(facts(both, asked=12, starts=8)).start) == 12


def test_who_waits_for_a_match_gives_way_to_one_without_room() -> None:
    """As many as are lacking end, the longest idle first and then the last begun; none is started meanwhile."""
    there = [
        waits("w-1", ready_s=5, kind="warm"),
        waits("w-2", ready_s=9, kind="warm"),
        waits("w-3", ready_s=None, kind="warm", created_ms=NOW - 4 * SECOND),
        waits("w-4", ready_s=None, kind="warm", created_ms=NOW - 2 * SECOND),
    ]
    crowded = facts(warm(servers=10), *there, give=3, crowded=True)
    made = plan(crowded)
    assert made.end == {"w-2": "gave_way", "w-1": "gave_way", "w-4": "gave_way"}
    assert (list(made.start), made.held) == ([], "gives_way")
    assert plan(replace(crowded, give=0, crowded=False)).start == ["warm"] * 6


def test_why_there_are_fewer() -> None:
    """The bound that holds a pool down is named."""
    assert plan(replace(facts(warm(servers=50)), supply=SupplySpec(warm=WarmSpec(60)))).held == "idle_most"
    assert plan(facts(warm(servers=50), servers_most=10, running=5)).held == "limit"
    assert plan(facts(warm(servers=50), room=3)).held == "no_room"
