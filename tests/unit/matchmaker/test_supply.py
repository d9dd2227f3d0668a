"""The supply planner: bounds that hold whatever the facts are, and what each policy asks for."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.lifecycle import StandbyState
from core.model import EarlySpec, SupplySpec, Timers, WarmSpec, WarmTimes
from matchmaker.arrivals import EVENTS, Arrivals, ArrivalsByKind, Durations
from matchmaker.supply import (
    BUDGET_MATCHES,
    FIRST_MATCHES,
    IDLE_MOST_S,
    POOL_HOLD_S,
    Budget,
    Facts,
    Filling,
    Plan,
    Rate,
    Standby,
    guess,
    plan,
)

NOW = 1_763_700_000_000  # a Friday, 04:40 UTC
BUSY = Rate(30, 30.0)
SECOND = 1000


def waits(name: str = "w-1", *, ready_s: float | None = 1.0, kind: Any = "early", **more: Any) -> Standby:
    """A server that is ready since `ready_s`, or starts (None)."""
    ready_ms = 0 if ready_s is None else NOW - round(ready_s * 1000)
    state = StandbyState.STARTING if ready_s is None else StandbyState.READY
    made = Standby(name, state, kind, 1, (ready_ms or NOW) - SECOND, ready_ms, NOW)
    return replace(made, **more)


def facts(supply: SupplySpec, *standbys: Standby, **more: Any) -> Facts:
    known: dict[str, Any] = {"running": 0, "room": 100, "servers_most": 100, "silent_ms": NOW - 10_000}
    return Facts(NOW, 1, supply, Timers(), standbys, **(known | more))


def duel(tickets: int = 1, rate: Rate = BUSY) -> Filling:
    return Filling(tickets, ((0.0, 2),), 2, rate)


EARLY = SupplySpec(early=EarlySpec())

rates = st.builds(Rate, st.integers(0, 64), st.floats(0.05, 600))
fillings = st.builds(
    lambda tickets, least, size, rate, later: Filling(
        min(tickets, size - 1), ((0.0, size), (later, min(size, least))), size, rate
    ),
    st.integers(0, 40), st.integers(1, 40), st.integers(1, 40), rates, st.floats(0.1, 60),
)  # fmt: skip
specs = st.builds(
    SupplySpec,
    early=st.none() | st.builds(EarlySpec, st.floats(0.05, 1), st.floats(0.1, 60), st.floats(1, 60)),
    warm=st.none()
    | st.builds(WarmSpec, st.integers(0, 30), st.floats(0, 2), st.none() | st.floats(0.5, 0.9999), st.just([])),
    idle_most=st.integers(1, 30),
)
ages = st.none() | st.floats(0, 5000)
standing = st.lists(
    st.tuples(ages, st.sampled_from(["early", "warm"]), st.booleans(), st.booleans(), st.sampled_from([1, 2])),
    max_size=40,
)


@st.composite
def worlds(draw: st.DrawFn) -> Facts:
    """Anything that may be found."""
    there = [
        waits(f"w-{i}", ready_s=ready, kind=kind, seen_dead=dead, refused=refused and ready is None, version=version)
        for i, (ready, kind, dead, refused, version) in enumerate(draw(standing))
    ]
    return facts(
        draw(specs),
        *there,
        running=draw(st.integers(0, 120)),
        room=draw(st.integers(0, 50)),
        fillings=draw(st.lists(fillings, max_size=4)),
        asked=draw(st.integers(0, 5)),
        matches=draw(rates),
        budget_s=draw(st.floats(-10, 100)),
        start_s=draw(st.floats(0.05, 30)),
        starts=draw(st.integers(1, 50)),
        give=draw(st.integers(0, 5)),
        crowded=draw(st.booleans()),
    )


@settings(deadline=None)
@given(worlds())
def test_never_above_any_bound(world: Facts) -> None:
    """What there will be is at most what may stand idle, what may run at all, and what there is room for."""
    made: Plan = plan(world)
    left = len(world.standbys) - len(made.end)
    assert len(made.start) <= world.room
    starting = sum(not it.ready_ms for it in world.standbys if it.id not in made.end)
    assert len(made.start) <= max(made.early, world.starts - starting, 0)
    assert list(made.end.values()).count("gave_way") <= world.give
    assert not (world.crowded and made.start)
    if made.start:
        assert left + len(made.start) <= min(world.supply.idle_most, world.servers_most - world.running)
    assert 0 <= made.want <= min(world.supply.idle_most, max(0, world.servers_most - world.running))
    assert set(made.end) <= {it.id for it in world.standbys}


@settings(deadline=None)
@given(worlds())
def test_nothing_is_started_on_demand(world: Facts) -> None:
    """Without a policy nothing is started, and what is ready of an earlier one is ended at once."""
    made = plan(replace(world, supply=SupplySpec()))
    assert (made.want, list(made.start)) == (0, [])
    assert {it.id for it in world.standbys if it.ready_ms} <= set(made.end)


@settings(deadline=None)
@given(worlds())
def test_where_nobody_comes_nothing_is_guessed(world: Facts) -> None:
    """Early start scales to zero: with no arrivals of late, and nobody who is asked, it wants nothing."""
    silent = [replace(it, rate=Rate(0, it.rate.window_s), needs=((0.0, it.size),)) for it in world.fillings]
    supply = replace_policy(world.supply)
    assert plan(replace(world, supply=supply, fillings=silent, asked=0)).want == 0


def replace_policy(supply: SupplySpec) -> SupplySpec:
    return SupplySpec(early=supply.early or EarlySpec(), idle_most=supply.idle_most)


@settings(deadline=None)
@given(worlds())
def test_a_spent_budget_starts_no_guess(world: Facts) -> None:
    """However likely a group is to fill, without budget no server starts for it."""
    made = plan(replace(world, supply=replace_policy(world.supply), budget_s=0.0, asked=0))
    assert not made.start


@settings(deadline=None)
@given(worlds())
def test_one_that_starts_is_left_to_finish(world: Facts) -> None:
    """No server is ended on its way but for a reason of its own: dead, refused, of another version, never ready."""
    made = plan(world)
    for it in world.standbys:
        if not it.ready_ms and it.id in made.end:
            assert made.end[it.id] != "unneeded"


@given(rates, st.integers(0, 300), st.floats(0, 100), st.floats(0, 100))
def test_chances_are_chances(rate: Rate, least: int, within_s: float, more_s: float) -> None:
    """Between 0 and 1; more time makes it likelier, more that is needed less likely."""
    chance = rate.chance(least, within_s)
    assert 0 <= chance <= 1
    assert rate.chance(least, within_s + more_s) >= chance - 1e-9
    assert rate.chance(least + 1, within_s) <= chance + 1e-9


def test_a_well_known_rate_is_poissons() -> None:
    """With many arrivals the chance of at least n within t is that of a Poisson process."""
    rate = Rate(1_000_000, 500_000.0)
    for least, within_s in ((1, 0.3), (3, 1.0), (10, 6.0)):
        mean = 2.0 * within_s
        poisson = 1 - sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(least))
        assert rate.chance(least, within_s) == pytest.approx(poisson, abs=1e-4)


def test_a_guess_adds_up() -> None:
    """One missing, one a second: a server of 1 s is in time with 63 %, used within ten more, idle for 0.37 s."""
    found = guess(duel(rate=Rate(100_000, 100_000.0)), 0, 1.0, 10.0)
    assert found.in_time == pytest.approx(1 - math.exp(-1), abs=0.001)
    assert found.used == pytest.approx(1 - math.exp(-11), abs=0.001)
    assert found.idle_s == pytest.approx(math.exp(-1), rel=0.05)


def test_rules_that_relax_make_a_match_sure() -> None:
    """Four are wanted, two suffice after 5 s, two wait, and nobody comes: the match is there at 5 s."""
    filling = Filling(2, ((0.0, 4), (5.0, 2)), 4, Rate(0, 60.0))
    assert (filling.full_by(0, 4.9), filling.full_by(0, 5.0)) == (0.0, 1.0)
    assert plan(facts(EARLY, fillings=[filling], start_s=4.0)).start == ["early"]
    lone = SupplySpec(early=EarlySpec(idle_s=0.5))
    assert not plan(facts(lone, fillings=[filling], start_s=0.1)).start  # it would stand idle for 4.9 s


def test_a_group_that_fills_gets_one_server() -> None:
    """Half a duel waits and players come each second: one server, and none more while that one is there."""
    assert plan(facts(EARLY, fillings=[duel()], start_s=0.5)).start == ["early"]
    for there in (waits(ready_s=None), waits()):
        again = plan(facts(EARLY, there, fillings=[duel()], start_s=0.5))
        assert (again.start, again.end, again.want) == ([], {}, 1)


def test_a_rush_gets_as_many_as_are_needed_when_they_are_ready() -> None:
    """Ten players a second and a start of 2 s: about the ten matches that are made meanwhile."""
    supply = SupplySpec(early=EarlySpec(), idle_most=100)
    made = plan(facts(supply, fillings=[duel(rate=Rate(31, 3.1))], start_s=2.0))
    assert 8 <= len(made.start) <= 11


def test_an_unlikely_group_gets_none() -> None:
    """Nobody came for ten minutes but the one who waits."""
    made = plan(facts(EARLY, fillings=[duel(rate=Rate(1, 600.0))], start_s=0.5))
    assert (made.start, made.best is not None and made.best.used < 0.5) == ([], True)


def test_a_wrong_guess_waits_its_time_for_another_group_and_goes() -> None:
    """Ready and not wanted any more: kept for `hold_s`, then ended."""
    hold_s = EarlySpec().hold_s
    assert not plan(facts(EARLY, waits(ready_s=hold_s - 1))).end
    assert plan(facts(EARLY, waits(ready_s=hold_s + 1))).end == {"w-1": "unneeded"}


def test_players_who_are_asked_need_a_server_soon() -> None:
    """Each match that waits for its players' answers gets one started."""
    assert len(plan(facts(EARLY, asked=2)).start) == 2


