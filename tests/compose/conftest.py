"""Docker Compose, compiled once, and a project with all that can run without a registry."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.compose.stack import Compose, drawn_secrets
from tests.compose.stand_ins import load_stand_ins, override
from tests.docker.rig import TAG
from tests.dockerd import Docker


@pytest.fixture(scope="session")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Compose:
    """compose.yaml with secrets of its own, as it is right after the clone."""
    env_file = tmp_path_factory.mktemp("compose") / "env"
    drawn_secrets(env_file)
    return Compose(env_file, {})


@pytest.fixture(scope="module")
def project(
    compose: Compose,
    dockerd: Docker,
    client: docker.DockerClient,
    images: dict[str, docker.models.images.Image],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Compose]:
    """The project on the tests' daemon, with stand-ins; nothing is started. What is left at the end is taken down."""
    folder = tmp_path_factory.mktemp("project")
    named = {name: service["image"] for name, service in compose.config("full")["services"].items()}
    load_stand_ins(client, named, folder)
    over = folder / "override.yaml"
    over.write_text(override())
    variables = {
        "DOCKER_HOST": dockerd.url,
        "DOCKER_SOCKET": str(dockerd.socket),
        "MUSTER_TAG": TAG,
        # The daemon's network is its own: loopback there is not ours.
        "MUSTER_PUBLISH": "0.0.0.0",
        "MUSTER_WATCH": "0.0.0.0",
        "MUSTER_BIND": "0.0.0.0",
        "MUSTER_ADDRESS": dockerd.address,
    }
    made = Compose(compose.env_file, variables, (over,))
    try:
        yield made
    finally:
        made.run("--profile", "full", "down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="module")
def small(project: Compose) -> Compose:
    """The project after plain `up`."""
    project("up", "--detach", "--wait")
    return project


@pytest.fixture(scope="module")
def full(small: Compose) -> Compose:
    """The project with all its profiles, Grafana left out."""
    small("--profile", "full", "up", "--detach", "--wait")
    return small
