"""Shooting: who is hit, and every reason why a shot is refused. Nothing here changes the score.

A shot is instant (no projectile to simulate): it flies from the tank's centre until a wall, its range, or the
first tank that is not on the shooter's side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gamepod.arena.commands import Refusal, ShootCommand
from gamepod.arena.intake import find_other
from gamepod.arena.tank import Physics, Player, Tank

_PARALLEL = 1e-12  # a direction smaller than this never crosses a wall's side


class Shot(NamedTuple):
    """An accepted shot: where it flew and whom it hit."""

    aim: float  # radians
    length_m: float
    hit: Tank | None
    damage: float  # hit points taken


def fire(
    tank: Tank, owner: Player, command: ShootCommand, tanks: Mapping[int, Tank], tick: int, physics: Physics
) -> Shot | Refusal:
    """Fire once, or say why not. A refused shot costs nothing; an accepted one costs mana and cooldown."""
    settings = physics.settings
    if tick < tank.ready_at:
        return Refusal.COOLDOWN
    if tank.mana < settings.shot_mana:
        return Refusal.NOT_ENOUGH_MANA
    target: Tank | None = None
    if command.target is not None:
        found = _named_target(tank, owner, command.target, tanks, physics)
        if isinstance(found, Refusal):
            return found
        target, aim, length = found
    else:
        aim = tank.aim if command.aim is None else math.radians(command.aim)
        reach = wall_distance(tank.x, tank.y, aim, settings.shot_range_m, physics)
        target, length = _first_in_line(tank, owner, aim, reach, tanks.values(), physics)
    tank.aim = aim
    tank.mana -= settings.shot_mana
    tank.ready_at = tick + physics.cooldown_ticks
    damage = 0.0
    if target is not None:
        damage = min(target.hit_points, settings.shot_damage)
        target.hit_points -= damage
    return Shot(aim, length, target, damage)


def _named_target(
    tank: Tank, owner: Player, slot: int, tanks: Mapping[int, Tank], physics: Physics
) -> tuple[Tank, float, float] | Refusal:
    """The tank of a slot with its direction (radians) and distance (metres), or why it cannot be shot at."""
    found = find_other(tank, slot, tanks)
    if isinstance(found, Refusal):
        return found
    target, other = found
    if not _may_hit(owner, other, physics):
        return Refusal.FRIENDLY_TARGET
    away_x, away_y = target.x - tank.x, target.y - tank.y
    distance = math.hypot(away_x, away_y)
    if distance > physics.settings.shot_range_m:
        return Refusal.OUT_OF_RANGE
    aim = math.atan2(away_y, away_x)
    if wall_distance(tank.x, tank.y, aim, distance, physics) < distance:
        return Refusal.NO_LINE_OF_SIGHT
    return target, aim, distance


def _may_hit(shooter: Player, other: Player, physics: Physics) -> bool:
    return physics.settings.friendly_fire or not shooter.team or shooter.team != other.team


def _first_in_line(
    tank: Tank, owner: Player, aim: float, reach: float, tanks: Iterable[Tank], physics: Physics
) -> tuple[Tank | None, float]:
    """The nearest tank whose circle the line touches within `reach` metres, and how far the shot flew."""
    towards_x, towards_y = math.cos(aim), math.sin(aim)
    radius = physics.settings.tank_radius_m
    hit: Tank | None = None
    for other in tanks:
        if other is tank or not other.alive or other.owner is None:
            continue
        away_x, away_y = other.x - tank.x, other.y - tank.y
        along = away_x * towards_x + away_y * towards_y
        if not 0.0 <= along <= reach or abs(away_x * towards_y - away_y * towards_x) > radius:
            continue
        if _may_hit(owner, other.owner, physics):
            hit, reach = other, along
    return hit, reach


def wall_distance(x: float, y: float, aim: float, limit: float, physics: Physics) -> float:
    """Metres from a place to the first wall in a direction, at most `limit` (slab test per wall)."""
    towards_x, towards_y = math.cos(aim), math.sin(aim)
    nearest = limit
    for west, south, east, north in physics.settings.walls:
        enter_x, leave_x = _slab(x, towards_x, west, east)
        enter_y, leave_y = _slab(y, towards_y, south, north)
        enter, leave = max(enter_x, enter_y), min(leave_x, leave_y)
        if 0.0 <= enter <= leave and enter < nearest:
            nearest = enter
    return nearest


def _slab(place: float, towards: float, low: float, high: float) -> tuple[float, float]:
    """The stretch of a ray (as distances) between two parallel lines; empty when it never gets there."""
    if abs(towards) < _PARALLEL:
        return (-math.inf, math.inf) if low <= place <= high else (math.inf, -math.inf)
    first, second = (low - place) / towards, (high - place) / towards
    return (first, second) if first <= second else (second, first)
