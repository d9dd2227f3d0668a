"""What the arena's tests share: a clock that stands still, links that only remember, a server on real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gamepod.arena import ArenaSettings, Session, SessionManager
from gamepod.transport.auth_types import JoinRefused, PlayerClaims
from gamepod.transport.gateway import Gateway
from gamepod.transport.limits import TransportLimits
from gamepod.transport.tcp import TcpServer, serve_tcp
from gamepod.transport.udp import UdpServer, serve_udp
from gamepod.transport.websocket import WebSocketServer, serve_websocket
from tests.support import PATIENCE_S

MATCH = "match-1"
OPEN_FIELD = ArenaSettings(walls=(), score_limit=0, time_limit_s=0.0)
PADDING = "x" * 120  # a real token is a few hundred characters


async def rounds() -> None:
    """Let the loop go round a few times: so transports call `connection_lost` after they were closed."""
    for _ in range(10):
        await asyncio.sleep(0.001)


class Clock:
    """Milliseconds that pass only when told."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms

    def pass_s(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class FakeLink:
    """A link that remembers what it was sent."""

    def __init__(self, *, datagram: bool = False, behind: bool = False) -> None:
        self.datagram = datagram
        self.behind = behind
        self.raw: list[bytes] = []
        self.closed = False

    def send(self, message: bytes) -> None:
        self.raw.append(message)

    def offer(self, message: bytes) -> bool:
        if not self.behind:
            self.raw.append(message)
        return not self.behind

    def close(self) -> None:
        self.closed = True

    def take(self, kind: str = "") -> list[dict[str, Any]]:
        """The messages (of one type) since the last call."""
        messages = [json.loads(data) for data in self.raw]
        self.raw.clear()
        return [message for message in messages if not kind or message["type"] == kind]


def authenticate(token: str) -> PlayerClaims:
    """Tokens of the tests are `player:match[:team[:expiry ms]]`, then padding after a space."""
    parts = token.split(" ")[0].split(":")
    if len(parts) < 2:
        raise JoinRefused("bad-token", "this token was not signed by us")
    team = parts[2] if len(parts) > 2 else ""
    expires = int(parts[3]) if len(parts) > 3 else 2**53
    return PlayerClaims(parts[0], parts[1], parts[0].title(), team, expires)


def token(player: str, match: str = MATCH) -> str:
    """A good token of a usual length."""
    return f"{player}:{match} {PADDING}"


def message(kind: str, **fields: Any) -> bytes:
    """A client's message."""
    return json.dumps({"type": kind, **fields}).encode()


def one_session(settings: ArenaSettings = OPEN_FIELD) -> tuple[SessionManager, Session]:
    """A manager with one session."""
    manager = SessionManager()
    return manager, manager.create(MATCH, settings, id_prefix="run", now_ms=0)


class Stack:
    """A gateway with one session behind real sockets on the loopback."""

    def __init__(self, settings: ArenaSettings, limits: TransportLimits | None) -> None:
        self.clock = Clock()
        self.manager, self.session = one_session(settings)
        self.gateway = Gateway(self.manager, authenticate, self.clock, limits)
        self.udp: UdpServer
        self.tcp: TcpServer
        self.websocket: WebSocketServer

    def tick(self, times: int = 1) -> None:
        """Play ticks and send them."""
        for _ in range(times):
            self.clock.ms += 16
            self.gateway.broadcast(self.manager.step(self.clock.ms))


@asynccontextmanager
async def running_stack(
    settings: ArenaSettings = OPEN_FIELD, limits: TransportLimits | None = None
) -> AsyncIterator[Stack]:
    """Start all three transports on free ports, and stop them."""
    stack = Stack(settings, limits)
    stack.udp = await serve_udp(stack.gateway, "127.0.0.1", 0)
    stack.tcp = await serve_tcp(stack.gateway, "127.0.0.1", 0)
    stack.websocket = await serve_websocket(stack.gateway, "127.0.0.1", 0)
    try:
        yield stack
    finally:
        stack.gateway.close()
        await stack.udp.close()
        await stack.tcp.close()
        await stack.websocket.close()
        await rounds()


class UdpClient(asyncio.DatagramProtocol):
    """A client that keeps every datagram it gets."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.inbox.put_nowait(data)

    def send(self, kind: str, **fields: Any) -> int:
        data = message(kind, **fields)
        self.transport.sendto(data)
        return len(data)

    async def receive(self, kind: str = "") -> dict[str, Any]:
        """The next message (of one type)."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found: dict[str, Any] = json.loads(await self.inbox.get())
                if not kind or found["type"] == kind:
                    return found

    async def join(self, player: str) -> dict[str, Any]:
        """Both steps of a join; returns the welcome."""
        self.send("join", token=token(player))
        challenge = await self.receive("challenge")
        self.send("join", token=token(player), cookie=challenge["cookie"])
        return await self.receive("welcome")


@asynccontextmanager
async def udp_client(port: int) -> AsyncIterator[UdpClient]:
    """A UDP client of a port on the loopback."""
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(UdpClient, remote_addr=("127.0.0.1", port))
    try:
        yield client
    finally:
        transport.close()
        await asyncio.sleep(0)


class LineClient:
    """A client of the line protocol."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, kind: str, **fields: Any) -> None:
        self.writer.write(message(kind, **fields) + b"\n")

    async def receive(self, kind: str = "") -> dict[str, Any]:
        """The next message (of one type). Raises `EOFError` at the end of the connection."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                line = await self.reader.readline()
                if not line:
                    raise EOFError
                found: dict[str, Any] = json.loads(line)
                if not kind or found["type"] == kind:
                    return found

    async def ended(self) -> bool:
        """Read to the end of the connection."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass
        return True


@asynccontextmanager
async def line_client(port: int) -> AsyncIterator[LineClient]:
    """A TCP client of a port on the loopback."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000_000)
    try:
        yield LineClient(reader, writer)
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
