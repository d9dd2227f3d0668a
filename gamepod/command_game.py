"""A game that is a command: started for the match, watched, and ended with it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from core.errors import Invalid
from core.gameenv import fill
from core.model import Connection, Match, ports_of
from gamepod.child import Child, start_child
from gamepod.command import child_env
from gamepod.metrics import Metric
from gamepod.outcome import GameFailed, Outcome
from gamepod.ports import PortTaken, choose_ports, listens
from gamepod.sdk.server import ServerLife
from gamepod.sdk.sidecar import SdkPorts
from gamepod.settings import Settings

log = logging.getLogger(__name__)

LOOK_S: Final = 0.02  # between two looks at whether the port is open


class CommandGame:
    """See `gamepod.outcome.Game`. The sidecar is up before `start`, at `sdk_ports`."""

    def __init__(self, settings: Settings, match: Match, life: ServerLife, sdk_ports: SdkPorts) -> None:
        self._settings = settings
        self._match = match
        self._life = life
        self._sdk_ports = sdk_ports
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
            os.environ, server.env, numbers, sdk_ports=self._sdk_ports, match=self._match.id, server=settings.server
        )
        child = await start_child(command, env, Path(settings.run_dir) / f"{self._match.id}.game.log")
        self._child = child
        self._ended = asyncio.create_task(child.wait())
        log.info("the game's command runs", extra={"pid": child.pid, "command": command[0]})
        self._connection = Connection(settings.address, ports)
        return self._connection

    async def until_ready(self) -> None:
        rule = self._match.server.ready
        if rule.when == "port":
            await self._unless_ended(self._port_open(), "died_early")
        elif rule.when == "delay":
            await self._unless_ended(asyncio.sleep(rule.delay_s), "died_early")
        else:
            await self._unless_ended(self._life.ready_asked.wait(), "died_early")
        self._ready = True

    @property
    def alone(self) -> bool:
        return True

    async def idle(self) -> None:
        await self._unless_ended(self._lost_or_done(), "died_early")
        raise self._failure("died_early", "the game asked for its end before it had a match")

    async def play(self) -> Outcome:
        timers = self._match.timers
        try:
            async with asyncio.timeout(timers.length_s):
                await self._unless_ended(self._lost_or_done(), "crashed")
        except TimeoutError:
            return await self.stop("too_long", timers.drain_s)
        except GameFailed:
            if self._life.shutdown_asked.is_set() or self._exit_code() == 0:
                return Outcome("finish", "exited", self._report())
            raise
        return await self.stop("exited", timers.drain_s)

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

    def reseat(self, out: Sequence[str]) -> None:
        """The game reads its roster from the sidecar."""

    @property
    def asks(self) -> bool:
        return False

    async def _port_open(self) -> None:
        port = next(port.port for port in self._connection.ports if port.protocol != "udp")
        while not await listens(port):  # noqa: ASYNC110 - another process opens it, which no event tells
            await asyncio.sleep(LOOK_S)

    async def _lost_or_done(self) -> None:
        """Return when the game asks for its end. Raises GameFailed when its signs of health stay away."""
        if lost := await self._life.until_asked_to_end():
            raise self._failure("crashed", lost)

    async def _unless_ended(self, wanted: Coroutine[Any, Any, Any], reason: str) -> None:
        """Wait for `wanted`. Raises GameFailed with `reason` if the command ends before."""
        if self._ended is None:
            raise RuntimeError("the game was not started")
        task = asyncio.ensure_future(wanted)
        try:
            await asyncio.wait({task, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            else:
                raise self._failure(reason, f"the game {_how(self._ended.result())}")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _exit_code(self) -> int | None:
        return self._ended.result() if self._ended is not None and self._ended.done() else None

    def _failure(self, reason: str, detail: str) -> GameFailed:
        when = "" if self._ready else " before it was ready"
        return GameFailed(reason, detail + when, self._child.log.last_lines() if self._child else [])

    def _report(self) -> bytes:
        return orjson.dumps({"exit_code": self._exit_code()})


def _how(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
