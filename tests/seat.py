"""A player of the arena who does not give up: loses the server, the connection or the API, and finds back into play.

What a good game client does, so what players go through is what the tests of crashes look at.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from core.cli.pilot import Pilot
from core.cli.wires import Kind, open_wire
from tests.stack import Ticket, Visit
from tests.support import eventually

WAITING = ("QUEUED", "SEARCHING", "PLACING")
INPUT_S = 0.05
SILENT_S = 10.0  # a server that lives may get no CPU time for seconds; a dead one's host tells at once


@dataclass
class Seat:
    """Plays a ticket until a match of it has ENDED. `entered` lists the matches that it got a snapshot of.

    Who waits until it is `playing`, or told that it is `over`, waits no longer than it plays: it may come too late.
    """

    here: Visit
    ticket: Ticket
    wire: Kind = "tcp"
    entered: list[str] = field(default_factory=list)
    overs: int = 0
    accepted: dict[str, int] = field(default_factory=dict)  # interactions by match, as the server last said
    playing: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self) -> str:
        """Play on until the match has ENDED; returns its id. Fails where the ticket is lost or refused."""
        try:
            return await self._play()
        finally:
            self.playing.set()
            self.over.set()

    async def _play(self) -> str:
        while True:
            ticket = await self.here.wait(self.ticket, "COMPLETED", within_s=90.0)
            match = ticket["match"]
            if (await self.here.match(self.ticket.game, match)).get("state") == "ENDED":
                return str(match)
            if ticket.get("connection"):
                with suppress(OSError, TimeoutError):
                    await self._sit(ticket, match)
            self.playing.clear()
            await asyncio.sleep(0.1)

    async def _sit(self, ticket: Any, match: str) -> None:
        """Play until the connection is lost, or the match is over and its end is written."""
        connection = ticket["connection"]
        port = next(port["port"] for port in connection["ports"] if port["protocol"] == self.wire)
        pilot = Pilot(random.Random(self.ticket.id), resend=self.wire == "udp")
        gone = asyncio.Event()

        def heard(message: bytes) -> None:
            what = pilot.heard(message)
            if what == "snapshot":
                if match not in self.entered:
                    self.entered.append(match)
                self.playing.set()
            elif what == "over":
                self.overs += 1
                self.over.set()
            elif what == "error":
                gone.set()
            self.accepted[match] = pilot.accepted

        wire = await open_wire(
            self.wire, connection["address"], port, ticket["join_token"], heard, lambda _: gone.set()
        )
        silent_since = 0
        try:
            while not gone.is_set() and not pilot.over:
                seen = pilot.snapshots
                if pilot.player:
                    wire.send(pilot.input())
                with suppress(TimeoutError):
                    await asyncio.wait_for(gone.wait(), INPUT_S)
                # A UDP client learns of a dead server by its silence only.
                silent_since = silent_since + 1 if pilot.snapshots == seen else 0
                if silent_since * INPUT_S > SILENT_S:
                    break
        finally:
            await wire.close()
        if pilot.over:

            async def settled() -> bool:
                state = (await self.here.match(self.ticket.game, match)).get("state")
                return state != "RUNNING"

            await eventually(settled, within_s=60.0)


async def settle(tasks: list[asyncio.Task[str]]) -> list[str]:
    """What the seats return; where one fails the others are ended with it."""
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
