"""Every test of this folder runs on each backend and through both clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from core import keys
from core.errors import Unavailable
from core.redis.client import Caller, Database, open_database
from core.redis.lean import LeanRedis
from tests.redis.backends import BACKENDS
from tests.support import PATIENCE_S, eventually

GAME = "duel"
BASE = keys.game(GAME)


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of each backend in turn."""
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as url:
        yield url


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clients wait for an answer, of Sentinels too: where nobody is away, silence only tells of a busy machine."""
    for name in ("client.TIMEOUT_S", "lean.TIMEOUT_S", "sentinel.ASK_S", "sentinel_pool.ASK_S"):
        monkeypatch.setattr(f"core.redis.{name}", PATIENCE_S)


@pytest.fixture
async def data(backend: str, patient: None) -> AsyncIterator[Database]:
    """The backend, empty; for looking at what a function did."""
    async with open_database(backend) as database:
        await eventually(lambda: emptied(database), within_s=60)
        yield database


async def emptied(database: Database) -> bool:
    """Whether all is gone now: where a host is busy, a Sentinel or a node may be silent for a while."""
    try:
        await database.do("FLUSHALL")
    except Unavailable:
        return False
    return True


@pytest.fixture(params=["redis-py", "lean"])
async def client(request: pytest.FixtureRequest, backend: str, data: Database) -> AsyncIterator[Caller]:
    """The client that calls the functions."""
    if request.param == "redis-py":
        yield data
        return
    lean = LeanRedis(backend)
    yield lean
    lean.close()


class Game:
    """Calls functions on the base of one game, and looks at its keys."""

    def __init__(self, client: Caller, data: Database) -> None:
        self._client, self._data = client, data

    async def call(self, function: str, *args: str | int | float) -> Any:
        return await self._client.call(function, BASE, *args)

    async def hash(self, key: str) -> dict[str, str]:
        return dict(await self._data.do("HGETALL", f"{BASE}:{key}"))

    async def scores(self, key: str) -> dict[str, int]:
        found = await self._data.do("ZRANGE", f"{BASE}:{key}", 0, -1, "WITHSCORES")
        pairs = found if found and isinstance(found[0], list | tuple) else zip(found[::2], found[1::2], strict=True)
        return {member: int(float(score)) for member, score in pairs}

    async def do(self, command: str, key: str, *args: str | int) -> Any:
        return await self._data.do(command, f"{BASE}:{key}" if key else BASE, *args)


@pytest.fixture
def game(client: Caller, data: Database) -> Game:
    """A game of an empty Redis; it is not registered."""
    return Game(client, data)
