"""A game in a container beside us: watched through our port and what it listens on, neither started nor ended.

The two share a network and nothing else. How the game's container ends is seen by the launcher, which reads its exit
code; what the game says of itself (ready, done, healthy) and the length of the match are ours to tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from core.model import Connection, Match, OpenPort
from gamepod.metrics import Metric
from gamepod.outcome import GameFailed, Outcome
from gamepod.ports import given_ports, listens
from gamepod.sdk.server import ServerLife
from gamepod.settings import Settings

LOOK_S: Final = 0.02  # between two looks at whether the port is open


class SidecarGame:
    """See `gamepod.outcome.Game`. It never fails because the game's container did: nobody here sees that."""

    def __init__(self, settings: Settings, match: Match, life: ServerLife) -> None:
        self._settings, self._match, self._life = settings, match, life
        self._ports = given_ports(settings, match.server)

    async def start(self) -> Connection:
        open_ports = [OpenPort(port.name, port.protocol, port.port) for port in self._ports]
        return Connection(self._settings.address, open_ports)

    async def until_ready(self) -> None:
        rule = self._match.server.ready
        if rule.when == "port":
            await self._port_open()
        elif rule.when == "delay":
            await asyncio.sleep(rule.delay_s)
        else:
            await self._life.ready_asked.wait()

    @property
    def alone(self) -> bool:
        return True

    async def idle(self) -> None:
        lost = await self._life.until_asked_to_end()
        raise GameFailed("died_early", lost or "the game asked for its end before it had a match")

    async def play(self) -> Outcome:
        try:
            async with asyncio.timeout(self._match.timers.length_s):
                lost = await self._life.until_asked_to_end()
        except TimeoutError:
            return Outcome("finish", "too_long")
        if lost:
            raise GameFailed("crashed", lost)
        return Outcome("finish", "exited")

    async def stop(self, reason: str, drain_s: float) -> Outcome:
        return Outcome("finish", reason)

    async def close(self) -> None:
        """Nothing is held."""

    @property
    def present(self) -> None:
        return None

    def figures(self) -> dict[str, Any]:
        return {}

    def metrics(self) -> list[Metric]:
        return []

    def reseat(self, out: Sequence[str]) -> None:
        """The game reads its roster from the sidecar."""

    @property
    def asks(self) -> bool:
        return False

    async def _port_open(self) -> None:
        port = next(port.listen for port in self._ports if port.protocol != "udp")
        while not await listens(port):  # noqa: ASYNC110 - another container opens it, which no event tells
            await asyncio.sleep(LOOK_S)
