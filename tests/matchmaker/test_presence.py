"""Who is offline is reported by real matchmaker processes: shared, killed, and with Redis killed under them."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from core import events, keys
from core.beats import Beats
from core.clock import new_id
from core.errors import Unavailable
from core.presence import Session
from core.redis.client import Database
from core.redis.embedded import EmbeddedRedis, embedded_redis
from tests.matchmaker.support import Matchmakers, matchmakers, register, spec
from tests.support import eventually, free_port, patient_database

T = TypeVar("T")

TIMEOUT_S = 1.5
ENV = {"MUSTER_PRESENCE_TIMEOUT_S": str(TIMEOUT_S), "MUSTER_LEASE_S": "0.6"}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of its own, with an append-only file, that may be killed."""
    with embedded_redis(tmp_path / "redis", free_port(), options=["--appendfsync", "always"]) as server:
        yield server


@asynccontextmanager
async def listening(db: Database) -> AsyncIterator[Beats]:
    """What webapi does: hear heartbeats, and tell that it listens."""
    beats = Beats(db.call, int(TIMEOUT_S * 1000))
    task = asyncio.create_task(beats.run())
    try:
        yield beats
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await beats.close()


async def answered(ask: Callable[[], Awaitable[T]]) -> T:
    """What Redis answers, however busy the machine is."""

    async def once() -> list[T]:
        with suppress(Unavailable):
            return [await ask()]
        return []

    return (await eventually(once, within_s=60))[0]


async def all_beat(beats: Beats, players: list[str], game: str = "duel") -> None:
    """Each of them is heard."""
    await answered(lambda: asyncio.gather(*(beats.beat(game, player) for player in players)))


async def offline(db: Database) -> Counter[str]:
    """How often each player was reported."""
    commands = [("XRANGE", f"{keys.presence(n)}:events", "-", "+") for n in range(keys.PRESENCE_SHARDS)]
    rows = await answered(lambda: db.do_many(commands))
    told = [events.read_presence(*row) for found in rows for row in events.entries(found)]
    return Counter(event.player for event in told if isinstance(event, events.PlayerOffline))


async def sessions(db: Database, players: list[str]) -> dict[str, list[str]]:
    """The stored sessions of each player."""
    bases = [keys.presence(keys.presence_number(player)) for player in players]
    commands = [("LRANGE", f"{base}:sessions:{player}", 0, -1) for base, player in zip(bases, players, strict=True)]
    found = await answered(lambda: db.do_many(commands))
    return dict(zip(players, found, strict=True))


async def settled(db: Database, players: list[str]) -> None:
    """Wait until each of them has a stored session; exactly one, and is in the feed once."""

    async def all_there() -> bool:
        return all((await sessions(db, players)).values())

    await eventually(all_there, within_s=60)
    stored = await sessions(db, players)
    assert {len(found) for found in stored.values()} == {1}
    feed = events.entries(await db.do("XRANGE", f"{keys.game('duel')}:feed", "-", "+"))
    told = [events.decoder.decode(fields["e"]) for _, fields in feed]
    gone = Counter(event.player for event in told if isinstance(event, events.PlayerOffline))
    assert gone == Counter(players)
    assert len({event.id for event in told}) == len(told)


async def test_reporters_are_killed_and_nobody_is_lost(db: Database, redis_url: str, stack: Matchmakers) -> None:
    """Three replicas, two of them killed amid their work: each player is reported once, and has one session."""
    await register(db, "duel", spec())
    players = [new_id("player") for _ in range(600)]
    for _ in range(3):
        stack.start(**ENV)
    async with listening(db) as beats:
        chance = random.Random(1)
        for group in range(0, 600, 60):  # they fall due one group after another, all the while
            await all_beat(beats, players[group : group + 60])
            await asyncio.sleep(chance.uniform(0.05, 0.2))

        async def some() -> bool:
            return len(await offline(db)) >= 120

        await eventually(some, within_s=60)
        for process in stack.processes[:2]:
            process.kill()

        async def every() -> bool:
            return len(await offline(db)) == 600

        await eventually(every, within_s=60)
        await settled(db, players)
        assert set((await offline(db)).values()) == {1}


async def test_redis_is_away_for_longer_than_the_time_out(redis: EmbeddedRedis, tmp_path: Path) -> None:
    """Killed and restarted it knows everybody; who is heard again stays, who is not is reported, once."""
    with matchmakers(redis.url, tmp_path) as stack:
        async with patient_database(redis.url) as db, listening(db) as beats:
            await register(db, "duel", spec())
            reporter = stack.start(**ENV)
            await eventually(lambda: db.do("HGET", f"{keys.presence(0)}:lease", "owner"))
            reporter.send_signal(signal.SIGSTOP)  # or it reports whom it has not heard until Redis is away
            players = [new_id("player") for _ in range(100)]
            stay, go = players[:60], players[60:]
            await all_beat(beats, players)
            assert redis.process is not None
            redis.process.kill()
            redis.process.wait()
            reporter.send_signal(signal.SIGCONT)
            await asyncio.sleep(TIMEOUT_S * 1.5)
            back = time.monotonic()
            redis.start()

            await all_beat(beats, stay)
            # Everybody has a whole time-out to be heard again, and who is has another one.
            early = set(await offline(db)) - (set(go) if time.monotonic() - back > TIMEOUT_S else set())
            assert not early

            async def gone() -> bool:
                await all_beat(beats, stay)
                return set(await offline(db)) == set(go)

            await eventually(gone, within_s=30)
            await settled(db, go)
            assert all(not found for found in (await sessions(db, stay)).values())


async def test_without_listeners_nobody_goes(db: Database, stack: Matchmakers) -> None:
    """While no webapi runs nobody can be heard, and nobody is judged; a time-out after one is back they are."""
    await register(db, "duel", spec())
    player = new_id("player")
    stack.start(**ENV)
    async with listening(db) as beats:
        await beats.beat("duel", player)
    await asyncio.sleep(TIMEOUT_S * 2)
    assert not await offline(db)
    async with listening(db):

        async def gone() -> bool:
            return bool(await offline(db))

        await eventually(gone, within_s=30)
        await settled(db, [player])
        session = msgspec.json.decode((await sessions(db, [player]))[player][0], type=Session)
        assert session.game == "duel"
        assert session.ended_ms >= session.began_ms
