"""A real RabbitMQ for the folder, an intake and somebody outside for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from core.redis.client import Database
from tests.gamepod.stage import Stage
from tests.intake.outside import Intake, Outside, outside, running_intake
from tests.sinks.brokers import Broker, rabbitmq


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """RabbitMQ of the distribution."""
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as made:
        yield made


@pytest.fixture
def stage(db: Database, redis_url: str, tmp_path: Path) -> Iterator[Stage]:
    """A Redis with a game, for real game servers."""
    made = Stage(db, redis_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def intake(rabbit: Broker, redis_url: str, tmp_path: Path) -> Iterator[Intake]:
    """An intake that runs."""
    with running_intake(rabbit, redis_url, tmp_path / "intake.log") as made:
        yield made


@pytest.fixture
async def sender(intake: Intake) -> AsyncIterator[Outside]:
    """Somebody outside, once the queues are read; they are empty."""
    await intake.reads()
    async with outside(intake.url) as made:
        for queue in ("player_commands.dead", "matchmaking_events.dead"):
            await made.purge(queue)
        yield made
