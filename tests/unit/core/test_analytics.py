"""What is counted of events, and what is flagged."""

from __future__ import annotations

import math
from typing import Any

import pytest

from core.analytics import judge as judging
from core.analytics.fold import Event, fold, minute_of, place_of, place_text
from core.analytics.judge import Flag, Judge, Limits, arena_limits, distance_m
from core.sinks.catalogue import KINDS

ARENA = arena_limits({})
T = 1_700_000_040_000  # a whole minute


def body(event: str, at_ms: int = T, **more: Any) -> dict[str, Any]:
    return {"event": event, "id": f"{event}-{at_ms}", "at_ms": at_ms, "game": "g", "match": "m", **more}


def moved(at_ms: int, metres: float, player: str = "p") -> dict[str, Any]:
    """A move to so many metres north of the equator."""
    return body("tank_moved", at_ms, player=player, lat=metres / judging.METRES_PER_DEGREE, lon=5.0)


def hit(at_ms: int, damage: Any, attacker: str = "p") -> dict[str, Any]:
    return body("tank_took_damage", at_ms, player="victim", attacker=attacker, damage=damage)


def judged(*events: dict[str, Any], limits: Limits | None = ARENA) -> list[Flag]:
    judge = Judge(address_most=3, name_most=2)
    return [flag for event in events for flag in judge.look(event, limits)]


def test_an_arena_allows_what_its_settings_say() -> None:
    """Full speed while sprinting, its weapon's damage; nothing is known of an arena that cannot be read."""
    assert Limits(12.0 * 1.6, 2000.0, 20.0, 400.0) == ARENA
    assert arena_limits({"max_speed_mps": 20, "respawn_s": 60}) == Limits(32.0, 10_000, 20.0, 400.0)
    assert arena_limits({"max_speed_mps": "fast"}) is None


def test_a_tank_at_full_speed_is_no_flag() -> None:
    """Every half second, however often; nor one that a server which fell behind plays at once."""
    assert judged(*(moved(T + 500 * i, 19.2 * 0.5 * i) for i in range(20))) == []
    assert judged(moved(T, 0), moved(T + 1, 19.0)) == []


def test_a_tank_that_jumps_is_flagged_once_a_minute_by_each_flag_id() -> None:
    """With how far it was and might have been; the id is the same for all of the minute."""
    first, second = judged(moved(T, 0), moved(T + 500, 100.0), moved(T + 1000, 300.0))
    assert first.event == "impossible_speed"
    assert first.id == second.id
    assert (first.about["player"], first.about["metres"], first.about["within_ms"]) == ("p", 100.0, 500)
    assert first.about["allowed_metres"] == pytest.approx(19.2 * 1.5 * 1.1, abs=0.1)


def test_who_came_back_elsewhere_is_no_flag() -> None:
    """After the time in which one is destroyed and comes back, any place is possible; so is one of another match."""
    assert judged(moved(T, 0), moved(T + 2000, 150.0)) == []
    assert judged(moved(T, 0), {**moved(T + 500, 150.0), "match": "other"}) == []
    assert judged(moved(T, 0), moved(T + 500, 150.0, "another")) == []


def test_places_that_are_none_and_limits_that_are_not_known_flag_nothing() -> None:
    """A server may tell anything; and what a match allows may be unknown."""
    nowhere = body("tank_moved", T + 100, player="p", lat=None, lon=math.nan)
    assert judged(moved(T, 0), nowhere, moved(T + 200, 1.0)) == []
    assert judged(moved(T, 0), moved(T + 500, 1000.0), hit(T, 1e9), limits=None) == []


def test_a_hit_of_more_than_the_weapon_does_is_flagged() -> None:
    """Also one that is no number."""
    [flag] = judged(hit(T, 20.0), hit(T + 400, 50.0))
    assert (flag.event, flag.about["damage"], flag.about["allowed_damage"]) == ("impossible_damage", 50.0, 20.0)
    [flag] = judged(hit(T, None))
    assert flag.about["damage"] is None


def test_more_hits_than_the_weapon_can_fire_are_flagged() -> None:
    """As fast as it fires is fine for ever; three times as fast is not. Without a cool-down there is no such limit."""
    assert judged(*(hit(T + 400 * i, 20.0) for i in range(100))) == []
    flags = judged(*(hit(T + 133 * i, 20.0) for i in range(40)))
    assert {flag.id for flag in flags} == {f"impossible_damage-m-p-{T // 60_000}"}
    assert ARENA is not None
    assert judged(*(hit(T + i, 20.0) for i in range(100)), limits=ARENA._replace(cooldown_ms=0)) == []


