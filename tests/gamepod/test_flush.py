"""The flusher on a real Valkey whose replies get lost: in the log once, in order, and no view before the log."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from core import keys
from core.boards import BoardStore
from core.clock import now_ms
from core.errors import Unavailable
from core.interactions import MAX_BATCH, Action, Attack, Interaction, Move, unpack
from core.redis.client import Database
from gamepod.flush import MAX_SLOTS, Flusher
from gamepod.pacer import Beat
from gamepod.settings import Settings
from tests.support import eventually

GAME, MATCH = "tanks", "m-flush"


class Lossy:
    """Calls Redis; now and then the call does not arrive, or its reply does not."""

    def __init__(self, db: Database, seed: int, share: float) -> None:
        self.db = db
        self.share = share
        self.under_way = 0
        self.most_under_way = 0
        self.calls: list[str] = []
        self._chance = random.Random(seed)

    async def call(self, function: str, base: str, *args: Any) -> Any:
        self.under_way += function == "log_append"
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self._chance.random() < self.share:
                raise Unavailable("the request was lost")
            reply = await self.db.call(function, base, *args)
            self.calls.append(function)
            if self._chance.random() < self.share:
                raise Unavailable("the reply was lost")
            return reply
        finally:
            self.under_way -= function == "log_append"

    async def call_many(self, calls: Sequence[tuple[str, str, Sequence[Any]]]) -> list[Any]:
        replies: list[Any] = []
        for function, base, args in calls:
            try:
                replies.append(await self.call(function, base, *args))
            except Unavailable as error:
                replies.append(error)
        return replies


def settings(**more: Any) -> Settings:
    return Settings(game=GAME, match=MATCH, join_key="k", flush_s=0.005, views_s=0.01, boards_s=0.02, **more)


async def logged(db: Database) -> list[Interaction]:
    found = await db.do("XRANGE", f"{keys.shard(GAME, MATCH)}:log", "-", "+")
    assert [int(fields["batch"]) for _, fields in found] == list(range(1, len(found) + 1))
    return [one for _, fields in found for one in unpack(fields["data"])]


@pytest.mark.parametrize("seed", range(5))
async def test_lost_requests_and_replies_neither_lose_nor_double(db: Database, seed: int) -> None:
    """With a third of all calls failing on either way, log and boards hold everything exactly once, in order."""
    redis = Lossy(db, seed, 0.3)
    flusher = Flusher(redis, settings(), move_ttl_s=30)
    task = asyncio.create_task(flusher.run())
    now = now_ms()
    sent: list[Interaction] = []
    for i in range(200):
        sent.append(Move(f"{MATCH}-{i}", now, f"p-{i % 7}", i / 1000, 2.0))
        flusher.add(sent[-1:])
        if i % 20 == 0:
            await asyncio.sleep(0.005)
    redis.share = 0.05  # or the pauses between repeats would make a long test
    flusher.add_scores({"p-0": 5.0, "p-1": -1.0})
    flusher.close()
    await task
    assert await logged(db) == sent
    board = dict(await db.do("ZRANGE", f"{keys.boards(GAME)}:activity", 0, -1, "WITHSCORES"))
    assert {player: float(n) for player, n in board.items()} == {
        f"p-{i}": float(sum(1 for j in range(200) if j % 7 == i)) for i in range(7)
    }
    scores = (await BoardStore(db, GAME).view("score", count=10)).entries
    assert [(entry.player, entry.score) for entry in scores] == [("p-0", 5.0), ("p-1", -1.0)]
    assert float(await db.do("HGET", f"{keys.shard(GAME, 'p-3')}:move:p-3", "lat")) == 0.199  # of 199, the last of p-3
    assert redis.most_under_way == 1
    assert flusher.empty


async def test_a_loss_beyond_what_is_kept_leaves_a_hole_and_an_end(db: Database) -> None:
    """A Redis that came back empty gets what is kept, behind a hole, and the writer does not ask for ever."""
    flusher = Flusher(db, settings(), move_ttl_s=30)
    task = asyncio.create_task(flusher.run())
    for i in range(40):
        flusher.add([Action(f"{MATCH}-{i}", now_ms(), "p-a", "x" * 100_000)])  # few of which are kept
        while flusher.stats.batches <= i:
            await asyncio.sleep(0.002)
    await db.do("FLUSHALL")
    flusher.add([Action(f"{MATCH}-last", now_ms(), "p-a", "last")])
    flusher.close()
    await task
    found = await db.do("XRANGE", f"{keys.shard(GAME, MATCH)}:log", "-", "+")
    numbers = [int(fields["batch"]) for _, fields in found]
    assert numbers == list(range(42 - len(numbers), 42))
    assert 5 < len(numbers) < 15
    assert flusher.stats.written == 41


async def test_a_view_never_shows_what_the_log_does_not_have(db: Database) -> None:
    """While appends fail no view is written, not even a coalesced one."""

    class NoLog(Lossy):
        async def call(self, function: str, base: str, *args: Any) -> Any:
            if function == "log_append":
                raise Unavailable("no")
            return await super().call(function, base, *args)

    redis = NoLog(db, 0, 0.0)
    flusher = Flusher(redis, settings(), move_ttl_s=30)
    task = asyncio.create_task(flusher.run())
    flusher.add([Attack(f"{MATCH}-1", now_ms(), "p-a", "p-b", 5.0)])
    while flusher.stats.failures < 3:
        await asyncio.sleep(0.01)
    assert redis.calls == []
    assert flusher.stats.away_since_s is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_backlog_is_appended_in_full_batches(db: Database) -> None:
    """After a long absence thousands of interactions are a handful of calls."""
    flusher = Flusher(db, settings(), move_ttl_s=30)
    now = now_ms()
    flusher.add([Move(f"{MATCH}-{i}", now, "p-a", 1.0, 2.0) for i in range(3 * MAX_BATCH + 1)])
    flusher.close()
    await flusher.run()
    assert flusher.stats.batches == 4
    assert len(await logged(db)) == flusher.stats.written == 3 * MAX_BATCH + 1
    assert await db.do("HGET", f"{keys.shard(GAME, 'p-a')}:move:p-a", "id") == f"{MATCH}-{3 * MAX_BATCH}"


async def test_states_are_written_coalesced(db: Database) -> None:
    """Of many states of a player within a beat the last is written, with match and time."""
    flusher = Flusher(db, settings(), move_ttl_s=30)
    for hit_points in (100.0, 80.0, 60.0):
        flusher.add_states({"p-a": {"hit_points": hit_points, "last_actions": ["move"]}})
    flusher.close()
    await flusher.run()
    state = await db.do("HGETALL", f"{keys.shard(GAME, 'p-a')}:player:p-a")
    assert (state["hit_points"], state["last_actions"], state["match"]) == ("60.0", '["move"]', MATCH)


async def test_while_only_the_boards_are_away_counts_are_summed_up(db: Database) -> None:
    """What waits is a sum a player and ten minutes, and is all counted when the boards are back."""

    class NoBoards(Lossy):
        away = True

        async def call(self, function: str, base: str, *args: Any) -> Any:
            if self.away and function == "boards_add":
                raise Unavailable("no")
            return await super().call(function, base, *args)

    redis, now = NoBoards(db, 0, 0.0), now_ms()
    flusher = Flusher(redis, settings(), move_ttl_s=30)
    flusher.add([Action(f"{MATCH}-0", now, "p-a", "x")])
    task = asyncio.create_task(flusher.run())
    while not flusher.stats.failures:
        await asyncio.sleep(0.005)
    slots = 5 * MAX_SLOTS
    flusher.add([Action(f"{MATCH}-{i}", now - i * 10_000, "p-a", "x") for i in range(slots, 0, -1)])
    while flusher.stats.written <= slots:
        await asyncio.sleep(0.005)
    assert len(flusher._counts) <= MAX_SLOTS
    redis.away = False
    flusher.close()
    await task
    assert float(await db.do("ZSCORE", f"{keys.boards(GAME)}:activity", "p-a")) == slots + 1


async def test_who_has_nothing_to_write_sleeps_until_something_comes(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without interactions no beat passes, for an idle server is to cost nothing; whatever comes then is written."""
    beats = 0

    class Counted(Beat):
        def passed(self, now_s: float, periods: int = 1) -> None:
            nonlocal beats
            beats += 1
            super().passed(now_s, periods)

    monkeypatch.setattr("gamepod.flush.Beat", Counted)
    flusher = Flusher(Lossy(db, 0, 0.0), settings(), move_ttl_s=30)
    task = asyncio.create_task(flusher.run())

    async def quiet() -> bool:
        before = beats
        await asyncio.sleep(0.1)  # twenty beats of somebody who writes
        return beats == before > 0

    await eventually(quiet)
    sent: list[Interaction] = [Move(f"{MATCH}-1", now_ms(), "p-1", 1.0, 2.0)]
    flusher.add(sent)

    async def written() -> bool:
        return flusher.empty

    await eventually(written)
    await eventually(quiet)
    flusher.close()
    await task
    assert await logged(db) == sent
