"""The three ways into an arena, as a client has them: `docs/protocol.md` says what goes over them.

A wire carries whole messages (JSON objects as bytes) and knows nothing of their meaning but for the UDP handshake.
`heard(message)` is called for each that arrives, `lost(why)` once, when no more will.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Literal, Protocol, cast

import aiohttp
import msgspec

Heard = Callable[[bytes], None]
Lost = Callable[[str], None]
Kind = Literal["udp", "tcp", "ws"]

WS_PATH: Final = "/ws"
CONNECT_S: Final = 10.0
RESEND_JOIN_S: Final = 0.3  # UDP: neither the join nor its answer is certain to arrive
JOINS: Final = 30  # of one UDP wire, all told
MAX_LINE_BYTES: Final = 1 << 20  # a full snapshot of 200 tanks is a tenth of it


class Wire(Protocol):
    """An open connection."""

    def send(self, message: bytes) -> None:
        """Send a message, or lose it where the connection is gone."""

    async def close(self) -> None: ...


async def open_wire(kind: Kind, address: str, port: int, token: str, heard: Heard, lost: Lost) -> Wire:
    """Connect and send the join. The answer comes to `heard`. Raises OSError or TimeoutError."""
    loop = asyncio.get_running_loop()
    join = msgspec.json.encode({"type": "join", "token": token})
    async with asyncio.timeout(CONNECT_S):
        if kind == "udp":
            _, datagrams = await loop.create_datagram_endpoint(
                lambda: _UdpWire(token, heard, lost), remote_addr=(address, port)
            )
            return datagrams
        if kind == "tcp":
            _, lines = await loop.create_connection(lambda: _TcpWire(heard, lost), address, port)
            lines.send(join)
            return lines
        return await _WsWire.open(f"ws://{address}:{port}{WS_PATH}", join, heard, lost)


class _UdpWire(asyncio.DatagramProtocol):
    """Joins until it is welcomed: alone first, then with the cookie that proves our address."""

    def __init__(self, token: str, heard: Heard, lost: Lost) -> None:
        self._token, self._heard, self._lost = token, heard, lost
        self._cookie = ""
        self._joins = 0
        self._welcomed = False
        self._again: asyncio.TimerHandle | None = None
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._join()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._welcomed:
            if data.startswith(b'{"type":"challenge"'):
                self._cookie = msgspec.json.decode(data)["cookie"]
                self._join()
                return
            self._welcomed = True
            self._cancel()
        self._heard(data)

    def error_received(self, exc: Exception) -> None:
        # Nobody listens there any more; over UDP that is all one ever learns.
        self._lost(str(exc))

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        self._lost(str(exc or "closed"))

    def send(self, message: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(message)

    async def close(self) -> None:
        self._cancel()
        if self._transport is not None:
            self._transport.close()

    def _join(self) -> None:
        self._cancel()
        self._joins += 1
        if self._joins > JOINS:
            self._lost("the join was never answered")
            return
        message = {"type": "join", "token": self._token} | ({"cookie": self._cookie} if self._cookie else {})
        self.send(msgspec.json.encode(message))
        self._again = asyncio.get_running_loop().call_later(RESEND_JOIN_S, self._join)

    def _cancel(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None


class _TcpWire(asyncio.Protocol):
    """One JSON object a line."""

    def __init__(self, heard: Heard, lost: Lost) -> None:
        self._heard, self._lost = heard, lost
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._heard(line)
        if len(self._rest) > MAX_LINE_BYTES and self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(str(exc or "closed by the server"))

    def send(self, message: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(message + b"\n")

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _WsWire:
    """One JSON object a text frame, as a browser has it."""

    def __init__(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session, self._socket = session, socket
        self._sending: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, join: bytes, heard: Heard, lost: Lost) -> _WsWire:
        session = aiohttp.ClientSession()
        try:
            socket = await session.ws_connect(url, max_msg_size=MAX_LINE_BYTES)
            await socket.send_str(join.decode())
        except aiohttp.ClientError as error:
            await session.close()
            raise OSError(str(error)) from error
        except BaseException:
            await session.close()
            raise
        wire = cls(session, socket)
        wire._reader = asyncio.create_task(wire._read(heard, lost))
        return wire

    async def _read(self, heard: Heard, lost: Lost) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                heard(message.data.encode())
        lost(f"closed by the server ({self._socket.close_code})")

    def send(self, message: bytes) -> None:
        if not self._socket.closed:
            task = asyncio.create_task(self._send(message.decode()))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, text: str) -> None:
        with contextlib.suppress(OSError, aiohttp.ClientError):
            await self._socket.send_str(text)

    async def close(self) -> None:
        for task in [*self._sending, *filter(None, [self._reader])]:
            task.cancel()
        await asyncio.gather(*self._sending, *filter(None, [self._reader]), return_exceptions=True)
        await self._socket.close()
        await self._session.close()
