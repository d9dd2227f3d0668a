"""A real RabbitMQ, a whole stack and an intake for the folder; somebody outside for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from core.redis.client import Database, open_database
from tests.intake.outside import Intake, Outside, outside, running_intake
from tests.sinks.brokers import Broker, rabbitmq
from tests.stack import Stack, Visit, running_stack


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """RabbitMQ of the distribution."""
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as made:
        yield made


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that all tests share; each brings its own game."""
    with running_stack(tmp_path_factory.mktemp("stack"), forgets=True) as made:
        yield made


@pytest.fixture(scope="session")
def intake(rabbit: Broker, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    """An intake that runs."""
    with running_intake(rabbit, stack.redis_url, tmp_path_factory.mktemp("intake") / "log") as made:
        yield made


@pytest.fixture
async def sender(intake: Intake) -> AsyncIterator[Outside]:
    """Somebody outside, once the queues are read; the dead letters are none."""
    await intake.reads("player_commands")
    await intake.reads("matchmaking_events")
    async with outside(intake.url) as made:
        for queue in ("player_commands.dead", "matchmaking_events.dead", "matchmaking_events.muster"):
            await made.purge(queue)
        yield made


@pytest.fixture
async def here(stack: Stack) -> AsyncIterator[Visit]:
    """The stack's API."""
    async with stack.visit() as visit:
        yield visit


@pytest.fixture
async def redis(stack: Stack) -> AsyncIterator[Database]:
    """The stack's Redis."""
    async with open_database(stack.redis_url) as made:
        yield made


@pytest.fixture
def game_id() -> str:
    """A game that no other test has."""
    return f"g-{os.urandom(4).hex()}"
