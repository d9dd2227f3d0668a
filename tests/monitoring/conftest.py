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
    settings = {"MUSTER_COMMAND_MODULES": "examples.village.rules", "MUSTER_LOG_FORMAT": "json"}
    with running_stack(folder, forgets=True, **settings) as stack:
        yield stack


@pytest.fixture(scope="session")
def beside(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The metrics ports of what runs beside the stack: events go to a broker, and are counted; one queue is away."""
    folder = tmp_path_factory.mktemp("beside")
    ports = {job: free_port() for job in ("sinks", "analytics", "intake")}
    running = []
    with tansu(folder) as broker:
        more: dict[str, dict[str, str]] = {
            "sinks": {"KAFKA_BOOTSTRAP_SERVERS": broker.address},
            "analytics": {},
            "intake": {"RABBITMQ_HOST": f"127.0.0.1:{free_port()}"},
        }
        for job, port in ports.items():
            own = more[job] | {"REDIS_URL": stack.redis_url, f"MUSTER_{job.upper()}_METRICS_PORT": str(port)}
            with (folder / f"{job}.log").open("wb") as log:
                command = [sys.executable, "-m", f"core.{job}"]
                running.append(subprocess.Popen(command, cwd=ROOT, env=stack.env | own, stdout=log, stderr=log))
        try:
            yield ports
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(60)


@pytest.fixture(scope="session")
def prometheus(stack: Stack, beside: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scrapes all of it."""
    ports = {job: int(stack.env[name]) for job, name in PORTS.items()} | beside
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), ports) as made:
        yield made
