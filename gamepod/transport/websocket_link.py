"""One WebSocket connection. Handshake and framing are those of the `websockets` library's sans-I/O core."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State

from gamepod.transport.handshake import shake_hands
from gamepod.transport.http_types import Request
from gamepod.transport.writer import BoundedWriter, close_unless_joined

if TYPE_CHECKING:
    from websockets.server import ServerProtocol

    from gamepod.transport.websocket import GameUpgrade


class WebSocketLink(asyncio.Protocol):
    """A connection from its handshake on; a `Link`."""

    datagram: Final = False

    _transport: asyncio.Transport
    _protocol: ServerProtocol
    _writer: BoundedWriter
    _deadline: asyncio.TimerHandle

    def __init__(self, owner: GameUpgrade, request: Request) -> None:
        self._owner = owner
        self._gateway = owner.gateway
        self._request = request
        self._text = bytearray()  # of a message in fragments
        self._deaf = False  # we have closed it, and what comes still is not for us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._owner.links) >= self._gateway.limits.max_connections:
            self._owner.refused += 1
            self._transport.abort()
            return
        self._owner.links.add(self)
        self._writer = BoundedWriter(self._transport, self._gateway.limits)
        self._deadline = close_unless_joined(self._gateway, self)
        self._protocol = shake_hands(self._request, max_bytes=self._gateway.limits.max_message_bytes)
        self._flush()

    def data_received(self, data: bytes) -> None:
        if self in self._owner.links and not self._transport.is_closing():
            self._protocol.receive_data(data)
            self._read_frames()
            self._flush()

    def eof_received(self) -> None:
        if self in self._owner.links and not self._transport.is_closing():
            self._protocol.receive_eof()
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._owner.links:
            self._owner.links.remove(self)
            self._deadline.cancel()
            self._gateway.closed(self)

    def send(self, message: bytes) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(message)
            self._flush()

    def offer(self, message: bytes) -> bool:
        if self._protocol.state is not State.OPEN or not self._writer.ready():
            return False
        self._protocol.send_text(message)
        self._flush()
        return True

    def close(self) -> None:
        self._deaf = True
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        self._writer.close()

    def _read_frames(self) -> None:
        # The state tells nothing here: a client's last message may come in one piece with its close frame.
        for event in self._protocol.events_received():
            if not isinstance(event, Frame) or self._deaf:
                continue
            if event.opcode is Opcode.BINARY:
                self._deaf = True
                self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "messages are text")
            elif event.opcode in (Opcode.TEXT, Opcode.CONT):
                self._text += event.data
                if event.fin:
                    message, self._text = bytes(self._text), bytearray()
                    self._gateway.received(self, message)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.send(data)
            else:
                self._writer.close()  # the library's mark for the end of what it will ever send
