"""Brokers and a game whose events are carried to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.sinks.brokers import Broker, kafka, rabbitmq, tansu
from tests.sinks.listeners import KafkaListener, Listener, RabbitListener

MAKE: dict[str, Callable[[Path], AbstractContextManager[Broker]]] = {"tansu": tansu, "rabbitmq": rabbitmq}


@pytest.fixture(scope="session", params=["kafka", "tansu", "rabbitmq"])
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Broker]]:
    """Each broker in turn, with its kind."""
    kind: str = request.param
    if kind == "kafka":
        yield kind, request.getfixturevalue("one_kafka")
        return
    with MAKE[kind](tmp_path_factory.mktemp(kind)) as made:
        yield kind, made


@pytest.fixture(scope="session")
def one_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Apache Kafka, also for tests of it alone."""
    with kafka(tmp_path_factory.mktemp("one-kafka")) as made:
        yield made


@pytest.fixture
def listener(broker: tuple[str, Broker]) -> Listener:
    """Somebody who takes all that arrives at the broker, from now on."""
    kind, made = broker
    return RabbitListener(made.address) if kind == "rabbitmq" else KafkaListener(made.address, kind)