def test_without_budget_the_planner_says_so() -> None:
    """Wrong guesses have cost too much: nothing starts, and `held` tells why."""
    made = plan(facts(EARLY, fillings=[duel()], start_s=0.5, budget_s=0.0))
    assert (made.start, made.held) == ([], "budget")
    idle = plan(facts(EARLY, waits(ready_s=30), fillings=[duel()], start_s=0.5, budget_s=20.0))
    assert idle.end == {"w-1": "unneeded"}  # what it stands idle for now counts already


def warm(**more: Any) -> SupplySpec:
    return SupplySpec(warm=WarmSpec(**more), idle_most=50)


def test_a_fixed_pool_and_a_share() -> None:
    """So many always; or a share of what runs, rounded up; whichever is more."""
    assert plan(facts(warm(servers=3))).start == ["warm"] * 3
    assert plan(facts(warm(servers=3), waits(kind="warm"))).start == ["warm"] * 2
    assert plan(facts(warm(share=0.1), running=41)).want == 5
    assert plan(facts(warm(servers=7, share=0.1), running=41)).want == 7


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-11-{text}+00:00").timestamp() * 1000)


@pytest.mark.parametrize(
    ("when", "wanted"),
    [
        ("20T17:59:59", 1), ("20T18:00:00", 8), ("20T22:59:00", 8), ("20T23:00:00", 1),
        ("21T23:30:00", 20), ("22T01:59:00", 20), ("22T02:00:00", 1), ("22T23:30:00", 1),
    ],
)  # fmt: skip
def test_a_schedule(when: str, wanted: int) -> None:
    """Evenings have 8, the night that begins on Saturday 20 until two, all else the fixed number."""
    schedule = [WarmTimes("18:00", "23:00", 8, ["fri"]), WarmTimes("23:00", "02:00", 20, ["sat"])]
    spec = warm(servers=1, schedule=schedule)
    assert plan(replace(facts(spec), now_ms=at(when))).want == wanted


