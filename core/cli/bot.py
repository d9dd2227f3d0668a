"""A player that is a program: a guest account, a ticket, the wait, a match, the result. All as a stranger would.

It knows the REST API and the arena's protocol and nothing else of Muster, so what it sees is what players see.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import msgspec

from core.cli.pilot import Pilot
from core.cli.wires import Kind, open_wire

INPUT_S: Final = 0.1  # between two inputs
POLL_S: Final = 20  # one long poll
REQUEST_S: Final = 40.0  # longer than a long poll
PAUSE_S: Final = 0.2  # before asking again what could not be answered
TRIES: Final = 30
OVER_STATES: Final = frozenset({"CANCELLED", "TIMED_OUT", "FAILED"})


class BotFailed(Exception):
    """The bot did not get to the end of a match; the text says why."""


@dataclass(slots=True)
class Tale:
    """What one bot saw. Times are seconds of `time.monotonic`, 0 where it never came to that."""

    name: str
    wire: Kind
    player: str = ""
    match: str = ""
    posted_s: float = 0.0
    held_s: float = 0.0  # the address was there
    playing_s: float = 0.0  # the first snapshot was there
    accepted: int = 0
    snapshots: int = 0
    over: bool = False
    failure: str = ""


@dataclass(slots=True)
class Bot:
    """One bot. `run` is its whole life; `tale` can be looked at meanwhile."""

    url: str
    game: str
    tale: Tale
    session: aiohttp.ClientSession
    chance: random.Random = field(default_factory=random.Random)
    streams: bool = True  # waits with server-sent events, else with long polls
    _token: str = ""

    async def run(self) -> Tale:
        """Play one match. A failure is told in the tale."""
        try:
            guest = await self._ask("POST", "/v1/guests", {"name": self.tale.name})
            self._token, self.tale.player = guest["access_token"], guest["player"]
            self.tale.posted_s = time.monotonic()
            ticket = await self._ask("POST", "/v1/tickets", {"game": self.game})
            path = f"/v1/tickets/{self.game}/{ticket['id']}"
            ticket = await (self._wait_on_stream(path) if self.streams else self._wait_by_polls(path, ticket))
            self.tale.held_s = time.monotonic()
            self.tale.match = ticket["match"]
            await self._play(ticket)
        except (BotFailed, OSError, TimeoutError, aiohttp.ClientError, msgspec.DecodeError, KeyError) as error:
            self.tale.failure = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return self.tale

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """A call, asked again where the server says it may be. Raises BotFailed for a refusal."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        for _ in range(TRIES):
            async with self.session.request(method, self.url + path, json=body, headers=headers) as response:
                document = msgspec.json.decode(await response.read())
                if response.status < 400:
                    return document
                if response.status not in (429, 503):
                    raise BotFailed(f"{method} {path}: {response.status} {document.get('detail', '')}")
            await asyncio.sleep(float(document.get("retry_after_s", PAUSE_S)))
        raise BotFailed(f"{method} {path}: still {response.status} after {TRIES} tries: {document.get('detail', '')}")

    async def _wait_by_polls(self, path: str, ticket: Any) -> Any:
        while not _settled(ticket):
            await self._accept(path, ticket)
            ticket = await self._ask("GET", f"{path}?wait_s={POLL_S}&after={ticket['seq']}")
        return ticket

    async def _accept(self, path: str, told: Any) -> None:
        """A bot takes every match that it is asked for; a question that is over meanwhile is no trouble."""
        if told["status"] == "REQUIRES_ACCEPTANCE" and not told["acceptance"]["yours"]:
            with contextlib.suppress(BotFailed):
                await self._ask("POST", f"{path}/acceptance", {"accept": True, "match": told["match"]})

    async def _wait_on_stream(self, path: str) -> Any:
        """Follow the stream of status; the ticket itself is read when it is placed."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "text/event-stream"}
        for _ in range(TRIES):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self.session.get(f"{self.url}{path}/events", headers=headers) as response:
                    async for line in response.content:
                        if not line.startswith(b"data:"):
                            continue
                        told = msgspec.json.decode(line[5:])
                        await self._accept(path, told)
                        if _ended(told):
                            break
            ticket = await self._ask("GET", path)
            if _settled(ticket):
                return ticket
        raise BotFailed("the stream of status never told of a match")

    async def _play(self, ticket: Any) -> None:
        kind = self.tale.wire
        connection = ticket["connection"]
        port = next((port["port"] for port in connection["ports"] if port["protocol"] == kind), None)
        if port is None:
            raise BotFailed(f"the server has no {kind} port")
        pilot = Pilot(self.chance, resend=kind == "udp")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def heard(message: bytes) -> None:
            what = pilot.heard(message)
            if what == "snapshot" and not self.tale.playing_s:
                self.tale.playing_s = time.monotonic()
            self.tale.snapshots, self.tale.accepted = pilot.snapshots, pilot.accepted
            if what == "over" and not done.done():
                done.set_result(None)

        def lost(why: str) -> None:
            if not done.done():
                done.set_exception(BotFailed("; ".join([f"the connection was lost ({why})", *pilot.errors])))

        wire = await open_wire(kind, connection["address"], port, ticket["join_token"], heard, lost)
        try:
            while not done.done():
                await asyncio.wait([done], timeout=INPUT_S)
                if pilot.player and not done.done():
                    wire.send(pilot.input())
            done.result()
            self.tale.over = True
        finally:
            done.cancel()
            await wire.close()


def _settled(ticket: Any) -> bool:
    """Whether the ticket has a place to play. Raises BotFailed where it never will."""
    if ticket["status"] in OVER_STATES:
        raise BotFailed(f"the ticket is {ticket['status']}: {ticket.get('reason', '')}")
    return bool(ticket["status"] == "COMPLETED" and ticket.get("connection"))


def _ended(event: Any) -> bool:
    return event["status"] == "COMPLETED" or event["status"] in OVER_STATES
