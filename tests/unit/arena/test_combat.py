"""Shooting: who is hit, what it costs, and each reason for a refusal."""

from __future__ import annotations

import math

import pytest

from gamepod.arena import ArenaSettings, Refusal, ShootCommand
from gamepod.arena.combat import Shot, fire, wall_distance
from gamepod.arena.session import Session
from gamepod.arena.tank import Physics, Tank
from tests.unit.arena.kit import OPEN_FIELD, one_session

WALLED = ArenaSettings(walls=((100.0, 40.0, 104.0, 80.0),))


def field(
    *places: tuple[float, float], settings: ArenaSettings = OPEN_FIELD, teams: str = ""
) -> tuple[Session, list[Tank]]:
    """A session with one tank at each place; `teams` gives each a letter."""
    _, session = one_session(settings)
    tanks = []
    for number, (x, y) in enumerate(places):
        session.join(f"p{number}", f"P{number}", teams[number] if teams else "", 0)
        tank = session._world.tanks[number]
        tank.x, tank.y, tank.heading, tank.aim = x, y, 0.0, 0.0
        tanks.append(tank)
    return session, tanks


def shoot(session: Session, command: ShootCommand, tick: int = 1) -> Shot | Refusal:
    """The first tank fires."""
    world = session._world
    tank = world.tanks[0]
    assert tank.owner is not None
    return fire(tank, tank.owner, command, world.tanks, tick, world.physics)


def test_a_named_target_in_range_is_hit() -> None:
    """A shot at a named target turns the gun, takes hit points and mana, and starts the cooldown."""
    session, (shooter, target) = field((50, 50), (50, 90))
    shot = shoot(session, ShootCommand(target=1))
    assert isinstance(shot, Shot)
    assert shot.hit is target
    assert shot.damage == OPEN_FIELD.shot_damage
    assert target.hit_points == OPEN_FIELD.max_hit_points - OPEN_FIELD.shot_damage
    assert shooter.mana == OPEN_FIELD.max_mana - OPEN_FIELD.shot_mana
    assert shooter.aim == pytest.approx(math.pi / 2)


def test_an_aimed_shot_hits_the_nearest_in_line() -> None:
    """A shot along an aim hits the first tank on its line, not the one behind it or beside it."""
    session, (_, near, far, beside) = field((50, 50), (70, 51), (80, 50), (60, 55))
    shot = shoot(session, ShootCommand(aim=0.0))
    assert isinstance(shot, Shot)
    assert shot.hit is near
    assert far.hit_points == beside.hit_points == OPEN_FIELD.max_hit_points


def test_a_miss_is_accepted_and_costs() -> None:
    """A shot into the void hits nobody, flies its range, and costs mana all the same."""
    session, (shooter,) = field((50, 50))
    shot = shoot(session, ShootCommand(aim=90.0))
    assert isinstance(shot, Shot)
    assert (shot.hit, shot.damage, shot.length_m) == (None, 0.0, OPEN_FIELD.shot_range_m)
    assert shooter.mana < OPEN_FIELD.max_mana


def test_a_wall_stops_a_shot() -> None:
    """A tank behind a wall is not hit by aim, and cannot be named as a target."""
    session, (_, hidden) = field((90, 60), (110, 60), settings=WALLED)
    shot = shoot(session, ShootCommand(aim=0.0))
    assert isinstance(shot, Shot)
    assert (shot.hit, shot.length_m) == (None, pytest.approx(10.0))
    assert hidden.hit_points == WALLED.max_hit_points
    assert shoot(session, ShootCommand(target=1), tick=1000) is Refusal.NO_LINE_OF_SIGHT


def test_teammates_are_spared() -> None:
    """A shot passes a teammate and hits the enemy behind; with friendly fire it does not pass."""
    session, (_, friend, enemy) = field((50, 50), (60, 50), (70, 50), teams="aab")
    shot = shoot(session, ShootCommand(aim=0.0))
    assert isinstance(shot, Shot)
    assert shot.hit is enemy
    fire_at_all = ArenaSettings(walls=(), friendly_fire=True)
    session, (_, friend, enemy) = field((50, 50), (60, 50), (70, 50), settings=fire_at_all, teams="aab")
    shot = shoot(session, ShootCommand(aim=0.0))
    assert isinstance(shot, Shot)
    assert shot.hit is friend


@pytest.mark.parametrize(
    ("slot", "refusal"),
    [
        (0, Refusal.SELF_TARGET),
        (99, Refusal.UNKNOWN_TARGET),
        (-1, Refusal.UNKNOWN_TARGET),
        (1, Refusal.FRIENDLY_TARGET),
        (2, Refusal.OUT_OF_RANGE),
        (3, Refusal.TARGET_DESTROYED),
    ],
)
def test_a_wrong_target_is_refused_for_free(slot: int, refusal: Refusal) -> None:
    """A target that may not be shot at is refused by its reason, and costs neither mana nor cooldown."""
    session, tanks = field((50, 50), (60, 50), (200, 50), (70, 50), teams="aabb")
    tanks[3].alive = False
    assert shoot(session, ShootCommand(target=slot)) is refusal
    assert tanks[0].mana == OPEN_FIELD.max_mana
    assert tanks[0].ready_at == 0


def test_cooldown_and_mana_are_kept() -> None:
    """A second shot within the cooldown is refused, and so is one without mana."""
    session, (shooter,) = field((50, 50))
    assert isinstance(shoot(session, ShootCommand(), tick=1), Shot)
    assert shoot(session, ShootCommand(), tick=2) is Refusal.COOLDOWN
    shooter.mana = OPEN_FIELD.shot_mana - 0.1
    assert shoot(session, ShootCommand(), tick=1000) is Refusal.NOT_ENOUGH_MANA


def test_the_last_hit_takes_only_what_is_left() -> None:
    """Damage never exceeds the target's hit points."""
    session, (_, target) = field((50, 50), (60, 50))
    target.hit_points = 5.0
    shot = shoot(session, ShootCommand(target=1))
    assert isinstance(shot, Shot)
    assert (shot.damage, target.hit_points) == (5.0, 0.0)


@pytest.mark.parametrize(
    ("aim", "distance"),
    [(0.0, 10.0), (math.pi, 60.0), (math.pi / 2, 60.0), (math.atan2(40.0, 10.0), 60.0)],
)
def test_distance_to_a_wall(aim: float, distance: float) -> None:
    """A ray meets the wall in front of it and no other, also when it runs along an axis."""
    assert wall_distance(90.0, 60.5, aim, 60.0, Physics(WALLED)) == pytest.approx(distance)
