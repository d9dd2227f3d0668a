"""The activity board forgets what left its window while a matchmaker runs."""

from __future__ import annotations

from core import keys
from core.clock import now_ms
from core.leaderboard import EXPIRE_STEP, oldest_bucket
from core.redis.client import Database
from tests.matchmaker.support import Matchmakers, register, spec
from tests.support import eventually


async def test_old_interactions_leave_the_board(db: Database, stack: Matchmakers) -> None:
    """Counts of a bucket older than 24 h are taken out, however many steps it takes; younger ones stay."""
    base, oldest = keys.boards("duel"), oldest_bucket(now_ms())
    many = [value for n in range(EXPIRE_STEP + 10) for value in (f"p-{n}", oldest - 600, 1, "")]
    await db.call("boards_add", base, "", 0, 0, *many)
    await db.call("boards_add", base, "", 0, 0, "p-0", oldest + 1200, 7, "")
    await register(db, "duel", spec())
    stack.start()

    async def only_the_young_are_left() -> bool:
        return bool(await db.do("ZRANGE", f"{base}:activity", 0, -1, "WITHSCORES") == [["p-0", 7.0]])

    await eventually(only_the_young_are_left)
