"""GET /watch/gameserver as a WebSocket: the same messages as the stream's lines, each a text frame.

Handshake and framing are those of the `websockets` library's sans-I/O core, which is imported with the first watcher.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from gamepod.sdk.rest import watch_message
from gamepod.sdk.sdk import Sdk
from gamepod.transport.http_types import Request

if TYPE_CHECKING:
    from websockets.server import ServerProtocol

MAX_SOCKETS: Final = 16
MAX_FRAME_BYTES: Final = 1_024  # of what a watcher sends, which is nothing but pongs and its goodbye
STALL_S: Final = 10.0  # a reader that takes nothing for so long is gone


class WatchSockets:
    """An `Upgrade` for `serve_http`; bounds the sockets and closes them."""

    def __init__(self, sdk: Sdk) -> None:
        self.sdk = sdk
        self.open: set[WatchSocket] = set()

    def __call__(self, request: Request) -> asyncio.Protocol:
        return WatchSocket(self, request)

    async def close(self) -> None:
        tasks = [socket.task for socket in self.open if socket.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class WatchSocket(asyncio.Protocol):
    """One watcher from its handshake on."""

    _transport: asyncio.Transport
    _protocol: ServerProtocol

    def __init__(self, owner: WatchSockets, request: Request) -> None:
        self._owner, self._request = owner, request
        self._writable = asyncio.Event()
        self._writable.set()
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._owner.open) >= MAX_SOCKETS:
            self._transport.abort()
            return
        self._owner.open.add(self)
        from gamepod.transport.handshake import shake_hands

        self._protocol = shake_hands(self._request, max_bytes=MAX_FRAME_BYTES)
        self._flush()
        self.task = asyncio.create_task(self._tell())

    def data_received(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._protocol.receive_data(data)
            self._protocol.events_received()  # pings are answered by the library; what else is said is not listened to
            self._flush()

    def eof_received(self) -> None:
        if not self._transport.is_closing():
            self._protocol.receive_eof()
            self._flush()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.open.discard(self)
        if self.task is not None:
            self.task.cancel()

    async def _tell(self) -> None:
        from websockets.protocol import State

        try:
            async for document in self._owner.sdk.watch():
                if self._protocol.state is not State.OPEN:
                    return
                self._send(document)
                async with asyncio.timeout(STALL_S):
                    await self._writable.wait()
        except TimeoutError:
            self._transport.abort()
        finally:
            self._transport.close()

    def _send(self, document: dict[str, Any]) -> None:
        self._protocol.send_text(watch_message(document))
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()  # the library's mark for the end of what it will ever send
