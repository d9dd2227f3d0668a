"""The protocol as lines over TCP: one JSON object per line, in both directions."""

from __future__ import annotations

import asyncio
from typing import Final, cast

from gamepod.transport.gateway import Gateway
from gamepod.transport.protocol import Error, encode
from gamepod.transport.writer import BoundedWriter, close_unless_joined


class TcpServer:
    """A listening port. `port` is the real one, also when 0 was asked for."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.port = 0
        self.refused = 0  # connections over the bound
        self.links: set[LineLink] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises `OSError` when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: LineLink(self), host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and close what is open, flushing what was written."""
        if self._server is not None:
            self._server.close()
        for link in list(self.links):
            link.close()


async def serve_tcp(gateway: Gateway, host: str, port: int) -> TcpServer:
    """Offer the gateway over TCP. Raises `OSError` when the port is taken."""
    server = TcpServer(gateway)
    await server.start(host, port)
    return server


class LineLink(asyncio.Protocol):
    """One TCP connection."""

    datagram: Final = False

    _writer: BoundedWriter
    _deadline: asyncio.TimerHandle

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._gateway = server.gateway
        self._buffer = bytearray()
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        if len(self._server.links) >= self._gateway.limits.max_connections:
            self._server.refused += 1
            self._closing = True
            stream.abort()
            return
        self._server.links.add(self)
        self._writer = BoundedWriter(stream, self._gateway.limits)
        self._deadline = close_unless_joined(self._gateway, self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        start = 0
        while not self._closing:
            end = self._buffer.find(b"\n", start)
            if (len(self._buffer) if end < 0 else end) - start > self._gateway.limits.max_message_bytes:
                self.send(encode(Error("too-long", "a line is longer than the server reads")))
                self.close()
            elif end < 0:
                break
            else:
                self._gateway.received(self, bytes(self._buffer[start:end]))
                start = end + 1
        del self._buffer[: start if not self._closing else len(self._buffer)]

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._server.links:
            self._server.links.remove(self)
            self._deadline.cancel()
            self._closing = True
            self._gateway.closed(self)

    def send(self, message: bytes) -> None:
        self._writer.send(message + b"\n")

    def offer(self, message: bytes) -> bool:
        if not self._writer.ready():
            return False
        self._writer.send(message + b"\n")
        return True

    def close(self) -> None:
        self._closing = True
        self._writer.close()