def test_a_pool_that_follows_demand() -> None:
    """Enough for the matches of a start's time at that probability; more for a higher one; none where none are made."""
    matches = Rate(31, 62.0)  # one each 2 s
    some = plan(facts(warm(cover=0.9), matches=matches, start_s=4.0)).want
    most = plan(facts(warm(cover=0.99), matches=matches, start_s=4.0)).want
    assert 2 < some < most < 10
    assert plan(facts(warm(cover=0.99), matches=Rate(0, 600.0), start_s=4.0)).want == 0


def test_a_pool_that_shrinks_does_so_slowly() -> None:
    """Demand comes back: one more than wanted is kept for a while, then the longest idle goes."""
    two = [waits("w-1", ready_s=100, kind="warm"), waits("w-2", ready_s=5, kind="warm")]
    assert plan(facts(warm(servers=1), *two)).end == {"w-1": "unneeded"}
    young = [replace(it, ready_ms=NOW - round((POOL_HOLD_S - 5) * 1000)) for it in two]
    assert not plan(facts(warm(servers=1), *young)).end


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (waits(version=2), "old_version"),
        (waits(keys="of another secret"), "old_keys"),
        (waits(ready_s=None, refused=True), "launch_failed"),
        (waits(ready_s=None, seen_dead=True), "died_early"),
        (waits(seen_dead=True), "server_lost"),
        (waits(beat_ms=NOW - 10_001), "server_lost"),
        (waits(ready_s=None, created_ms=NOW - 60_000), "never_ready"),
        (waits(created_ms=NOW - round(IDLE_MOST_S * 1000)), "too_old"),
    ],
)
def test_what_is_of_no_use_is_ended_and_replaced(there: Standby, reason: str) -> None:
    """Each for its reason, and the pool has another in the same step."""
    made = plan(facts(warm(servers=1), there))
    assert (made.end, list(made.start)) == ({"w-1": reason}, ["warm"])


