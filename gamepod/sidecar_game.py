"""A game in a container beside us: watched through our port and what it listens on, neither started nor ended.

The two share a network and nothing else. How the game's container ends is seen by the launcher, which reads its exit
code, and its output, which nobody here does: where a line in it means ready, the launcher tells us so through Redis.
What the game says of itself (ready, done, healthy, who is there) and the timers of the match are ours to tell.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from core.model import Connection, Match, OpenPort
from gamepod.metrics import Metric
from gamepod.outcome import TAKES_NONE, GameFailed, Outcome
from gamepod.ports import given_ports
from gamepod.readiness import until_ready
from gamepod.sdk.server import ServerLife
from gamepod.settings import Settings
from gamepod.turnout import Turnout, until_over


class SidecarGame:
    """See `gamepod.outcome.Game`. It never fails because the game's container did: nobody here sees that."""

    def __init__(
        self,
        settings: Settings,
        match: Match,
        life: ServerLife,
        turnout: Turnout,
        said: Callable[[], Awaitable[bool]],
    ) -> None:
        """`said`: whether the launcher has seen the line that means ready."""
        self._settings, self._match, self._life = settings, match, life
        self._turnout, self._said = turnout, said
        self._ports = given_ports(settings, match.server)

    async def start(self) -> Connection:
        open_ports = [OpenPort(port.name, port.protocol, port.port) for port in self._ports]
        return Connection(self._settings.address, open_ports)

    async def until_ready(self) -> None:
        await until_ready(self._match.server.ready, self._ports, self._life.ready_asked, self._said)

    @property
    def alone(self) -> bool:
        return True

    async def idle(self) -> None:
        lost = await self._life.until_asked_to_end()
        raise GameFailed("died_early", lost or "the game asked for its end before it had a match")

    async def play(self) -> Outcome:
        listen = [port.listen for port in self._ports if port.protocol != "udp"]
        return Outcome("finish", await until_over(self._life, self._turnout, listen))

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

    def command(self, text: str) -> str:
        return TAKES_NONE

    def reseat(self, out: Sequence[str]) -> None:
        """The game reads its roster from the sidecar."""

    @property
    def asks(self) -> bool:
        return False
