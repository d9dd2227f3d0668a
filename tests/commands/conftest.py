"""Each test on Valkey, Redis 7.0 and a cluster of three."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from core.redis.client import Database
from tests.commands.support import register
from tests.redis.backends import BACKENDS
from tests.redis.conftest import emptied
from tests.support import eventually, patient_database


@pytest.fixture(scope="session", params=["valkey", "redis7", "cluster"])
def pack_backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of each in turn."""
    with BACKENDS[request.param](tmp_path_factory.mktemp(f"packs-{request.param}")) as url:
        yield url


@pytest.fixture
async def db(pack_backend: str) -> AsyncIterator[Database]:
    """An empty Redis with the game registered."""
    async with patient_database(pack_backend) as database:
        await eventually(lambda: emptied(database), within_s=60)
        await register(database)
        yield database