def test_nobody_is_judged_by_silence_while_redis_was_away() -> None:
    """A beat that could not come is held against nobody."""
    assert not plan(facts(warm(servers=1), waits(beat_ms=NOW - 99_999), silent_ms=None)).end


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60_000)), max_size=50), st.floats(0.1, 60))
def test_a_budget_is_never_spent_twice(turns: list[tuple[int, int]], idle_s: float) -> None:
    """What may be spent in all is what matches earned and the beginning; and little is ever saved up."""
    budget, spec, matches, spent_ms = Budget(), EarlySpec(idle_s=idle_s), 100, 5_000
    budget.turn(spec, matches, spent_ms)
    for made, idle_ms in turns:
        matches, spent_ms = matches + made, spent_ms + idle_ms
        left_s = budget.turn(spec, matches, spent_ms)
        assert left_s <= BUDGET_MATCHES * idle_s + 1e-9
        assert left_s <= (FIRST_MATCHES + matches - 100) * idle_s - (spent_ms - 5_000) / 1000 + 1e-6


def test_a_rate_is_of_late() -> None:
    """Few arrivals are counted over the time that somebody looked; many over as long as the last of them took."""
    seen = Arrivals(NOW)
    assert seen.rate(NOW + 10_000) == Rate(0, 10.0)
    seen.seen(NOW + 4_000)
    assert seen.rate(NOW + 10_000) == Rate(1, 10.0)
    for i in range(100):
        seen.seen(NOW + 10_000 + 100 * i)
    assert seen.rate(NOW + 20_000) == Rate(EVENTS - 1, 3.2)
    assert seen.rate(NOW + 2_000_000).count == 0


def test_kinds_that_nobody_joins_are_forgotten() -> None:
    """Groups come and go; of a forgotten one nothing is known."""
    kinds = ArrivalsByKind(NOW)
    for i in range(300):
        kinds.seen(i, NOW + i)
    assert kinds.rate(0, NOW + 400).count == 0
    assert kinds.rate(299, NOW + 400).count == 1


def test_the_median_of_starts() -> None:
    """One slow start does not make all of them slow."""
    starts = Durations()
    assert starts.median() is None
    for seconds in (0.3, 0.4, 30.0):
        starts.add(seconds)
    assert starts.median() == 0.4


def test_one_who_just_came_is_no_crowd() -> None:
    """In a moment's look one arrival is a rate of twenty a second: the group he began gets a server, no other does."""
    started = [len(plan(facts(EARLY, fillings=[duel(rate=Rate(n, n * 0.05))])).start) for n in (1, 20)]
    assert started[0] == 1 < started[1]
