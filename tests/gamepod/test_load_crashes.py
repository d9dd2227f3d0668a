"""kill -9 of game servers, of Redis and of both under load, and a fail-over: what was acknowledged is there.

"Acknowledged" is Redis' answer to the append. With `appendfsync always` it means on disk, whatever dies after it. With
`everysec` it means in the hands of the operating system, as a rule: it survives the end of Redis, not of the machine,
and while an fsync is slow up to two seconds of it are still in Redis' memory. A game server that lives rewrites those.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.interaction_crash import Verdict, judge, last_words, logged
from bench.interaction_load import Plan, argv
from core.redis.client import Database
from core.redis.embedded import EmbeddedRedis, embedded_redis
from tests.gamepod.test_failover import failed_over
from tests.redis.sentinels import watched
from tests.support import eventually, free_port, patient_database

pytestmark = pytest.mark.slow

GAME = "crowd"
ROOT = Path(__file__).parents[2]
PLAYERS = 10
FSYNCS = ["everysec", "always"]
LATE_MS = 2_500  # everysec: how old the oldest can be that Redis still had in its own memory
LOAD_S = 600.0  # a load is ended, not waited for


class Load:
    """Two load processes with three matches each, and their journals."""

    def __init__(self, url: str, folder: Path) -> None:
        now_s = time.monotonic()
        self.journals = [folder / f"journal-{i}" for i in range(2)]
        self.processes = [
            subprocess.Popen(
                argv(Plan("write", url, GAME, [f"m-{i}{n}" for n in range(3)], PLAYERS, True, now_s, now_s + LOAD_S,
                          journal=str(journal))),
                cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for i, journal in enumerate(self.journals)
        ]  # fmt: skip

    async def flowing(self, interactions: int) -> None:
        """So many are acknowledged in each match."""

        async def look() -> bool:
            assert all(process.poll() is None for process in self.processes)
            words = last_words([path for path in self.journals if path.exists()])
            return len(words) == 6 and all(done >= interactions for done, _, _ in words.values())

        await eventually(look, within_s=120)

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()

    async def told(self) -> list[dict[str, Any]]:
        """End the processes; what they say then."""
        for process in self.processes:
            process.terminate()
        found = await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in self.processes))
        return [json.loads(out) for out, _ in found]


@contextmanager
def load(url: str, folder: Path) -> Iterator[Load]:
    made = Load(url, folder)
    try:
        yield made
    finally:
        made.kill()


@asynccontextmanager
async def redis(folder: Path, fsync: str) -> AsyncIterator[tuple[EmbeddedRedis, Database]]:
    """A Valkey of this test's own."""
    options = ["--appendfsync", fsync]
    with embedded_redis(folder / "redis", free_port(), options=options) as server:
        async with patient_database(server.url) as db:
            yield server, db


async def verdict(db: Database, journals: list[Path]) -> Verdict:
    return judge(last_words(journals), await logged(db, GAME))


async def everything_once(db: Database, made: Load) -> None:
    """Every interaction that was taken in is in the log exactly once."""
    told = await made.told()
    log = await logged(db, GAME)
    assert sum(len(rows) for rows in log.values()) == sum(one["accepted_in_all"] for one in told) > 0
    assert all([number for number, _ in rows] == list(range(1, len(rows) + 1)) for rows in log.values())
    assert sum(one["dropped"] for one in told) == 0
    assert sum(one["failures"] for one in told) > 0


@pytest.mark.parametrize("fsync", FSYNCS)
async def test_game_servers_are_killed(tmp_path: Path, fsync: str) -> None:
    """What a killed server was told is durable is in the log once; what it lost is the last moments before the kill."""
    async with redis(tmp_path, fsync) as (server, db):
        with load(server.url, tmp_path) as made:
            await made.flowing(1_000)
            made.kill()
            found = await verdict(db, made.journals)
    assert (found.missing, found.doubled) == (0, 0)
    assert found.acknowledged > 6_000
    print(f"{fsync}: {found.lost} of {found.logged + found.lost} lost, the last {found.window_ms} ms")


@pytest.mark.parametrize("fsync", FSYNCS)
async def test_redis_is_killed_twice(tmp_path: Path, fsync: str) -> None:
    """The servers play on and write everything again that Redis has lost; each interaction is in the log once."""
    async with redis(tmp_path, fsync) as (server, db):
        with load(server.url, tmp_path) as made:
            for interactions in (500, 1_000):
                await made.flowing(interactions)
                server.kill()
                await asyncio.sleep(0.3)
                await asyncio.to_thread(server.start)
            await made.flowing(1_500)
            await everything_once(db, made)


@pytest.mark.parametrize("fsync", FSYNCS)
async def test_both_are_killed_at_once(tmp_path: Path, fsync: str) -> None:
    """With `always` nothing acknowledged is lost; with `everysec` at most what Redis had not handed on yet."""
    async with redis(tmp_path, fsync) as (server, db):
        with load(server.url, tmp_path) as made:
            await made.flowing(1_000)
            server.kill()
            made.kill()
            await asyncio.to_thread(server.start)
            found = await verdict(db, made.journals)
    assert found.doubled == 0
    assert found.acknowledged > 6_000
    if fsync == "always":
        assert found.missing == 0
    assert found.missing_ms <= LATE_MS
    print(f"{fsync}: {found.missing} acknowledged are missing, {found.lost} others lost, the last {found.window_ms} ms")


async def test_a_fail_over_under_load(tmp_path: Path) -> None:
    """The replica that takes over gets what its primary had not passed on; each interaction is in the log once."""
    with watched(tmp_path) as pair:
        async with patient_database(pair.url) as db:
            with load(pair.url, tmp_path) as made:
                await made.flowing(500)
                pair.primary.kill()
                await failed_over(pair)
                await made.flowing(1_000)
                await everything_once(db, made)
