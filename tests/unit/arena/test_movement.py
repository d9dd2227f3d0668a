"""Driving: the speed limit, walls and borders hold whatever is steered."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamepod.arena import ArenaSettings
from gamepod.arena.geo import Projection
from gamepod.arena.movement import advance, blocked
from gamepod.arena.spawn import spawn_place
from gamepod.arena.tank import Physics, Tank

SETTINGS = ArenaSettings()
PHYSICS = Physics(SETTINGS)
HELD = 10**9  # a tick that never comes


def tank_at(x: float, y: float, heading: float = 0.0) -> Tank:
    """A fresh tank whose steering holds."""
    tank = Tank()
    tank.place(x, y, heading, SETTINGS)
    tank.control_until = HELD
    return tank


def test_full_throttle_reaches_full_speed_and_no_more() -> None:
    """A tank accelerates to exactly its full speed."""
    tank = tank_at(20, 20)
    tank.throttle = 1.0
    for tick in range(120):
        advance(tank, tick, PHYSICS)
    assert tank.speed == SETTINGS.max_speed_mps


def test_sprint_is_faster_while_stamina_lasts() -> None:
    """A sprint exceeds full speed, empties stamina, and then falls back to full speed."""
    tank = tank_at(20, 20)
    tank.throttle, tank.sprint = 1.0, True
    fastest = 0.0
    for tick in range(SETTINGS.ticks(6)):
        advance(tank, tick, PHYSICS)
        fastest = max(fastest, tank.speed)
    assert fastest == SETTINGS.max_speed_mps * SETTINGS.sprint_factor
    assert tank.stamina < 1.0


def test_reverse_is_slower() -> None:
    """Backwards, only the reverse share of full speed is reached."""
    tank = tank_at(200, 20)
    tank.throttle = -1.0
    for tick in range(120):
        advance(tank, tick, PHYSICS)
    assert tank.speed == -SETTINGS.max_speed_mps * SETTINGS.reverse_factor


def test_a_silent_client_brakes() -> None:
    """When no steering came for the control timeout, the tank lets go and stops."""
    tank = tank_at(20, 20)
    tank.throttle = 1.0
    tank.control_until = 10
    for tick in range(60):
        advance(tank, tick, PHYSICS)
    assert tank.speed == 0.0


def test_a_tank_slides_along_a_wall() -> None:
    """A tank that drives into a wall at an angle keeps the part of its way along the wall."""
    west, south, _, north = SETTINGS.walls[0]
    tank = tank_at(west - 3, (south + north) / 2, math.radians(30))
    tank.throttle = 1.0
    start = tank.y
    for tick in range(60):
        advance(tank, tick, PHYSICS)
    assert tank.y > start + 1
    assert tank.x <= west - SETTINGS.tank_radius_m


@given(
    place=st.integers(0, 500),
    steering=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.booleans()), max_size=120),
)
def test_no_steering_breaks_the_limits(place: int, steering: list[tuple[float, float, bool]]) -> None:
    """Whatever is steered: never faster than a sprint, never in a wall, never outside, never NaN."""
    tank = tank_at(*spawn_place(place, [], PHYSICS))
    limit = PHYSICS.sprint_speed * PHYSICS.dt * (1 + 1e-9)
    for tick, (tank.throttle, tank.turn, tank.sprint) in enumerate(steering):
        x, y = tank.x, tank.y
        advance(tank, tick, PHYSICS)
        assert math.hypot(tank.x - x, tank.y - y) <= limit
        assert not blocked(tank.x, tank.y, PHYSICS)
        assert PHYSICS.min_edge <= tank.x <= PHYSICS.max_x
        assert PHYSICS.min_edge <= tank.y <= PHYSICS.max_y
        assert 0.0 <= tank.heading < 2 * math.pi + 1e-9
        assert 0.0 <= tank.stamina <= SETTINGS.max_stamina


@given(number=st.integers(0, 100_000))
def test_spawn_places_are_free(number: int) -> None:
    """A spawn place lies inside the world and out of every wall."""
    x, y, heading = spawn_place(number, [], PHYSICS)
    assert not blocked(x, y, PHYSICS)
    assert PHYSICS.min_edge <= x <= PHYSICS.max_x
    assert PHYSICS.min_edge <= y <= PHYSICS.max_y
    assert math.isfinite(heading)


def test_a_spawn_keeps_away_from_the_living() -> None:
    """Of the candidate places the one farthest from living tanks is taken."""
    alone = spawn_place(7, [], PHYSICS)
    guarded = spawn_place(7, [tank_at(alone[0], alone[1])], PHYSICS)
    assert math.hypot(guarded[0] - alone[0], guarded[1] - alone[1]) > SETTINGS.tank_radius_m


@given(x=st.floats(0, 5000), y=st.floats(0, 5000), lat=st.floats(-80, 80), lon=st.floats(-179, 179))
def test_gps_goes_there_and_back(x: float, y: float, lat: float, lon: float) -> None:
    """A place mapped to GPS and back is the same place to a millimetre."""
    projection = Projection(lat, lon)
    assert projection.to_plane(*projection.to_gps(x, y)) == pytest.approx((x, y), abs=1e-3)


def test_a_tank_in_a_niche_stays() -> None:
    """Where both axes are blocked, the tank stays where it is."""
    niche = Physics(ArenaSettings(walls=((20.0, 20.0, 40.0, 24.0), (36.0, 24.0, 40.0, 60.0))))
    tank = tank_at(33.99, 26.01, math.radians(-45))
    tank.throttle = 1.0
    for tick in range(60):
        advance(tank, tick, niche)
    assert (tank.x, tank.y) == pytest.approx((34.0, 26.0), abs=0.02)
