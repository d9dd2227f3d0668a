"""A primary behind Sentinel dies, freezes or changes places: both clients go on with the one that takes over."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core import keys
from core.errors import Misconfigured, Unavailable
from core.redis.client import Caller, Database, open_database
from core.redis.lean import LeanRedis
from tests.redis.backends import DEBIAN
from tests.redis.sentinels import CALM_MS, NAME, SETTLED_S, Watched, watched
from tests.support import eventually, free_port

pytestmark = pytest.mark.slow

LOG, BOARDS = keys.shard("duel", "m"), keys.boards("duel")


def die(pair: Watched) -> None:
    pair.alert()
    pair.primary.kill()


def freeze(pair: Watched) -> None:
    pair.alert()
    assert pair.primary.process is not None
    pair.primary.process.send_signal(signal.SIGSTOP)


def change_places(pair: Watched) -> None:
    pair.fail_over()


@pytest.fixture(params=[None, DEBIAN], ids=["valkey", "redis7"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    """A pair of this test's own, which stays as it is until the test does something to it."""
    with watched(tmp_path, program=request.param, down_ms=CALM_MS) as made:
        yield made


@asynccontextmanager
async def lean_redis(url: str) -> AsyncIterator[LeanRedis]:
    lean = LeanRedis(url)
    yield lean
    lean.close()


CLIENTS = {"redis-py": open_database, "lean": lean_redis}


async def until_done(client: Caller, function: str, base: str, *args: str | int | bytes) -> list[object]:
    """What the flusher does: ask until Redis answers."""
    async with asyncio.timeout(SETTLED_S):
        while True:
            try:
                return list(await client.call(function, base, *args))
            except Unavailable:
                await asyncio.sleep(0.05)


async def until_read(db: Database, *command: str) -> Any:
    """The same for a plain command."""
    async with asyncio.timeout(SETTLED_S):
        while True:
            try:
                return await db.do(*command)
            except Unavailable:
                await asyncio.sleep(0.05)


async def write(client: Caller, name: str, stop: asyncio.Event) -> int:
    """Append and count numbered batches until told to stop; returns how many were acknowledged."""
    number = 0
    while not stop.is_set():
        number += 1
        assert (await until_done(client, "log_append", LOG, name, number, 1, b"x", 9999, number - 1))[0] != "gap"
        assert (await until_done(client, "boards_add", BOARDS, name, number, 0, name, 600, 1, ""))[0] != "gap"
        await asyncio.sleep(0.005)
    return number


@pytest.mark.parametrize("trouble", [die, freeze, change_places], ids=lambda f: f.__name__)
async def test_writers_go_on_with_the_new_primary(pair: Watched, trouble: Callable[[Watched], None]) -> None:
    """What was acknowledged and replicated is there, and every batch and count once, without a new client."""
    stop = asyncio.Event()
    async with lean_redis(pair.url) as lean, open_database(pair.url) as db:
        writers = [asyncio.create_task(write(client, name, stop)) for name, client in (("p", db), ("l", lean))]
        await asyncio.sleep(0.3)
        trouble(pair)

        async def over() -> bool:
            return pair.failed_over()

        await eventually(over, within_s=SETTLED_S)
        await asyncio.sleep(0.5)
        stop.set()
        wanted = dict(zip("pl", await asyncio.gather(*writers), strict=True))
        found = await until_read(db, "XRANGE", f"{LOG}:log", "-", "+")
        for name, number in wanted.items():
            assert [int(f["batch"]) for _, f in found if f["match"] == name] == list(range(1, number + 1))
            assert float(await until_read(db, "ZSCORE", f"{BOARDS}:activity", name)) == number
    if trouble is freeze and pair.primary.process is not None:
        pair.primary.process.send_signal(signal.SIGCONT)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_replica_is_let_go_of(pair: Watched, client: str) -> None:
    """Who is still connected to a primary that became a replica is told so, and asks the Sentinels anew."""
    async with CLIENTS[client](pair.url) as caller:
        assert await caller.call("tickets_seen", keys.game("duel"), 1) == 0
        pair.wait_replicated()
        async with open_database(pair.primary.url) as old:
            await old.do("REPLICAOF", "127.0.0.1", pair.replica.port)  # the Sentinels have not noticed yet
            with pytest.raises(Unavailable):
                await caller.call("log_append", LOG, "m", 1, 1, b"x", 10)
        die(pair)
        assert await until_done(caller, "log_append", LOG, "m", 1, 1, b"x", 10) == ["ok", 1]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("client", CLIENTS)
async def test_wrong_names_and_dead_sentinels(tmp_path: Path, client: str) -> None:
    """A name that no Sentinel knows is a wrong setting; one Sentinel is enough, and none passes; passwords are used."""
    with watched(tmp_path, options=["requirepass word"], password="word", down_ms=CALM_MS) as pair:
        asked = f"{pair.url}?sentinel_password=word"
        async with CLIENTS[client](asked.replace(NAME, "nobody")) as caller:
            with pytest.raises(Misconfigured, match=r"no primary by the name 'nobody'.*REDIS_URL"):
                await caller.call("tickets_seen", keys.game("duel"), 1)
        async with CLIENTS[client](pair.url) as caller:
            with pytest.raises(Unavailable, match=r"no Sentinel answers.*(NOAUTH|authenticated)"):
                await caller.call("tickets_seen", keys.game("duel"), 1)
        for one in pair.sentinels[:2]:
            one.kill()
        async with CLIENTS[client](asked) as caller:
            assert await caller.call("tickets_seen", keys.game("duel"), 1) == 0
    async with CLIENTS[client](f"redis+sentinel://127.0.0.1:{free_port()}/{NAME}") as caller:
        with pytest.raises(Unavailable, match="no Sentinel answers"):
            await caller.call("tickets_seen", keys.game("duel"), 1)


@pytest.mark.usefixtures("patient")
async def test_a_pipeline_goes_on_too(pair: Watched) -> None:
    """Many commands in one round trip reach the new primary, over connections that were open to the old one."""
    async with open_database(pair.url) as db:
        await asyncio.gather(*(db.do_many([("SET", f"k{i}", i), ("GET", f"k{i}")]) for i in range(20)))
        pair.wait_replicated()
        die(pair)

        async def answered() -> bool:
            return await _tried(db)

        await eventually(answered, within_s=SETTLED_S)
        assert await db.do_many([("GET", f"k{i}") for i in range(20)]) == [str(i) for i in range(20)]


async def _tried(db: Database) -> bool:
    try:
        await db.do_many([("SET", "after", 1), ("GET", "after")])
    except Unavailable:
        return False
    return True
