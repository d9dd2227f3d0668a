"""Players in a match that runs, for tests: they fly tanks by `Pilot`, or throw hands in the example's game.

A connection is what a ticket or a match tells: `{"address": ..., "ports": [{"name", "protocol", "port"}, ...]}`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from core.cli.pilot import Pilot
from core.cli.wires import Kind, Wire, open_wire

Connection = dict[str, Any]

INPUT_S: Final = 0.05
SILENT_S: Final = 20.0  # a server that is gone never says anything again; a late one does
OVER_S: Final = 60.0


@asynccontextmanager
async def tank(
    kind: Kind, connection: Connection, token: str, told: Callable[[str | None, Pilot], None]
) -> AsyncIterator[tuple[Pilot, Wire]]:
    """A pilot with a wire to the match; `told` is called after each message, and with None when the wire is lost."""
    port = next(port["port"] for port in connection["ports"] if port["protocol"] == kind)
    pilot = Pilot(random.Random(1), resend=kind == "udp")
    wire = await open_wire(
        kind,
        connection["address"],
        port,
        token,
        lambda message: told(pilot.heard(message), pilot),
        lambda _: told(None, pilot),
    )
    try:
        yield pilot, wire
    finally:
        await wire.close()


async def join(kind: Kind, connection: Connection, token: str) -> dict[str, Any]:
    """Join, play until the match is over, and return its result."""
    changed = asyncio.Event()

    def told(what: str | None, pilot: Pilot) -> None:
        if what is None or pilot.over:
            changed.set()

    async with tank(kind, connection, token, told) as (pilot, wire), asyncio.timeout(OVER_S):
        while not changed.is_set():
            if pilot.player:
                wire.send(pilot.input())
            await asyncio.sleep(INPUT_S)
    assert pilot.result is not None, pilot.errors
    return dict(pilot.result)


async def fly(connection: Connection, token: str, started: asyncio.Event, over: asyncio.Event) -> int:
    """Play over UDP until told to stop, and then until one more snapshot comes; how many came.

    Fails where the server goes silent.
    """

    def told(what: str | None, _: Pilot) -> None:
        if what == "snapshot":
            started.set()

    async with tank("udp", connection, token, told) as (pilot, wire):
        silent = 0.0
        while silent or not over.is_set():
            seen = pilot.snapshots
            if pilot.player:
                wire.send(pilot.input())
            await asyncio.sleep(INPUT_S)
            silent = 0.0 if pilot.snapshots > seen else silent + INPUT_S
            assert silent < SILENT_S, f"no snapshot for {SILENT_S:g} s"
        return pilot.snapshots


async def nudge(connection: Connection) -> None:
    """Tell a game that begins with `told_game.NUDGED` to go on; returns when it has ended."""
    async with asyncio.timeout(OVER_S):
        reader, writer = await asyncio.open_connection(connection["address"], connection["ports"][0]["port"])
        writer.write(b"!")
        with suppress(ConnectionResetError):
            await reader.read()
        writer.close()


async def throw(connection: Connection, throws: bytes) -> bytes:
    """Play these throws; returns the answers."""
    reader, writer = await asyncio.open_connection(connection["address"], connection["ports"][0]["port"])
    writer.write(throws)
    answers = await reader.read()
    writer.close()
    return answers
