"""Where a tank enters the world: even over the map, out of walls, far from those who would shoot it.

No chance is involved, so a match replays from its commands: places come from the R2 low-discrepancy
sequence (Roberts, "The unreasonable effectiveness of quasirandom sequences"), which spreads any number of
points evenly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from gamepod.arena.movement import blocked
from gamepod.arena.tank import Physics, Tank

_PLASTIC = 1.32471795724474602596  # the root of x³ = x + 1
_STEP_X = 1.0 / _PLASTIC
_STEP_Y = 1.0 / (_PLASTIC * _PLASTIC)

CANDIDATES = 6  # places compared per spawn; more barely improves the distance
MAX_TRIES = 400  # walls may cover much of a map, but never its border: see `ArenaSettings`


def spawn_place(number: int, tanks: Iterable[Tank], physics: Physics) -> tuple[float, float, float]:
    """The `number`-th place of this match: x and y in metres, and a heading in radians towards the middle."""
    living = [tank for tank in tanks if tank.alive]
    best = (physics.min_edge, physics.min_edge)  # a corner is always free
    best_distance = -1.0
    found = 0
    for attempt in range(MAX_TRIES):
        x, y = _point(number * CANDIDATES + attempt, physics)
        if blocked(x, y, physics):
            continue
        distance = min((math.hypot(tank.x - x, tank.y - y) for tank in living), default=math.inf)
        if distance > best_distance:
            best, best_distance = (x, y), distance
        found += 1
        if found == CANDIDATES:
            break
    x, y = best
    towards_middle = math.atan2(physics.settings.height_m / 2 - y, physics.settings.width_m / 2 - x)
    return x, y, towards_middle % (2.0 * math.pi)


def _point(index: int, physics: Physics) -> tuple[float, float]:
    share_x = (0.5 + index * _STEP_X) % 1.0
    share_y = (0.5 + index * _STEP_Y) % 1.0
    x = physics.min_edge + share_x * (physics.max_x - physics.min_edge)
    y = physics.min_edge + share_y * (physics.max_y - physics.min_edge)
    return x, y