def test_failed_logins_are_a_storm_above_the_bound() -> None:
    """By address over names, and by name over addresses, each minute for itself; told once."""
    site = {"game": "", "match": ""}
    tries = [body("user_login_failed", T + i, name=f"n{i}", address="192.0.2.1", **site) for i in range(8)]
    [flag] = judged(*tries)
    assert (flag.event, flag.id) == ("login_storm", f"login_storm-address-192.0.2.1-{T // 60_000}")
    assert (flag.about["by"], flag.about["failures"]) == ("address", 4)
    tries = [body("user_login_failed", T + i, name="ada", address=f"192.0.2.{i}", **site) for i in range(8)]
    assert [flag.about["who"] for flag in judged(*tries)] == ["ada"]
    slow = [body("user_login_failed", T + 30_000 * i, name="ada", address="192.0.2.1", **site) for i in range(8)]
    assert judged(*slow) == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many players there are; those not heard of longest are forgotten."""
    monkeypatch.setattr(judging, "KNOWN_MOST", 10)
    judge = Judge(3, 3)
    for i in range(100):
        judge.look(moved(T, 0, f"p{i}"), ARENA)
        judge.look(hit(T, 1.0, f"p{i}"), ARENA)
        judge.look(body("user_login_failed", name=f"n{i}", address="a"), None)
    assert max(len(judge._places), len(judge._attacks), len(judge._failures)) == 10
    assert judge.look(moved(T + 100, 500.0, "p0"), ARENA) == []  # forgotten
    assert judge.look(moved(T + 100, 500.0, "p99"), ARENA)


def test_what_was_counted_is_only_judged_by_what_follows() -> None:
    """An event at or before the cursor adds nothing, and what follows is judged as if nobody had stopped."""
    page = [Event(moved(T, 0), T, "c", (1, 0)), Event(moved(T + 100, 500.0), T, "c", (2, 0))]
    again = [Event(moved(T, 0), T, "c", (1, 0)), Event(moved(T + 100, 500.0), T, "c", (2, 0))]
    whole = fold(page, {}, {}, {"m": ARENA}, Judge(3, 3), KINDS)
    rest = fold(again, {"c": (1, 0)}, {}, {"m": ARENA}, Judge(3, 3), KINDS)
    none = fold(again, {"c": (2, 0)}, {}, {"m": ARENA}, Judge(3, 3), KINDS)
    assert whole.counts == {(T // 60_000, "tank_moved"): 2}
    assert rest.counts == {(T // 60_000, "tank_moved"): 1}
    assert whole.flags == rest.flags != []
    assert (none.counts, none.flags, none.events) == ({}, [], 0)


def test_what_comes_twice_is_one() -> None:
    """Sent again, in the same page or a later one: neither counted nor judged twice."""
    judge, seen = Judge(3, 3), dict[str, tuple[int, ...]]()
    hits = [Event(hit(T + 400 * i, 20.0), T, "c", (i, 0)) for i in range(12)]
    found = [fold(page, {}, seen, {"m": ARENA}, judge, KINDS) for page in (hits + hits, hits, hits)]
    assert [one.events for one in found] == [12, 0, 0]
    assert [one.flags for one in found] == [[], [], []]


def test_counts_are_by_name_with_damage_and_failures() -> None:
    """Names that are not in the catalogue are one; damage that is no number adds nothing."""
    events = [hit(T, 7.5), hit(T, None), hit(T, -3.0), body("session_removed", outcome="FAILED"), body("unheard_of")]
    found = fold([Event(one, T, "c", (n, 0)) for n, one in enumerate(events)], {}, {}, {}, Judge(3, 3), KINDS)
    minute = T // 60_000
    assert found.counts == {
        (minute, "tank_took_damage"): 3, (minute, "damage"): 7.5, (minute, "session_removed"): 1,
        (minute, "session_removed:FAILED"): 1, (minute, "other"): 1,
    }  # fmt: skip


def test_a_time_that_cannot_be_is_not_believed() -> None:
    """What a server says happened years ago, or will, counts when it came."""
    assert minute_of(T - 600_000, T) == (T - 600_000) // 60_000
    assert minute_of(0, T) == minute_of(T + 10**9, T) == T // 60_000


def test_places_are_stored_as_ids_of_streams() -> None:
    """Both ways."""
    assert place_of(place_text((17, 3))) == (17, 3)
    assert distance_m((0.0, 0.0), (0.0, 1.0)) == pytest.approx(111_320.0)
