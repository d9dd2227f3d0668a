"""Redis' own clock is set, forward and back, under real reporters: nobody is reported in error, nobody forgotten."""

from __future__ import annotations

import asyncio
import glob
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import new_id
from core.redis.client import Database
from core.redis.embedded import EmbeddedRedis, embedded_redis
from tests.matchmaker.support import matchmakers, register, spec
from tests.matchmaker.test_presence import ENV, TIMEOUT_S, all_beat, answered, listening, offline, settled
from tests.redis.backends import FORGETS
from tests.support import eventually, free_port, patient_database

HOUR_S = 3600
LIBRARY = "/usr/lib/*/faketime/libfaketime.so.1"


class Clock:
    """What the server takes for the time: ours, and so many seconds more."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, ahead_s: int) -> None:
        whole = self._file.with_suffix(".new")
        whole.write_text(f"{ahead_s:+d}\n")
        whole.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """The clock of the Redis of this test."""
    return Clock(tmp_path / "clock")


@pytest.fixture
def redis(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedRedis]:
    """A Redis whose clock can be set while it runs."""
    libraries = glob.glob(LIBRARY)
    if not libraries:
        pytest.skip("no libfaketime of the distribution here")
    with monkeypatch.context() as env:
        env.setenv("LD_PRELOAD", libraries[0])
        env.setenv("FAKETIME_TIMESTAMP_FILE", str(clock._file))
        env.setenv("FAKETIME_NO_CACHE", "1")
        env.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        server = embedded_redis(tmp_path / "redis", free_port(), options=FORGETS)
        opened = server.__enter__()
    try:
        yield opened
    finally:
        server.__exit__(None, None, None)


async def time_s(db: Database) -> int:
    """Redis' clock."""
    found = await answered(lambda: db.do("TIME"))
    return int(found[0] if isinstance(found, list | tuple) else found)


async def test_the_clock_of_redis_is_set(redis: EmbeddedRedis, clock: Clock, tmp_path: Path) -> None:
    """An hour forward, then two back: who is heard stays through both, who went in between is reported once."""
    with matchmakers(redis.url, tmp_path) as stack:
        async with patient_database(redis.url) as db, listening(db) as beats:
            await register(db, "duel", spec())
            stack.start(**ENV)
            players = [new_id("player") for _ in range(60)]
            stay, first, second = players[:20], players[20:40], players[40:]
            await all_beat(beats, players)
            before = await time_s(db)
            stepped_at = asyncio.get_running_loop().time()
            clock.set(HOUR_S)

            async def stepped() -> bool:
                return await time_s(db) >= before + HOUR_S

            await eventually(stepped)
            await all_beat(beats, stay + second)

            async def gone(wanted: list[str], more: list[str]) -> bool:
                await all_beat(beats, stay + more)
                found = set(await offline(db))
                assert found <= set(wanted), "reported in error"
                return found == set(wanted)

            await eventually(lambda: gone(first, second), within_s=60)
            assert asyncio.get_running_loop().time() - stepped_at >= TIMEOUT_S * 0.9  # they had a whole time-out
            clock.set(-HOUR_S)
            await eventually(lambda: gone(first + second, []), within_s=60)
            await settled(db, first + second)
