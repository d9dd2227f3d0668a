"""lease_take, lease_drop: one owner at a time, each with a higher token than the one before."""

from __future__ import annotations

import asyncio

from tests.redis.conftest import Game
from tests.redis.steps import lease
from tests.support import eventually

LONG_MS = 60_000


async def test_one_owner_at_a_time(game: Game) -> None:
    """The first has the lease; another is told by whom and for how long; renewing keeps the token."""
    token = await lease(game, "a")
    refused, left_ms, owner = await game.call("lease_take", "b", LONG_MS, 0)
    assert (refused, owner) == (0, "a")
    assert 0 < left_ms <= LONG_MS
    assert await game.call("lease_take", "a", LONG_MS, 0) == [token, LONG_MS, "a"]
    assert (await game.hash("lease"))["token"] == str(token)


async def test_an_expired_lease_is_taken_with_a_higher_token(game: Game) -> None:
    """When a lease ran out the next owner's token is higher, and so is the old owner's if it returns."""
    first = await lease(game, "a", lease_ms=1)

    async def taken() -> int:
        return await lease(game, "b", lease_ms=1)

    second = await eventually(taken)
    assert second > first

    async def back() -> int:
        return await lease(game, "a", lease_ms=LONG_MS)

    assert await eventually(back) > second


async def test_a_dropped_lease_is_for_others_first(game: Game) -> None:
    """Who dropped a lease waits before taking it again; another has it at once."""
    first = await lease(game, "a")
    assert await game.call("lease_drop", "b") == 0
    assert await game.call("lease_drop", "a") == 1
    token, wait_ms, _ = await game.call("lease_take", "a", LONG_MS, 0)
    assert (token, wait_ms > 0) == (0, True)
    assert await lease(game, "b") > first


async def test_patience(game: Game) -> None:
    """A replica that has its share takes only a lease that lay free for a while."""
    await lease(game, "a")
    await game.call("lease_drop", "a")
    token, wait_ms, owner = await game.call("lease_take", "b", LONG_MS, LONG_MS)
    assert (token, owner) == (0, "")
    assert 0 < wait_ms <= LONG_MS
    assert (await game.call("lease_take", "c", LONG_MS, 0))[0] > 0


async def test_tokens_rise_though_redis_lost_its_data(game: Game) -> None:
    """A new lease in an empty Redis has a higher token than any before."""
    first = await lease(game, "a")
    await game.do("DEL", "lease")
    await asyncio.sleep(0.005)  # tokens follow Redis' clock, in ms
    assert await lease(game, "b") > first
