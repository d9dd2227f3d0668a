"""A game that is a command: started for the match, watched, and ended with it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from core.errors import Invalid
from core.gameenv import fill
from core.model import Connection, GivenPort, Match, ports_of
from gamepod.child import Child, start_child
from gamepod.command import child_env
from gamepod.metrics import Metric
from gamepod.outcome import TAKES_NONE, GameFailed, Outcome
from gamepod.ports import PortTaken, choose_ports
from gamepod.readiness import until_ready
from gamepod.sdk.server import ServerLife
from gamepod.sdk.sidecar import SdkPorts
from gamepod.settings import Settings
from gamepod.turnout import Turnout, until_over

log = logging.getLogger(__name__)
T = TypeVar("T")


class CommandGame:
    """See `gamepod.outcome.Game`. The sidecar is up before `start`, at `sdk_ports`."""

    def __init__(
        self, settings: Settings, match: Match, life: ServerLife, sdk_ports: SdkPorts, turnout: Turnout
    ) -> None:
        self._settings = settings
        self._match = match
        self._life = life
        self._sdk_ports = sdk_ports
        self._turnout = turnout
        self._child: Child | None = None
        self._connection = Connection(settings.address, [])
        self._ended: asyncio.Task[int] | None = None
        self._ready = False

    async def start(self) -> Connection:
        server, settings = self._match.server, self._settings
        try:
            ports = choose_ports(ports_of(server), settings.bind)
            numbers = {port.name: port.port for port in ports}
            command = fill([*(server.command or []), *server.args], numbers, "/server/command")
        except (PortTaken, Invalid) as error:
            raise GameFailed("launch_failed", error.detail) from None
        env = child_env(
            os.environ, server.env, numbers, sdk_ports=self._sdk_ports, match=self._match, server=settings.server
        )
        log_path = Path(settings.run_dir) / f"{self._match.id}.game.log"
        child = await start_child(command, env, log_path, server.ready.line)
        self._child = child
        self._ended = asyncio.create_task(child.wait())
        log.info("the game's command runs", extra={"pid": child.pid, "command": command[0]})
        self._connection = Connection(settings.address, ports)
        return self._connection

    async def until_ready(self) -> None:
        ports = [GivenPort(port.name, port.protocol, port.port, port.port) for port in self._connection.ports]
        ready = until_ready(self._match.server.ready, ports, self._life.ready_asked, self._said)
        await self._unless_ended(ready, "died_early")
        self._ready = True

    @property
    def alone(self) -> bool:
        return True

    async def idle(self) -> None:
        lost = await self._unless_ended(self._life.until_asked_to_end(), "died_early")
        raise self._failure("died_early", lost or "the game asked for its end before it had a match")

    async def play(self) -> Outcome:
        listen = [port.port for port in self._connection.ports if port.protocol != "udp"]
        over = until_over(self._life, self._turnout, listen)
        try:
            reason = await self._unless_ended(over, "crashed")
        except GameFailed as error:
            if self._life.shutdown_asked.is_set() or self._exit_code() == 0:
                return Outcome("finish", "exited", self._report())
            error.last_lines = error.last_lines or self._last_lines()
            raise
        return await self.stop(reason, self._match.timers.drain_s)

    async def stop(self, reason: str, drain_s: float) -> Outcome:
        if self._child is not None:
            await self._child.stop(drain_s)
        return Outcome("finish", reason, self._report())

    async def close(self) -> None:
        if self._ended is not None:
            self._ended.cancel()
            await asyncio.gather(self._ended, return_exceptions=True)
        if self._child is not None:
            await self._child.close()

    @property
    def present(self) -> None:
        return None

    def figures(self) -> dict[str, Any]:
        return {"pid": self._child.pid if self._child else 0}

    def metrics(self) -> list[Metric]:
        return []

    def command(self, text: str) -> str:
        return TAKES_NONE

    def reseat(self, out: Sequence[str]) -> None:
        """The game reads its roster from the sidecar."""

    @property
    def asks(self) -> bool:
        return False

    async def _said(self) -> bool:
        look = self._child.log.look if self._child else None
        return look is not None and look.found

    async def _unless_ended(self, wanted: Coroutine[Any, Any, T], reason: str) -> T:
        """Wait for `wanted`, and return what it returns. Raises GameFailed with `reason` if the command ends before."""
        if self._ended is None:
            raise RuntimeError("the game was not started")
        task = asyncio.ensure_future(wanted)
        try:
            await asyncio.wait({task, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise self._failure(reason, f"the game {_how(self._ended.result())}")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _exit_code(self) -> int | None:
        return self._ended.result() if self._ended is not None and self._ended.done() else None

    def _failure(self, reason: str, detail: str) -> GameFailed:
        when = "" if self._ready else " before it was ready"
        return GameFailed(reason, detail + when, self._last_lines(), self._exit_code())

    def _last_lines(self) -> list[str]:
        return self._child.log.last_lines() if self._child else []

    def _report(self) -> bytes:
        return orjson.dumps({"exit_code": self._exit_code()})


def _how(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
