"""The Docker launcher by itself, against a real daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import docker
import pytest

from tests.docker.rig import DockerRig
from tests.dockerd import Docker
from tests.matchmaker.launcher_behaviour import Rig, every_behaviour


@pytest.fixture
def rig(dockerd: Docker, client: docker.DockerClient, program_image: Callable[[str], str]) -> DockerRig:
    """Launchers on the daemon."""
    return DockerRig(dockerd, client, program_image)


@every_behaviour
async def test_it_behaves_as_every_launcher(rig: DockerRig, behaviour: Callable[[Rig], Awaitable[None]]) -> None:
    """Each line of the table of behaviour holds for containers."""
    await behaviour(rig)
