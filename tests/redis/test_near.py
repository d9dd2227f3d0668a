"""near_add, near_find: who is near, against every distance measured by hand; and nobody whose position has expired."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core import keys
from core.clock import iso
from core.errors import Invalid, NotFound
from core.interactions import Columns, Move
from core.near import EARTH_M, RADIUS_MOST, distance_m, near_calls, questions
from core.nearby import find_near, position_of
from core.redis.client import Caller, Database
from core.views import Views, view_calls

GAME = "duel"
AT_MS = 1_763_700_000_000
Place = tuple[float, float]


async def put(client: Caller, places: dict[str, Place], *, ttl_s: int = 30, view_ttl_ms: int | None = None) -> None:
    """Positions as a game server writes them: the views, then the index."""
    views = Views()
    views.add(Columns([Move(f"w-{i}", AT_MS, player, *place) for i, (player, place) in enumerate(places.items())]))
    for base, args in view_calls(GAME, views, move_ttl_ms=view_ttl_ms or ttl_s * 1000):
        await client.call("views_write", base, *args)
    for base, args in near_calls(GAME, views.moves.values(), ttl_s=ttl_s):
        await client.call("near_add", base, *args)


async def near(client: Any, place: Place, radius_m: float, top: int = 100) -> list[str]:
    return [one.player for one in await find_near(client, GAME, *place, radius_m=radius_m, top=top)]


def measured(places: dict[str, Place], place: Place, radius_m: float) -> dict[str, float]:
    """Everybody within the radius, by the spherical law of vectors: another way to the same distance."""

    def vector(lat: float, lon: float) -> tuple[float, float, float]:
        lat, lon = math.radians(lat), math.radians(lon)
        return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)

    here = vector(*place)
    chords = {player: math.dist(here, vector(*there)) for player, there in places.items()}
    found = {player: 2 * EARTH_M * math.asin(min(1.0, chord / 2)) for player, chord in chords.items()}
    return {player: far for player, far in found.items() if far <= radius_m}


def around(chance: random.Random, place: Place, radius_m: float) -> Place:
    """A place up to twice the radius away, over a pole or the date line if it lies there."""
    far, course = chance.random() * 2 * radius_m / EARTH_M, chance.random() * 2 * math.pi
    lat, lon = map(math.radians, place)
    north = math.asin(max(-1, min(1, math.sin(lat) * math.cos(far) + math.cos(lat) * math.sin(far) * math.cos(course))))
    east = lon + math.atan2(
        math.sin(course) * math.sin(far) * math.cos(lat), math.cos(far) - math.sin(lat) * math.sin(north)
    )
    return math.degrees(north), (math.degrees(east) + 180) % 360 - 180


CENTRES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(CENTRES, st.floats(1, RADIUS_MOST), st.integers(1, 40), st.integers(0, 10**6))
@example((0.0, 180.0), 5000.0, 40, 1)
@example((52.5, -179.9999), 40_000.0, 40, 2)
@example((-17.7, 179.98), 100_000.0, 10, 3)
@example((90.0, 0.0), 100_000.0, 40, 4)
@example((-89.9999, 33.0), 50.0, 40, 5)
@example((85.05, -180.0), 30_000.0, 40, 6)
@example((84.5, 100.0), 90_000.0, 40, 7)
@example((48.8584, 2.2945), 100.0, 5, 8)
async def test_near_is_what_measuring_everybody_finds(
    data: Database, centre: Place, radius_m: float, top: int, seed: int
) -> None:
    """The nearest in their order, anywhere on the globe; only who stands on the very edge may be in or out."""
    await data.do("FLUSHALL")
    chance = random.Random(seed)
    places = {f"p{i}": tuple(round(x, 7) for x in around(chance, centre, radius_m)) for i in range(60)}
    await put(data, places)  # type: ignore[arg-type]
    found = await find_near(data, GAME, *centre, radius_m=radius_m, top=top)
    wanted = measured(places, centre, radius_m)  # type: ignore[arg-type]
    edge = {p for p, far in measured(places, centre, radius_m + 0.1).items() if far > radius_m - 0.1}  # type: ignore[arg-type]
    assert {one.player for one in found} <= {*wanted, *edge}
    assert len(found) >= min(top, len(wanted.keys() - edge))
    assert [one.distance_m for one in found] == sorted(one.distance_m for one in found)
    for one in found:
        assert one.distance_m == pytest.approx(wanted.get(one.player, radius_m), abs=0.2)
    if len(found) == top:  # nobody who is left out is nearer, by more than the index rounds
        left = [far for player, far in wanted.items() if player not in {one.player for one in found}]
        assert not left or min(left) >= found[-1].distance_m - 1.5


async def test_a_crowd_in_one_place(client: Caller, data: Database) -> None:
    """Of many at one place the asked number is told, of those around it none before them."""
    await put(client, {f"p{i}": (48.0, 2.0) for i in range(300)} | {f"q{i}": (48.001, 2.0) for i in range(50)})
    found = await find_near(data, GAME, 48.0, 2.0, radius_m=500, top=20)
    assert [one.distance_m for one in found] == [0.0] * 20
    assert len(await near(data, (48.0, 2.0), 500, 1000)) == 350
    assert await near(data, (48.0, 2.0), 50, 1000) == sorted(f"p{i}" for i in range(300))


async def test_a_player_moves_on(client: Caller, data: Database) -> None:
    """There is one entry a player: who moved away is near where he is now."""
    await put(client, {"ann": (10.0, 20.0), "bob": (10.001, 20.0)})
    assert await near(data, (10.0, 20.0), 1000) == ["ann", "bob"]
    await put(client, {"ann": (10.5, 20.5)})
    assert await near(data, (10.0, 20.0), 1000) == ["bob"]
    assert await position_of(data, GAME, "ann") == (10.5, 20.5)
    found = await find_near(data, GAME, 10.5, 20.5, radius_m=1000, top=5, but="ann")
    assert found == []
    with pytest.raises(NotFound):
        await position_of(data, GAME, "eve")


async def test_a_shard_answers_with_its_nearest_first(client: Caller, data: Database) -> None:
    """The function itself: player, latitude, longitude and time of the view, of those within the radius."""
    await put(client, {"ann": (10.0, 20.0)})
    base, at = keys.shard(GAME, "ann"), iso(AT_MS)
    assert await client.call("near_find", base, "10.001", "20", "500", 5) == ["ann", "10.0", "20.0", at]
    assert await client.call("near_find", base, "10.01", "20", "500", 5) == []
    assert await client.call("near_find", base, "", "0", "0", 5) == []


async def test_nobody_is_told_whose_position_expired(client: Caller, data: Database) -> None:
    """The index may still have a player: with the view gone, no reader sees him."""
    await put(client, {"ann": (10.0, 20.0), "bob": (10.0, 20.0)})
    await data.do("DEL", f"{keys.shard(GAME, 'ann')}:move:ann")
    assert await near(data, (10.0, 20.0), 1000) == ["bob"]


async def test_expired_players_leave_the_index_in_steps(client: Caller, data: Database) -> None:
    """A write takes out two for one it puts in, a look a bounded number; an index that nobody writes ends by itself."""
    base = keys.shard(GAME, "ann")
    old = [value for i in range(50) for value in (1000 + i, f"old{i}")]
    await data.do("ZADD", f"{base}:near:until", *old)
    await data.do("GEOADD", f"{base}:near", *[value for i in range(50) for value in (20.0, 10.0, f"old{i}")])
    await put(client, {"ann": (10.0, 20.0)})
    assert await data.do("ZCARD", f"{base}:near") == await data.do("ZCARD", f"{base}:near:until") == 50 + 1 - 12
    assert await near(data, (10.0, 20.0), 1000) == ["ann"]
    assert await data.do("ZRANGE", f"{base}:near", 0, -1) == ["ann"]
    assert 0 < await data.do("TTL", f"{base}:near") <= 30
    assert 0 < await data.do("TTL", f"{base}:near:until") <= 30


async def test_a_full_index_takes_no_newcomers(client: Caller, data: Database) -> None:
    """At its bound those in it are still followed; others are left out, and the caller is told how many were put in."""
    base = keys.shard(GAME, "ann")
    assert await client.call("near_add", base, 30, 2, "a", 1, 1, "b", 1, 1, "c", 1, 1) == 2
    assert await client.call("near_add", base, 30, 2, "c", 1, 1, "a", 2, 2) == 1
    assert sorted(await data.do("ZRANGE", f"{base}:near", 0, -1)) == ["a", "b"]


@pytest.mark.parametrize(
    ("given_", "pointer"),
    [
        ((91.0, 0.0, 10.0, 1), "position"),
        ((0.0, 181.0, 10.0, 1), "position"),
        ((math.nan, 0.0, 10.0, 1), "position"),
        ((0.0, 0.0, 0.0, 1), "radius_m"),
        ((0.0, 0.0, math.nan, 1), "radius_m"),
        ((0.0, 0.0, 200_000.0, 1), "radius_m"),
        ((0.0, 0.0, 10.0, 0), "top"),
        ((0.0, 0.0, 10.0, 1001), "top"),
    ],
)
async def test_bad_questions_are_refused(data: Database, given_: tuple[float, float, float, int], pointer: str) -> None:
    """The error names what is wrong."""
    lat, lon, radius_m, top = given_
    with pytest.raises(Invalid) as caught:
        await find_near(data, GAME, lat, lon, radius_m=radius_m, top=top)
    assert caught.value.pointer == pointer


def test_distances_and_questions() -> None:
    """A degree of a meridian, the date line, and a pole; at a pole and at the date line more is asked."""
    assert distance_m(0, 0, 1, 0) == pytest.approx(2 * math.pi * EARTH_M / 360)
    assert distance_m(0, 179.5, 0, -179.5) == pytest.approx(distance_m(0, 0, 0, 1))
    assert distance_m(90, 0, 90, 77) == pytest.approx(0, abs=1e-6)
    assert questions(48, 2, 100, 5) == [("48", "2", "102.0", "5")]
    assert questions(-89.0, 0, 100, 5) == [("", "0", "0", "1000")]
    assert [args[0] for args in questions(83.5, 0, 100_000, 5)] == ["", "83.5"]
    assert [args[1] for args in questions(10, -179.999, 5000, 5)] == ["-179.999", "180.0"]
