"""Two launchers as one: games that name a fleet of Agones have their servers from there, all others as ever."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from core.doorbell import Doorbell
from core.model import Match
from core.redis.batch import Batch
from core.redis.client import Database
from core.settings import Common, from_env
from matchmaker.agones_settings import AgonesSettings
from matchmaker.launch.agones import AgonesSource
from matchmaker.launch.base import Changed, Launcher, Seen
from matchmaker.launch.environment import installation_name
from matchmaker.launch.kube_api import own_namespace
from matchmaker.launch.kube_way import open_way


class Both:
    """See the module; a `Launcher`."""

    def __init__(self, own: Launcher, agones: AgonesSource) -> None:
        self._own, self._agones = own, agones

    @property
    def host(self) -> str:
        return self._own.host

    @property
    def blind(self) -> bool:
        return self._own.blind or self._agones.blind

    def room(self) -> int:
        """A match is not made where neither has any; where its own has none, its start is put off."""
        return max(self._own.room(), self._agones.room())

    async def start(self, match: Match) -> None:
        await (self._own if match.server.agones is None else self._agones).start(match)

    def settled(self, match: str) -> None:
        self._own.settled(match)
        self._agones.settled(match)

    async def stop(self, match: str, grace_s: float) -> None:
        await self._own.stop(match, grace_s)
        await self._agones.stop(match, grace_s)

    async def seen(self) -> Mapping[str, Seen]:
        return {**await self._own.seen(), **await self._agones.seen()}

    async def tail(self, match: str) -> list[str]:
        return await self._own.tail(match)

    async def output(self, match: str) -> str:
        return await self._own.output(match)

    async def close(self, *, stop_servers: bool) -> None:
        await self._own.close(stop_servers=stop_servers)
        await self._agones.close(stop_servers=stop_servers)


@asynccontextmanager
async def open_agones(
    common: Common, db: Database, bell: Doorbell, changed: Changed, *, stop_servers: bool
) -> AsyncIterator[AgonesSource]:
    """The source that the environment describes. Raises Misconfigured."""
    settings, secret = from_env(AgonesSettings, os.environ), common.require_secret()
    installation = installation_name(settings.installation, secret, common.redis_url)
    namespaces = settings.named or [await own_namespace("MUSTER_AGONES_NAMESPACES")]
    async with open_way(settings.kubeconfig) as way:
        source = AgonesSource(
            settings, way, namespaces, Batch(db), bell,
            installation=installation, keyring=common.signing(), changed=changed,
        )  # fmt: skip
        await source.open()
        try:
            yield source
        finally:
            await source.close(stop_servers=stop_servers)
