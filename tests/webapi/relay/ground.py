"""What tests of the relay share: a running match with a WebSocket port and a TCP port, served by the test itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from core.jointoken import JoinClaims, match_key, mint
from core.model import OpenPort
from core.redis.client import Database
from tests.webapi.support import SECRET, Api, claim, make_ready

Open = Callable[..., Awaitable["Ground"]]

OPEN_S = 60.0
# What the library does by itself on both ends: a busy machine is given time, and nobody is pinged but by webapi.
CALM: dict[str, Any] = {"open_timeout": OPEN_S, "ping_interval": None}


class Ground:
    """See the module. Both servers echo; what else a test wants of them it says by `speak` and `talk`."""

    def __init__(self, api: Api, db: Database) -> None:
        self.api, self.db = api, db
        self.paths: list[str] = []
        self.headers: list[Any] = []
        self.ended: list[int | None] = []  # close codes that the WebSocket server saw
        self.speak: Callable[[ServerConnection], Awaitable[None]] = self._echo
        self.talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] = self._echo_bytes
        self._closers: list[Server | asyncio.Server] = []
        self.match = self.ticket = ""
        self.front = ""  # where clients connect, if not to webapi itself
        self.player: dict[str, Any] = {}

    async def open(self) -> None:
        """Start both servers, and a match of one player on them."""
        game = await serve(self._spoken, "127.0.0.1", 0, select_subprotocol=_select, **CALM)
        tcp = await asyncio.start_server(self._talked, "127.0.0.1", 0)
        self._closers = [game, tcp]
        ports = [
            OpenPort("udp", "udp", 7000),
            OpenPort("raw", "tcp", tcp.sockets[0].getsockname()[1]),
            OpenPort("ws", "ws", next(iter(game.sockets)).getsockname()[1]),
        ]
        await self.api.game()
        self.player = await self.api.guest("Ada")
        ticket = await self.api.ticket(self.player)
        self.ticket = ticket["id"]
        self.match = await claim(self.db, "tanks", ticket)
        await make_ready(self.db, "tanks", self.match, *ports)

    async def close(self) -> None:
        for closer in self._closers:
            closer.close()

    @property
    def path(self) -> str:
        return f"/v1/matches/tanks/{self.match}/ws"

    @property
    def access(self) -> str:
        return str(self.player["access_token"])

    def join_token(self, *, match: str = "", player: str = "", server: str = "", secret: str = SECRET) -> str:
        """As webapi mints it."""
        match = match or self.match
        claims = JoinClaims(player or self.player["player"], match, "Ada", "players", int(time.time()) + 60)
        return mint(match_key(secret, server or match), claims)

    def url(self, query: str = "") -> str:
        return f"ws://{self.front or f'127.0.0.1:{self.api.client.port}'}{self.path}{query}"

    def enter(self, query: str = "", *, token: str | None = None, more: tuple[str, ...] = ()) -> connect:
        """Connect as a browser does: the token is in a subprotocol."""
        offered = ["muster.v1", f"muster.token.{self.access if token is None else token}", *more]
        return connect(self.url(query), subprotocols=offered, proxy=None, origin="https://game.example", **CALM)  # type: ignore[arg-type]

    async def _spoken(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.headers.append(socket.request.headers)
        with suppress(ConnectionClosed):
            await self.speak(socket)
        await socket.wait_closed()
        self.ended.append(socket.close_code)

    async def _talked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                await self.talk(reader, writer)
        finally:
            writer.close()

    @staticmethod
    async def _echo(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    @staticmethod
    async def _echo_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)


def _select(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol("duel.v2") if "duel.v2" in offered else None


async def closed(client: ClientConnection) -> tuple[int | None, str | None]:
    """Code and reason that the connection ends with."""
    async with asyncio.timeout(60):
        await client.wait_closed()
    return client.close_code, client.close_reason
