"""A Redis that answers slowly: memory is bounded, the newest are dropped and counted, what was taken in is written."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.interaction_load import Crowd
from core import keys
from core.clock import now_ms
from core.interactions import unpack
from core.redis import lean
from core.redis.client import Database
from core.redis.lean import LeanRedis
from core.times import Trips
from gamepod.figures import metrics
from gamepod.flush import Flusher
from gamepod.metrics import render
from gamepod.pacer import MOST_PERIODS
from gamepod.settings import Settings

GAME, MATCH = "tanks", "m-slow"
BOUND = 3_000  # interactions
BOUND_BYTES = 600_000


async def test_back_pressure_is_bounded_and_counted(
    redis_url: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While writes wait most of the time, the backlog keeps within its bounds, and metrics tell what was dropped."""
    monkeypatch.setattr(lean, "TIMEOUT_S", 60.0)  # it is slow here, and never away
    settings = Settings(
        game=GAME, match=MATCH, join_key="k", views_s=0.05, buffer_interactions=BOUND, buffer_bytes=BOUND_BYTES
    )
    redis, crowd = LeanRedis(redis_url), Crowd(MATCH, 100)
    flusher = Flusher(redis, settings, move_ttl_s=30)
    task = asyncio.create_task(flusher.run())
    made: list[str] = []
    most = most_bytes = 0
    for tick in range(200):
        if tick % 50 == 0:
            await db.do("CLIENT", "PAUSE", 600_000, "WRITE")
        elif tick % 50 == 40:  # more was made by then than is kept
            await db.do("CLIENT", "UNPAUSE")
        some = crowd.tick(now_ms())
        dropped = flusher.backlog.dropped
        flusher.add(some)
        flusher.add_states(crowd.states())
        made += [one.id for one in some[: len(some) - (flusher.backlog.dropped - dropped)]]
        most = max(most, flusher.backlog.interactions)
        most_bytes = max(most_bytes, flusher.backlog.bytes)
        await asyncio.sleep(0.002)
    await db.do("CLIENT", "UNPAUSE")
    flusher.close()
    await task
    assert most <= BOUND
    assert most_bytes <= BOUND_BYTES
    dropped = flusher.backlog.dropped
    assert dropped > 0
    assert len(made) == 200 * 100 - dropped == flusher.stats.written
    found = await db.do("XRANGE", f"{keys.shard(GAME, MATCH)}:log", "-", "+")
    assert [one.id for _, fields in found for one in unpack(fields["data"])] == made
    board = await db.do("ZRANGE", f"{keys.boards(GAME)}:activity", 0, -1, "WITHSCORES")
    assert sum(float(score) for _, score in board) == len(made)
    game, attendance = (cast(Any, SimpleNamespace(**have)) for have in ({"metrics": list}, {"landed": 0}))
    page = render(metrics(game, flusher, Trips(), attendance, True)).decode()
    assert f"muster_interactions_dropped_total {dropped}\n" in page
    assert f"muster_flush_ack_seconds_count {float(flusher.stats.batches)}\n" in page
    assert flusher.stats.failures == 0  # slow is not away
    redis.close()


async def test_the_log_goes_before_the_views(redis_url: str, db: Database) -> None:
    """A thousand views that take long to write hold up no flush: they are written in the time between."""

    class Slow(LeanRedis):
        """Views take 50 ms a round trip."""

        appends = 0
        between: list[int] = []  # noqa: RUF012 - of one instance

        async def call_many(self, calls):  # type: ignore[no-untyped-def]
            await asyncio.sleep(0.05)
            self.between.append(self.appends)
            return await super().call_many(calls)

        async def call(self, function, base, *args):  # type: ignore[no-untyped-def]
            self.appends += function == "log_append"
            return await super().call(function, base, *args)

    redis = Slow(redis_url)
    settings = Settings(game=GAME, match=MATCH, join_key="k", flush_s=0.01, views_s=0.05)
    flusher, crowd = Flusher(redis, settings, move_ttl_s=30), Crowd(MATCH, 900)
    task = asyncio.create_task(flusher.run())
    for _ in range(60):
        flusher.add(crowd.tick(now_ms()))
        await asyncio.sleep(0.01)
    trips = list(redis.between)
    flusher.close()
    await task
    redis.close()
    # An append before each round trip of views, however many there are.
    assert len(trips) > 3
    assert all(later > earlier for earlier, later in pairwise(trips))


async def test_where_every_append_takes_longer_than_a_flush_views_and_counts_are_written_too(
    redis_url: str, db: Database
) -> None:
    """A slow disk under `appendfsync always` delays views and boards, and does not starve them."""
    crowd, shown = Crowd(MATCH, 20), list[str]()

    class Slow(LeanRedis):
        """Appends take three flushes, and something always waits when one is through."""

        async def call(self, function, base, *args):  # type: ignore[no-untyped-def]
            if function == "log_append":
                await asyncio.sleep(0.03)
                flusher.add(crowd.tick(now_ms()))
            else:
                shown.append(function)
            return await super().call(function, base, *args)

        async def call_many(self, calls):  # type: ignore[no-untyped-def]
            shown.append("views_write")
            return await super().call_many(calls)

    redis = Slow(redis_url)
    settings = Settings(game=GAME, match=MATCH, join_key="k", flush_s=0.01, views_s=0.02, boards_s=0.02)
    flusher = Flusher(redis, settings, move_ttl_s=30)
    flusher.add(crowd.tick(now_ms()))
    task = asyncio.create_task(flusher.run())
    while flusher.stats.batches < 20:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    redis.close()
    assert set(shown) == {"views_write", "boards_add"}
    assert flusher._strain.periods == MOST_PERIODS  # and the views are written as seldom as may be
    assert await db.do("ZCARD", f"{keys.boards(GAME)}:activity") == 20
