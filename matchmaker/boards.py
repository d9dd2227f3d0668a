"""Keeps the activity board of one game to its window: what is older than 24 hours leaves the totals (rows A5, A8).

Players' buckets end ten seconds apart (`core.leaderboard`), so what falls due at a time is a sixtieth of ten minutes'
players. It leaves in bounded steps with a rest between them, so Redis never works on it for more than milliseconds.
"""

from __future__ import annotations

import time

from core import keys
from core.clock import now_ms
from core.leaderboard import EXPIRE_STEP, SLOT_S, oldest_bucket, rest_s
from core.redis.client import Database


class Boards:
    """See the module. Running it twice at once is harmless: each step takes out what is still there."""

    def __init__(self, db: Database, game: str) -> None:
        self._db, self._base = db, keys.boards(game)
        self._slot_ends_s = 0.0  # monotonic; each game counts slots from its first step, so not all look at once

    async def step(self) -> float:
        """Take out one step's worth. Returns the seconds until the next. Raises Unavailable."""
        now_s = time.monotonic()
        if now_s >= self._slot_ends_s:
            self._slot_ends_s = now_s + SLOT_S
        _, left = await self._db.call("boards_expire", self._base, oldest_bucket(now_ms()), EXPIRE_STEP)
        return rest_s(int(left), self._slot_ends_s - now_s)
