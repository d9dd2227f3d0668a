"""Fixtures for tests that need a real cluster. `tests/conftest.py` names this module as a plugin.

A cluster that somebody started by hand is used and left alone; else one is started for this run, and ends with it
whatever this run dies of.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.cluster import packages
from tests.cluster.cluster import Cluster, down, running, up
from tests.cluster.python_image import python_image

PYTHON_IMAGE = "muster.test/python:1"
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
    cluster.import_image(python_image(archive, PYTHON_IMAGE))
    archive.unlink()  # 160 MB that the node has now
    return PYTHON_IMAGE
