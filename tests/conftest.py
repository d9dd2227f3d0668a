"""Fixtures of all tests: a real Valkey for each test run, emptied for each test. Warnings are errors."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from core.redis.client import Database
from core.redis.embedded import EmbeddedRedis, embedded_redis
from tests.redis.backends import FORGETS
from tests.support import free_port, patient_database

# A real Kubernetes and a real Docker daemon, each started when the first test asks for it.
pytest_plugins = ["tests.cluster.fixture", "tests.docker.fixture"]

# How fast examples are drawn tells of the machine, which others may use too.
hypothesis.settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any-machine")


# Folders of which every test takes a whole stack, a daemon, images, or a program that is compiled first.
SLOW = tuple(Path(__file__).parent / name for name in ("compose", "docker", "e2e", "monitoring"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow folders as what they are."""
    for item in items:
        if any(folder in item.path.parents for folder in SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Where CI=true nothing may be skipped: a skip there is a failure that says so."""
    if (
        os.environ.get("CI") == "true"
        and call.excinfo is not None
        and call.excinfo.errisinstance(pytest.skip.Exception)
    ):
        pytest.fail(f"{item.nodeid} was skipped in CI: {call.excinfo.value}", pytrace=False)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """One embedded Valkey for the whole run; `redis_url` empties it for each test."""
    folder: Path = tmp_path_factory.mktemp("valkey")
    with embedded_redis(folder, free_port(), options=FORGETS) as server:
        yield server


@pytest.fixture
async def db(valkey: EmbeddedRedis) -> AsyncIterator[Database]:
    """An empty database on a real Valkey."""
    async with patient_database(valkey.url) as database:
        await database.do("FLUSHALL")
        yield database


@pytest.fixture
async def redis_url(valkey: EmbeddedRedis, db: Database) -> str:
    """URL of an empty real Valkey."""
    return valkey.url
