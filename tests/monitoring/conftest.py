"""One stack with everything that has metrics, a broker, and a Prometheus that scrapes it all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.monitoring.prometheus import Prometheus, running_prometheus
from tests.sinks.brokers import tansu
from tests.stack import ROOT, Stack, running_stack
from tests.support import free_port

PORTS = {
    "webapi": "MUSTER_WEBAPI_METRICS_PORT",
    "matchmaker": "MUSTER_MATCHMAKER_METRICS_PORT",
    "worker": "MUSTER_WORKER_METRICS_PORT",
}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with a worker of delayed commands."""
    folder = tmp_path_factory.mktemp("monitored")
    with running_stack(folder, MUSTER_COMMAND_MODULES="examples.village.rules", MUSTER_LOG_FORMAT="json") as stack:
        yield stack


@pytest.fixture(scope="session")
def sinks_port(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The metrics port of what carries the stack's events to a broker."""
    folder, port = tmp_path_factory.mktemp("broker"), free_port()
    with tansu(folder) as broker, (folder / "sinks.log").open("wb") as log:
        env = stack.env | {
            "REDIS_URL": stack.redis_url,
            "KAFKA_BOOTSTRAP_SERVERS": broker.address,
            "MUSTER_SINKS_METRICS_PORT": str(port),
        }
        process = subprocess.Popen([sys.executable, "-m", "core.sinks"], cwd=ROOT, env=env, stdout=log, stderr=log)
        try:
            yield port
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="session")
def prometheus(stack: Stack, sinks_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scrapes all of it."""
    ports = {job: int(stack.env[name]) for job, name in PORTS.items()} | {"sinks": sinks_port}
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), ports) as made:
        yield made
