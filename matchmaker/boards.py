"""Keeps the activity board of one game to its window: what is older than 24 hours leaves the totals (rows A5, A8).

Buckets close every ten minutes; all members of one leave together, in bounded steps with a rest between them, so that
Redis never works on it for more than about a millisecond at a time.
"""

from __future__ import annotations

from typing import Final

from core import keys
from core.clock import now_ms
from core.leaderboard import EXPIRE_STEP, oldest_bucket
from core.redis.client import Database

LOOK_S: Final = 30.0  # a twentieth of a bucket: late enough to cost nothing, early enough not to be seen
REST_S: Final = 0.05  # between two steps of a large bucket: Redis is free for 98 % of the time


class Boards:
    """See the module. Running it twice at once is harmless: each step takes out what is still there."""

    def __init__(self, db: Database, game: str) -> None:
        self._db, self._base = db, keys.boards(game)

    async def step(self) -> float:
        """Take out one step's worth. Returns the seconds until the next. Raises Unavailable."""
        taken = await self._db.call("boards_expire", self._base, oldest_bucket(now_ms()), EXPIRE_STEP)
        return REST_S if int(taken) == EXPIRE_STEP else LOOK_S
