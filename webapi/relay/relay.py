"""All relayed connections of this process: how many there may be, how they begin, and how they end together.

Nothing of a connection outlives the process: whoever is connected when it stops is told so (1012), and comes back by
whichever replica is there. The server's own rules for who was away decide the rest.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from aiohttp import web

from core.errors import Invalid, NotFound, TooMany, Unavailable
from webapi.metrics import Metrics
from webapi.relay import handshake
from webapi.relay.carry import Carry
from webapi.relay.choice import MARK, answered
from webapi.relay.frames import RESTART
from webapi.relay.pace import Bucket
from webapi.relay.splice import WRITE_BYTES, Bounds, Splice, taken
from webapi.settings import Settings

LOOK_S: Final = 1.0  # how late a silent client is noticed
CLOSE_S: Final = 2.0  # for a client to answer a close frame


@dataclass(frozen=True, slots=True)
class Target:
    """Where a connection leads, as the match's document says. `path` and `protocols` are for WebSockets."""

    address: str
    port: int
    path: str
    protocols: Sequence[str]
    forwarded: str  # the client's address


class Relay:
    """See the module. `run` is its loop."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._open: set[Splice | Carry] = set()
        self._count = 0
        self._of_player: Counter[str] = Counter()
        self._closing = False
        self._bounds: Bounds | None = None

    @contextmanager
    def admitted(self, player: str) -> Iterator[None]:
        """Count a connection for the length of the block. Raises NotFound, Unavailable, TooMany."""
        settings = self._settings
        if not settings.relay_connections:
            raise NotFound("this installation relays no connections: connect to the match directly", code="relay-off")
        if self._closing or self._count >= settings.relay_connections:
            raise Unavailable("this replica has no room for another connection", code="busy")
        if self._of_player[player] >= settings.relay_connections_player:
            raise TooMany(f"you have {settings.relay_connections_player} connections open", code="too-many-connections")
        self._count += 1
        self._of_player[player] += 1
        self._metrics.relay_open.inc()
        try:
            yield
        finally:
            self._metrics.relay_open.dec()
            self._count -= 1
            self._of_player[player] -= 1
            if not self._of_player[player]:
                del self._of_player[player]

    def close(self) -> None:
        """Tell everybody to come back another way; nobody new is let in."""
        self._closing = True
        for one in list(self._open):
            one.end(RESTART, "service restart")

    async def run(self) -> None:
        """Look after silent clients for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            now_s = asyncio.get_running_loop().time()
            for one in list(self._open):
                one.look(now_s)

    async def splice(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Join the client to a WebSocket of the server. Raises Invalid, Unavailable while the client can be told."""
        if not web.WebSocketResponse(protocols=(MARK,)).can_prepare(request):
            raise Invalid("this is for a WebSocket: it takes the opening handshake of RFC 6455", code="no-websocket")
        key = base64.b64encode(os.urandom(handshake.KEY_BYTES)).decode()
        answer, server = await self._greet(request, target, key)
        try:
            protocol = handshake.chosen(answer.head, key, target.protocols)
            client = taken(request.transport)
            if client is None or taken(server) is None or self._closing:  # meanwhile
                raise Unavailable("the connection could not be made: try again", code="server-unreachable")
        except Unavailable:
            server.abort()
            raise
        client.pause_reading()
        early = _Early()
        request.protocol.set_parser(cast(Any, early))
        ours = answered(request.headers.get("Sec-WebSocket-Protocol", ""), protocol)
        greeting = handshake.answer(request.headers["Sec-WebSocket-Key"], ours)
        joined = Splice(self.bounds(), client, server, request.protocol)
        with self._kept(joined):
            try:
                joined.begin(greeting, answer.rest, bytes(early.data))
                await joined.done
            finally:
                joined.abort()
        return Handed()

    async def carry(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Join the client to a TCP port of the server. Raises Invalid, Unavailable while the client can be told."""
        settings = self._settings
        socket = web.WebSocketResponse(
            timeout=CLOSE_S, heartbeat=settings.heartbeat_s, protocols=(MARK,), compress=False,
            max_msg_size=settings.relay_message_bytes + 1, writer_limit=WRITE_BYTES,
        )  # fmt: skip
        if not socket.can_prepare(request):
            raise Invalid("this is for a WebSocket: it takes the opening handshake of RFC 6455", code="no-websocket")
        try:
            async with asyncio.timeout(settings.relay_connect_s):
                reader, writer = await asyncio.open_connection(target.address, target.port, limit=WRITE_BYTES)
        except OSError as error:  # TimeoutError is one
            raise _unreachable(error, settings.relay_connect_s) from None
        joined = Carry(self.bounds(), request, reader, writer)
        if self._closing:  # meanwhile
            writer.close()
            raise Unavailable("this replica shuts down: try again", code="busy")
        with self._kept(joined):
            await joined.run(socket)
        return socket

    def bounds(self) -> Bounds:
        """Of each connection; the bucket in it is all connections' together."""
        if self._bounds is None:
            settings = self._settings
            shared = Bucket(settings.relay_frames_s, asyncio.get_running_loop().time())
            passed = {name: self._metrics.relay_bytes.labels(name) for name in ("client", "server")}
            self._bounds = Bounds(
                settings.relay_bytes_s, settings.relay_message_bytes, settings.relay_idle_s, settings.heartbeat_s,
                shared, lambda name, size: passed[name].inc(size),
            )  # fmt: skip
        return self._bounds

    async def _greet(self, request: web.Request, target: Target, key: str) -> tuple[_Answer, asyncio.Transport]:
        """A WebSocket of the server, up to its answer. Raises Unavailable."""
        loop, within_s = asyncio.get_running_loop(), self._settings.relay_connect_s
        asked = handshake.request(
            target.address, target.port, target.path, key, origin=request.headers.get("Origin", ""),
            protocols=target.protocols, forwarded=target.forwarded,
        )  # fmt: skip
        answer = _Answer(asked)
        try:
            async with asyncio.timeout(within_s):
                transport, _ = await loop.create_connection(lambda: answer, target.address, target.port)
                try:
                    await answer.whole
                except BaseException:
                    transport.abort()
                    raise
        except OSError as error:
            raise _unreachable(error, within_s) from None
        return answer, transport

    @contextmanager
    def _kept(self, joined: Splice | Carry) -> Iterator[None]:
        self._open.add(joined)
        try:
            yield
        finally:
            self._open.discard(joined)
            self._metrics.relay_ended.labels(joined.outcome or "broken").inc()


class Handed(web.StreamResponse):
    """Stands for an answer that is over already: the connection was somebody else's meanwhile."""

    def __init__(self) -> None:
        super().__init__(status=101)

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes | bytearray | memoryview = b"") -> None:
        return None


class _Early:
    """Takes from aiohttp what a client sent before it was answered."""

    def __init__(self) -> None:
        self.data = bytearray()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """The connection is gone; whoever holds it is told."""


class _Answer(asyncio.Protocol):
    """Sends a request and reads the head of the answer. `whole` raises OSError where none comes."""

    def __init__(self, request: bytes) -> None:
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.head, self.rest = b"", b""
        self._request = request
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._read += data
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if end and not self.whole.done():
            self.head, self.rest = head, rest
            self._transport.pause_reading()
            self.whole.set_result(None)
        elif len(self._read) > handshake.HEAD_BYTES:
            self._fail(ConnectionAbortedError("it answered with something that is no HTTP"))
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc if isinstance(exc, OSError) else ConnectionResetError("it closed the connection"))

    def _fail(self, error: OSError) -> None:
        if not self.whole.done():
            self.whole.set_exception(error)
            self.whole.exception()  # whoever waited may be gone


def _unreachable(error: OSError, within_s: float) -> Unavailable:
    why = f"not within {within_s:g} s" if isinstance(error, TimeoutError) else (error.strerror or str(error))
    return Unavailable(f"the game's server cannot be reached: {why}", code="server-unreachable")
