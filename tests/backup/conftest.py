"""Redis of each kind to back up, and another, empty one to restore into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis.asyncio import RedisCluster

from core.errors import Unavailable
from core.redis.client import Database, connected
from tests.redis.backends import BACKENDS
from tests.support import eventually, patient_database


@pytest.fixture(scope="session", params=BACKENDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Redis of each kind in turn."""
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as url:
        asyncio.run(without_delay(url))
        yield url


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a second Redis, an embedded one."""
    with BACKENDS["valkey"](tmp_path_factory.mktemp("other")) as url:
        asyncio.run(without_delay(url))
        yield url


async def without_delay(url: str) -> None:
    """Let snapshots begin at once: by default a node waits five seconds for further replicas."""
    async with connected(url) as client:
        more = {"target_nodes": RedisCluster.ALL_NODES} if isinstance(client, RedisCluster) else {}
        await client.execute_command("CONFIG SET", "repl-diskless-sync-delay", 0, **more)


@pytest.fixture
async def full(kind: str) -> AsyncIterator[Database]:
    """A Redis with a key of each type, some of which expire, and a few thousand more."""
    async with patient_database(kind) as db:
        await emptied(db)
        await db.do_many([
            ("SET", "muster:{duel}:game", '{"id": "duel"}'),
            ("SET", "muster:revoked:s-1", "1", "PX", 3_600_000),
            ("HSET", "muster:login:\u00e5sa", "player", "p-1", "hash", "$argon2id$..."),
            ("ZADD", "muster:{duel}:queue", 1.5, "t-1", 2, "t-2"),
            ("SADD", "muster:games", "duel", "tank"),
            ("RPUSH", "muster:{duel}:recent", *[f"m-{i}" for i in range(300)]),
            ("XADD", "muster:{duel.3}:log", "1-1", "batch", "packed"),
            ("GEOADD", "muster:{duel.1}:near", 13.4, 52.5, "p-1"),
        ])  # fmt: skip
        await db.do_many([("HSET", f"muster:account:p-{i}", "name", f"n{i}") for i in range(2_000)])
        yield db


@pytest.fixture
async def bare(other: str) -> AsyncIterator[Database]:
    """The second Redis, empty."""
    async with patient_database(other) as db:
        await emptied(db)
        yield db


async def emptied(db: Database) -> None:
    """Remove all; where a host is busy a Sentinel may be silent for a while."""

    async def flushed() -> bool:
        with suppress(Unavailable):
            await db.do("FLUSHALL")
            return True
        return False

    await eventually(flushed)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder for backups."""
    return tmp_path / "shelf"
