"""King of the hill: who stands on the hill alone scores, a point a second. Shooting is how you get there alone.

All but this rule is the built-in arena's: tanks, shots, movement, UDP, TCP and WebSocket, and so every client of it.
"""

from __future__ import annotations

import math
import os
import sys
from typing import Any

from gamepod.arena import Session
from gamepod.embed import run

HILL_M = (120.0, 80.0)  # the middle of the map, metres east and north of its corner
POINT_MS = 1000


class Hill:
    """The rule. Of one match, so it may remember what it likes."""

    def __init__(self, radius_m: float, goal: int) -> None:
        # Kills score nothing; the first with `goal` points wins, or who has most after three minutes.
        self.arena: dict[str, Any] = {"walls": [], "score_per_kill": 0, "score_limit": goal, "time_limit_s": 180}
        self._radius_m = radius_m
        self._king = ""
        self._since_ms = 0

    def tick(self, session: Session, now_ms: int) -> None:
        """Who is on the hill? One alone becomes king, and earns a point for each second that he stays it."""
        on_it = [tank.owner for tank in session.tanks if tank.alive and tank.owner and self._is_on(tank.x, tank.y)]
        king = on_it[0].player if len(on_it) == 1 else ""
        if king != self._king:
            self._king, self._since_ms = king, now_ms
        elif king and now_ms - self._since_ms >= POINT_MS:
            on_it[0].score += 1
            self._since_ms += POINT_MS

    def _is_on(self, x_m: float, y_m: float) -> bool:
        return math.dist((x_m, y_m), HILL_M) <= self._radius_m


if __name__ == "__main__":
    # From `env` of the registration: one program, several modes.
    sys.exit(run(Hill(float(os.environ.get("HILL_RADIUS_M", "25")), int(os.environ.get("HILL_GOAL", "30")))))
