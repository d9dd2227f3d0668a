"""Driving: one tick of one tank. Pure arithmetic on the tank it is given.

Tanks pass through each other: solid tanks would need a pair test per tick, and let one player wall another
in. Walls and the border of the world are solid, and a tank that meets one slides along it.
"""

from __future__ import annotations

import math

from gamepod.arena.tank import Physics, Tank

_FULL_CIRCLE = 2.0 * math.pi


def blocked(x: float, y: float, physics: Physics) -> bool:
    """Would a tank centred here stand in a wall? Corners count as square: simple, and never lets one in."""
    return any(west < x < east and south < y < north for west, south, east, north in physics.thick_walls)


def advance(tank: Tank, tick: int, physics: Physics) -> bool:
    """Regenerate, steer and move a living tank by one tick. Returns whether anything of it changed.

    Sets `tank.moved` if it drove or turned.
    """
    settings = physics.settings
    changed = tank.mana < settings.max_mana or tank.stamina < settings.max_stamina
    if tank.mana < settings.max_mana:
        tank.mana = min(settings.max_mana, tank.mana + physics.mana_step)
    if tick > tank.control_until:
        tank.stop()
    limit = _speed_limit(tank, physics)
    if tank.throttle == 0.0 and tank.speed == 0.0 and tank.turn == 0.0:
        return changed
    if tank.turn:
        tank.heading = (tank.heading + tank.turn * physics.turn_step) % _FULL_CIRCLE
    wanted = tank.throttle * limit
    if tank.throttle < 0.0:
        wanted *= settings.reverse_factor
    step = physics.acceleration_step
    tank.speed += max(-step, min(step, wanted - tank.speed))
    # The end of a sprint takes the extra speed at once, or sprinting in turns would beat the limit.
    tank.speed = max(-limit, min(limit, tank.speed))
    _drive(tank, physics)
    tank.moved = True
    return True


def _speed_limit(tank: Tank, physics: Physics) -> float:
    """Metres per second this tank may drive now; pays for a sprint, else lets stamina grow back."""
    settings = physics.settings
    if tank.sprint and tank.throttle > 0.0 and tank.stamina >= physics.sprint_cost:
        tank.stamina -= physics.sprint_cost
        return physics.sprint_speed
    if tank.stamina < settings.max_stamina:
        tank.stamina = min(settings.max_stamina, tank.stamina + physics.stamina_step)
    return settings.max_speed_mps


def _drive(tank: Tank, physics: Physics) -> None:
    """Move by this tick's way, or by the part of it along a wall that stands in front."""
    way = tank.speed * physics.dt
    x = tank.x + math.cos(tank.heading) * way
    y = tank.y + math.sin(tank.heading) * way
    x = max(physics.min_edge, min(physics.max_x, x))
    y = max(physics.min_edge, min(physics.max_y, y))
    if blocked(x, y, physics):
        # One axis at a time: never longer than the whole way, so the speed limit holds here too.
        if not blocked(x, tank.y, physics):
            y = tank.y
        elif not blocked(tank.x, y, physics):
            x = tank.x
        else:
            x, y = tank.x, tank.y
    tank.x, tank.y = x, y
