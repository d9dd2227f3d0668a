"""A real Docker daemon with the images of this tree, built as a release would be, without a registry.

`tests/conftest.py` names this module as a plugin, so that tests of different folders share one daemon and one build.
"""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.cluster import packages
from tests.docker.rig import TAG
from tests.dockerd import Docker, docker_daemon
from tools.build_images import BUILD_S, build_all


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Docker]:
    """A Docker daemon. Where none can run the test is skipped with the reason (in CI a skip is a failure)."""
    reason = packages.unavailable(packages.DOCKER)
    if reason:
        pytest.skip(f"no Docker here: {reason}")
    with docker_daemon() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def client(dockerd: Docker) -> Iterator[docker.DockerClient]:
    """The daemon with the package's own client."""
    made = docker.DockerClient(dockerd.url, timeout=BUILD_S)
    yield made
    made.close()


@pytest.fixture(scope="session")
def images(client: docker.DockerClient) -> dict[str, docker.models.images.Image]:
    """muster/gamepod, muster/service and example/shifumi with TAG, by name."""
    return build_all(client, tag=TAG)
