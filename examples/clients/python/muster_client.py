"""A client kit for Python games and bots: one file, and aiohttp. docs/clients.md shows it at work.

    async with Muster("https://play.example") as muster:
        await muster.guest("Ada")
        ticket = await muster.queue("duel", attributes={"skill": 25})
        async for connection in muster.connections(ticket):
            await connection.send({"type": "join", "token": connection.join_token})
            async for message in connection:
                ...

`queue` follows the ticket over every lost connection. `connections` gives one connection after the other, each with a
fresh join token, for as long as there is a match to play: a server that restarts or dies is found again.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import aiohttp

WAITING: Final = ("QUEUED", "SEARCHING", "REQUIRES_ACCEPTANCE", "PLACING")
RETRY_S: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 4.0)  # between tries to get back into a match
RETRY_MOST_S: Final = 10.0
RENEW_EARLY_S: Final = 30.0  # a token must outlive the request it is sent with
SILENCE_S: Final = 40.0  # heartbeats of a stream come every 15 s
TRIES_S: Final = 60.0  # a call is repeated for so long while the installation is away

Ticket = dict[str, Any]


class MusterError(Exception):
    """A refusal, or an installation out of reach (status 0). `problem` is its document (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(problem.get("detail") or problem.get("title") or f"status {status}")
        self.status, self.problem = status, problem

    @property
    def passing(self) -> bool:
        """Whether asking again later may help."""
        return self.status in (0, 429) or self.status >= 500


class Ended(Exception):
    """There is nothing to connect to any more. `reason`: over, or the ticket's status or reason."""

    def __init__(self, reason: str, match: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.reason, self.match = reason, match


class Connection:
    """One WebSocket to a match. Iterate over it for messages (str or bytes); it ends with `close_code`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, ticket: Ticket) -> None:
        self._socket = socket
        self.ticket = ticket

    @property
    def join_token(self) -> str:
        """Signed and personal: a game asks for it to know who is who."""
        return str(self.ticket["join_token"])

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code

    async def send(self, message: str | bytes | dict[str, Any]) -> None:
        """Send a text, bytes, or an object as JSON. Raises ConnectionError where the connection is lost."""
        if isinstance(message, bytes):
            await self._socket.send_bytes(message)
        else:
            await self._socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        async for message in self._socket:
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                yield message.data

    async def close(self) -> None:
        await self._socket.close()


class Muster:
    """One player of one installation. Use as an asynchronous context manager."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._account: dict[str, Any] | None = None
        self._renewing = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def http(self) -> aiohttp.ClientSession:
        assert self._session is not None, "use it as: async with Muster(url) as muster"
        return self._session

    # ---- who plays

    async def guest(self, name: str = "") -> dict[str, Any]:
        """A player without a password. Raises MusterError."""
        return await self._enter("/v1/guests", {"name": name} if name else {})

    async def login(self, name: str, password: str) -> dict[str, Any]:
        return await self._enter("/v1/login", {"name": name, "password": password})

    async def register(self, name: str, password: str) -> dict[str, Any]:
        return await self._enter("/v1/accounts", {"name": name, "password": password})

    async def access_token(self) -> str:
        """One that is good for a while; renewed once for all who ask."""
        if self._account is None:
            await self.guest()
        async with self._renewing:
            assert self._account is not None
            if time.time() >= self._account["renew_at"]:
                await self._enter("/v1/refresh", {"refresh_token": self._account["refresh_token"]})
            return str(self._account["access_token"])

    async def request(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """A call as this player: the answer's JSON, or None. Raises MusterError."""
        return await self._call(method, path, body, query, await self.access_token())

    # ---- waiting for a match

    async def queue(self, game: str, *, changed: Callable[[Ticket], None] = lambda _: None, **fields: Any) -> Ticket:
        """A ticket with these fields (attributes, latencies, party), followed until it waits no longer.

        `changed` hears of each status; at REQUIRES_ACCEPTANCE call `accept`. Who waits already goes on waiting.
        """
        try:
            ticket = await self.request("POST", "/v1/tickets", {"game": game, **fields})
        except MusterError as error:
            if not error.problem.get("ticket"):
                raise
            ticket = await self.ticket({"game": game, "id": error.problem["ticket"]})
        changed(ticket)
        return await self.wait(ticket, changed=changed)

    async def wait(self, ticket: Ticket, *, changed: Callable[[Ticket], None] = lambda _: None) -> Ticket:
        """Follow a ticket's event stream until it waits no longer; lost streams are made again."""
        retry_s = 0.25
        while ticket["status"] in WAITING:
            try:
                async for change in self._events(ticket):
                    ticket = {**ticket, **change}
                    changed(ticket)
                    retry_s = 0.25
            except MusterError as error:
                if not error.passing:
                    raise
            if ticket["status"] in WAITING:
                await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))
                retry_s = min(RETRY_MOST_S, retry_s * 2)
        return dict(await self._patiently(self.ticket, ticket))

    async def ticket(self, ticket: Ticket) -> Ticket:
        """The ticket as it is now, with a fresh join token while its match can be joined."""
        return dict(await self.request("GET", f"/v1/tickets/{ticket['game']}/{ticket['id']}"))

    async def accept(self, ticket: Ticket, accept: bool = True) -> Ticket:
        path = f"/v1/tickets/{ticket['game']}/{ticket['id']}/acceptance"
        return dict(await self.request("POST", path, {"accept": accept, "match": ticket["match"]}))

    async def cancel(self, ticket: Ticket) -> Ticket:
        return dict(await self.request("DELETE", f"/v1/tickets/{ticket['game']}/{ticket['id']}"))

    async def match(self, ticket: Ticket) -> dict[str, Any]:
        return dict(await self.request("GET", f"/v1/matches/{ticket['game']}/{ticket['match']}"))

    async def board(self, game: str, board: str = "score", **query: Any) -> dict[str, Any]:
        return dict(await self.request("GET", f"/v1/games/{game}/boards/{board}", **query))

    # ---- playing it

    async def connections(
        self, ticket: Ticket, *, via: str = "direct", port: str = "", path: str = "", most: int = len(RETRY_S)
    ) -> AsyncIterator[Connection]:
        """A connection, and another whenever the one before is lost. Leave the loop to play no more.

        `via` is direct or edge (through the installation's own address). Raises Ended when there is nothing to connect
        to any more, MusterError where `most` tries in a row have failed.
        """
        failed = 0
        while True:
            if ticket["status"] in WAITING:
                ticket = await self.wait(ticket)
            if ticket["status"] != "COMPLETED":
                raise Ended(ticket.get("reason") or ticket["status"])
            failed += 1
            if "connection" in ticket:
                with suppress(aiohttp.ClientError, OSError):
                    async with await self._open(ticket, via, port, path) as socket:
                        failed = 0
                        yield Connection(socket, ticket)
            else:
                match = await self._patiently(self.match, ticket)
                if match["state"] == "ENDED":
                    raise Ended("over", match)
            if failed >= most:
                raise MusterError(0, {"detail": f"the match was out of reach {failed} times in a row"})
            # Spread out: all players of a restarted Muster come back together.
            await asyncio.sleep(RETRY_S[min(failed, len(RETRY_S) - 1)] + random.uniform(0, 0.1))
            ticket = await self._patiently(self.ticket, ticket)

    async def _open(self, ticket: Ticket, via: str, port: str, path: str) -> Any:
        if via == "edge":
            query = urlencode({name: value for name, value in (("port", port), ("path", path)) if value})
            url = f"{self._url.replace('http', 'ws', 1)}/v1/matches/{ticket['game']}/{ticket['match']}/ws?{query}"
            protocols = ("muster.v1", f"muster.token.{ticket['join_token']}")
            return self.http.ws_connect(url, protocols=protocols, max_msg_size=0)
        connection = ticket["connection"]
        found = [one for one in connection["ports"] if one["protocol"] == "ws" and port in ("", one["name"])]
        if not found:
            raise MusterError(0, {"detail": "the match has no such WebSocket port: connect via the edge"})
        host = f"[{connection['address']}]" if ":" in connection["address"] else connection["address"]
        return self.http.ws_connect(f"ws://{host}:{found[0]['port']}{path or '/ws'}", max_msg_size=0)

    # ---- how it is asked

    async def _enter(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        session = await self._call("POST", path, body, {}, "")
        self._account = {**session, "renew_at": time.time() + session["expires_in"] - RENEW_EARLY_S}
        return dict(session)

    async def _call(self, method: str, path: str, body: Any, query: dict[str, Any], token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self.http.request(
                method, self._url + path, json=body, params=query, headers=headers
            ) as response:
                if response.status >= 400:
                    raise await _refusal(response)
                return await response.json() if response.status != 204 else None
        except (aiohttp.ClientError, OSError) as error:
            raise MusterError(0, {"detail": f"{self._url} is out of reach: {error}"}) from None

    async def _patiently(self, ask: Callable[[Ticket], Awaitable[Any]], ticket: Ticket) -> Any:
        """Ask until there is an answer, while the installation restarts."""
        deadline, retry_s = time.monotonic() + TRIES_S, 0.25
        while True:
            try:
                return await ask(ticket)
            except MusterError as error:
                if not error.passing or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(retry_s)
            retry_s = min(RETRY_MOST_S, retry_s * 2)

    async def _events(self, ticket: Ticket) -> AsyncIterator[dict[str, Any]]:
        """Changes of a ticket as they come, to the end of this stream. Raises MusterError."""
        url = f"{self._url}/v1/tickets/{ticket['game']}/{ticket['id']}/events"
        headers = {"Authorization": f"Bearer {await self.access_token()}", "Last-Event-ID": str(ticket["seq"])}
        try:
            timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_S)
            async with self.http.get(url, headers=headers, timeout=timeout) as response:
                if response.status >= 400:
                    raise await _refusal(response)
                event = ""
                async for line in response.content:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name == "event":
                        event = value
                    elif name == "data" and event == "status":
                        yield json.loads(value)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise MusterError(0, {"detail": f"the stream broke: {error}"}) from None


async def _refusal(response: aiohttp.ClientResponse) -> MusterError:
    try:
        return MusterError(response.status, await response.json(content_type=None))
    except ValueError:  # a proxy's page instead of a problem document
        return MusterError(response.status, {})
