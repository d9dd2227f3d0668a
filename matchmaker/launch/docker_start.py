"""How the server of a match is started on a Docker daemon: is it allowed, is its image here, which ports, and go.

All containers are made before the first is started. Cut off at any line, what is there is either complete, and started
by whoever lists it next, or named as the next try names its own, and taken for it.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

from core.admission import check_server
from core.errors import Invalid
from core.model import GivenPort, Match, ports_of
from matchmaker.launch import docker_documents as documents
from matchmaker.launch import host_ports
from matchmaker.launch.base import LaunchRefused, LaunchRetryable
from matchmaker.launch.docker_documents import Installation, Role
from matchmaker.launch.docker_engine import Engine, ImageMissing, NameTaken, PortTaken
from matchmaker.launch.host_ports import Kind

PORT_TRIES: Final = 5  # each with other ports: strangers on this host hold some of the range
# Of the sidecar, in the network that it shares.
PRIVATE_PORTS: Final = (documents.SDK_PORT, documents.SDK_GRPC_PORT, documents.METRICS_PORT)


class Starter:
    """See the module. `ports` are those of starts under way, by match."""

    def __init__(self, where: Installation, engine: Engine) -> None:
        self.ports: dict[str, list[GivenPort]] = {}
        self._where, self._settings, self._engine = where, where.settings, engine

    def check(self, match: Match) -> None:
        """Raise LaunchRefused for a server that this installation never starts."""
        server = match.server
        if server.command is not None:
            raise LaunchRefused("this installation runs images and the built-in arena, no commands")
        try:
            check_server(server, self._settings.admission)
        except Invalid as error:
            raise LaunchRefused(error.detail) from None
        private = [port.port for port in server.ports if port.port in PRIVATE_PORTS]
        if server.image is not None and private:
            raise LaunchRefused(f"port {private[0]} is the sidecar's, which shares the game's network")

    async def start(self, match: Match, used: Collection[tuple[Kind, int]]) -> None:
        """Start the containers of `match`; `used` are the ports of those that run. Raises as Launcher.start."""
        self.ports[match.id] = []
        try:
            user = await self._image_user(match.server.image or self._settings.gamepod_image)
            if match.server.image is not None:
                await self._image_user(self._settings.gamepod_image)
            taken = set(used)
            for _ in range(PORT_TRIES):
                self.ports[match.id] = ports = self._choose_ports(match, taken)
                with suppress(PortTaken):
                    return await self._run(match, ports, user)
                taken.update((host_ports.kind_of(port), port.port) for port in ports)
        finally:
            del self.ports[match.id]
        raise LaunchRetryable(f"ports of this host were taken {PORT_TRIES} times (setting: MUSTER_DOCKER_PORT_FIRST)")

    async def _run(self, match: Match, ports: list[GivenPort], user: str) -> None:
        """Make and start the containers; what cannot be started leaves none behind."""
        try:
            bodies = documents.documents(self._where, match, ports, user)
        except Invalid as error:
            raise LaunchRefused(error.detail) from None
        names = [documents.container_name(match.id, role) for role in bodies]
        for name, body in zip(names, bodies.values(), strict=True):
            # Made before, by a start that was cut off or by another matchmaker: started below, as it is.
            with suppress(NameTaken):
                await self._engine.create(name, body)
        try:
            await self.bring_up(match.id, dict(zip(bodies, names, strict=True)))
        except (LaunchRefused, LaunchRetryable):
            for name in reversed(names):
                await self._engine.remove(name)
            raise

    async def bring_up(self, match: str, containers: Mapping[Role, str]) -> None:
        """Start these containers of the match, by their names or ids, in this order.

        The game only when its sidecar listens: a game may ask its SDK before all else, and only once.
        """
        for role, name in containers.items():
            if role == "game":
                await self._engine.run(documents.container_name(match, "sidecar"), documents.UP)
            await self._engine.start(name)

    async def _image_user(self, image: str) -> str:
        """The image's user, once it is here. Raises LaunchRefused."""
        try:
            return await self._engine.image_user(image)
        except ImageMissing:
            if not self._settings.pull:
                raise LaunchRefused(
                    f"the image {image!r} is not on this host, and none is pulled (setting: MUSTER_DOCKER_PULL)"
                ) from None
        await self._engine.pull(image)
        return await self._engine.image_user(image)

    def _choose_ports(self, match: Match, used: Collection[tuple[Kind, int]]) -> list[GivenPort]:
        settings = self._settings
        in_use = host_ports.Use(used)
        for ports in self.ports.values():
            in_use.update((host_ports.kind_of(port), port.port) for port in ports)
        first, last = settings.port_first, settings.port_last
        found = host_ports.choose(ports_of(match.server), first, last, in_use, random.randrange, same=False)
        if found is None or any(in_use[host_ports.kind_of(port), port.port] for port in found):
            raise LaunchRetryable(f"all ports from {first} to {last} are in use (setting: MUSTER_DOCKER_PORT_LAST)")
        return found
