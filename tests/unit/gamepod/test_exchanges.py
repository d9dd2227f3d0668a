"""Reading what players have: one reading of a player at a time, however often he joins."""

from __future__ import annotations

import asyncio
from typing import Any

from core.inventory import Inventories
from gamepod.exchanges import Exchanges
from tests.unit.arena.kit import MATCH, OPEN_FIELD, one_session


class SlowRedis:
    """Answers `items_open` when it is let, each time with one shell more."""

    def __init__(self) -> None:
        self.asked = 0
        self.free = asyncio.Event()

    async def call(self, function: str, base: str, *args: str | bytes | int | float) -> Any:
        self.asked += 1
        answer = ["shell", str(self.asked)]
        await self.free.wait()
        return answer

    async def do(self, *command: str | bytes | int | float) -> Any:
        raise AssertionError("nothing else is asked")


async def settle(redis: SlowRedis) -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_joins_do_not_pile_up_while_redis_is_slow() -> None:
    """A player who joins a hundred times waits for one reading, and one more for what changed since it was asked."""
    redis = SlowRedis()
    manager, session = one_session(OPEN_FIELD)
    exchanges = Exchanges(Inventories(redis, "duel"), MATCH)
    record = manager.join(MATCH, "ann", "Ann", "", 0)
    for _ in range(100):
        exchanges.joined(session, "ann")
    await settle(redis)
    assert redis.asked == 1
    assert len(exchanges._tasks) == 1
    redis.free.set()
    await settle(redis)
    assert (redis.asked, record.items) == (2, {"shell": 2})
    assert not exchanges._tasks
    exchanges.joined(session, "ann")
    await settle(redis)
    assert (redis.asked, record.items) == (3, {"shell": 3})
    await exchanges.close()
