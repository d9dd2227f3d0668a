"""Docker launchers for the shared table of behaviour."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import docker
import docker.errors
from docker.models.containers import Container

from core.model import Server
from matchmaker.docker_settings import DockerSettings
from matchmaker.launch.base import Changed, Launcher, Seen
from matchmaker.launch.docker import DockerLauncher
from matchmaker.launch.docker_documents import INSTALLATION, MATCH
from tests.dockerd import Docker
from tests.matchmaker.launcher_behaviour import SLEEP

TAG = "test"
ENDS_S = 10.0


def nobody(game: str, match: str) -> None:
    """Who does not want to know."""


def remove(container: Container) -> None:
    """Remove a container. One that a launcher removes at this moment goes by itself: a busy disk takes its time."""
    try:
        container.remove(force=True)
    except docker.errors.APIError as error:
        if error.status_code not in (404, 409):
            raise


class DockerRig:
    """See tests.matchmaker.launcher_behaviour.Rig."""

    refused = Server(image="nobody/has-this:1")

    def __init__(self, dockerd: Docker, client: docker.DockerClient, program_image: Callable[[str], str]) -> None:
        self._dockerd, self.client, self._program_image = dockerd, client, program_image

    @asynccontextmanager
    async def open(
        self, program: str = SLEEP, *, changed: Changed = nobody, redis_url: str = "redis://nowhere", **changes: Any
    ) -> AsyncIterator[DockerLauncher]:
        """A launcher whose containers are gone at the end; `program` '' runs gamepod itself."""
        settings = DockerSettings(
            installation=f"test-{secrets.token_hex(4)}",
            docker_host=self._dockerd.url,
            gamepod_image=self._program_image(program) if program else f"muster/gamepod:{TAG}",
            address=self._dockerd.address,
            bind="0.0.0.0",
        )
        made = self._make(replace(settings, **changes), redis_url, changed)
        try:
            yield made
        finally:
            await made.close(stop_servers=False)
            for thread in threading.enumerate():  # none outlives the test: it reads what pytest changes between tests
                if thread.name == "docker-events":
                    await asyncio.to_thread(thread.join, ENDS_S)
            for container in self.containers(made):
                remove(container)

    def another(self, first: Launcher) -> DockerLauncher:
        """A second launcher of the same installation."""
        assert isinstance(first, DockerLauncher)
        return self._make(first._settings, "redis://nowhere", nobody)

    async def kill(self, server: Seen) -> None:
        """SIGKILL to the container that holds the network."""
        self.client.containers.get(server.match).kill()

    def containers(self, made: DockerLauncher, match: str = "") -> list[Container]:
        """The containers of an installation, or of one match, running or not."""
        labels = [f"{INSTALLATION}={made._settings.installation}", *([f"{MATCH}={match}"] if match else [])]
        return self.client.containers.list(all=True, filters={"label": labels}, ignore_removed=True)

    def published(self, made: DockerLauncher, match: str) -> int:
        """The one port of the host that a match has."""
        (container,) = self.containers(made, match)
        container.reload()
        ((binding, *_),) = container.attrs["NetworkSettings"]["Ports"].values()
        return int(binding["HostPort"])

    @staticmethod
    def _make(settings: DockerSettings, redis_url: str, changed: Changed) -> DockerLauncher:
        return DockerLauncher(settings, {}, secret="s" * 32, redis_url=redis_url, changed=changed)
