"""kill -9 of workers and of Redis in the midst of packs: what was accepted is executed once and in order."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import msgspec
import pytest

from core.clock import now_ms
from core.errors import Conflict, TooMany, Unavailable
from core.packs import NewPack
from core.redis.client import Database
from core.redis.embedded import embedded_redis
from tests.commands.programs import programs
from tests.commands.support import look, pack, register, send
from tests.redis.backends import DEBIAN, cluster
from tests.support import eventually, free_port, patient_database

PLAYERS = 12
PACKS = 25
# A dead worker is soon replaced; one that gets no processor for seconds has not failed a pack.
SETTINGS = {"MUSTER_PACK_LEASE_S": "1", "MUSTER_PACK_S": "30"}


class Client:
    """Sends its packs one after another; what was not accepted, or is not there any more, is sent again."""

    def __init__(self, db: Database, name: str) -> None:
        self._db, self.name = db, name
        self.packs: list[NewPack] = []

    async def play(self) -> None:
        at_ms, chance = now_ms(), random.Random(self.name)
        self.packs = [
            pack(seq, "add", "add", at_ms=at_ms + seq, n=chance.randint(1, 99)) for seq in range(1, PACKS + 1)
        ]
        sent = 0
        while sent < PACKS:
            try:
                await send(self._db, self.name, self.packs[sent])
                sent += 1
            except (Unavailable, TooMany):
                await asyncio.sleep(0.05)
            except Conflict as conflict:  # Redis came back without its last moment: go back to what it has
                if conflict.code != "gap":
                    raise
                sent = await self.accepted(sent)
            await asyncio.sleep(chance.random() * 0.2)

    async def accepted(self, otherwise: int) -> int:
        """How many Redis has; `otherwise` where it does not say, so that it is found out once more."""
        try:
            return (await look(self._db, self.name)).accepted
        except Unavailable:
            return otherwise

    async def drained(self) -> bool:
        try:
            found = await look(self._db, self.name)
        except Unavailable:
            return False
        if found.accepted < PACKS:
            await self.play()
        return found.accepted == found.done == PACKS

    async def check(self) -> None:
        found = await look(self._db, self.name, profile=True)
        assert found.failure is None
        state = msgspec.json.decode(found.state)
        assert state["sum"] == sum(2 * made.commands[0].args["n"] for made in self.packs)
        assert state["log"] == [made.commands[0].args["n"] for made in self.packs[-5:] for _ in range(2)]


async def _played(db: Database, kills: list[object]) -> None:
    clients = [Client(db, f"p-{i}") for i in range(PLAYERS)]
    playing = [asyncio.create_task(client.play()) for client in clients]
    try:
        for kill in kills:
            await asyncio.sleep(0.6)
            await asyncio.to_thread(kill)  # type: ignore[arg-type]
        await asyncio.gather(*playing)
    finally:
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
    for client in clients:
        await eventually(client.drained, within_s=180, every_s=0.2)
        await client.check()


@pytest.mark.parametrize("program", ["valkey", "redis7"])
async def test_workers_and_redis_are_killed(program: str, tmp_path: Path) -> None:
    """Each of three workers and Redis die by SIGKILL while 12 players send: every pack counts once, in its order."""
    if program == "redis7" and shutil.which(DEBIAN) is None:
        pytest.skip("no redis-server of the distribution here")
    options = ("--appendfsync", "always")  # a disk that hangs at a kill loses nothing that was answered
    binary = DEBIAN if program == "redis7" else None
    with (
        embedded_redis(tmp_path / "redis", free_port(), program=binary, options=options) as redis,
        programs(redis.url, tmp_path, 3, **SETTINGS) as workers,
    ):

        def redis_dies() -> None:
            redis.kill()
            redis.start()

        async with patient_database(redis.url) as db:
            await register(db)
            await _played(db, [workers.kill, redis_dies, workers.kill, workers.kill, redis_dies])


async def test_workers_of_a_cluster_are_killed(tmp_path: Path) -> None:
    """The same on a cluster of three nodes, whose players lie on all of them."""
    with cluster(tmp_path / "cluster") as url, programs(url, tmp_path, 2, **SETTINGS) as workers:
        async with patient_database(url) as db:
            await register(db)
            await _played(db, [workers.kill] * 3)
