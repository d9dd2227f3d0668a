"""A WebSocket and a TCP port joined: a client's binary message is bytes to the server, and its bytes one to the client.

Where a message ends is not told to the server, nor kept on the way back. Framing, pings and closing are aiohttp's; both
directions wait for the slower side, so that no more than a message and a read are held for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aiohttp import WSMsgType, web

from webapi.relay.frames import BAD_GATEWAY, TOO_BIG, UNSUPPORTED
from webapi.relay.pace import Bucket
from webapi.relay.splice import READ_BYTES, WRITE_BYTES, Bounds

CLOSE_S: Final = 2.0  # for a client to answer a close frame
NORMAL: Final = 1000


class Carry:
    """See the module. `run` lives as long as the connection."""

    def __init__(
        self, bounds: Bounds, request: web.Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._bounds = bounds
        self._request = request
        self._reader, self._writer = reader, writer
        self._stop: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self.outcome = ""

    def look(self, now_s: float) -> None:
        """Nothing to do: aiohttp pings, and ends who does not answer."""

    def end(self, code: int, reason: str) -> None:
        """End it, telling the client why. Again is fine."""
        if not self._stop.done():
            self._stop.set_result((code, reason))

    async def run(self, socket: web.WebSocketResponse) -> None:
        """Carry until one side ends, or `end` is called."""
        works: list[asyncio.Future[tuple[int, str]]] = []
        try:
            self._writer.transport.set_write_buffer_limits(high=WRITE_BYTES)
            await socket.prepare(self._request)
            works += [asyncio.ensure_future(self._up(socket)), asyncio.ensure_future(self._down(socket))]
            await asyncio.wait([*works, self._stop], return_when=asyncio.FIRST_COMPLETED)
            code, reason = self._stop.result() if self._stop.done() else _first(works)
            self.outcome = str(code) if code else "left"
            if code:
                with suppress(TimeoutError, OSError):
                    async with asyncio.timeout(CLOSE_S):
                        await socket.close(code=code, message=reason.encode())
        finally:
            self._writer.close()  # first: whoever cancels us may do it again
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    async def _up(self, socket: web.WebSocketResponse) -> tuple[int, str]:
        bucket = Bucket(self._bounds.bytes_s, _now_s())
        while True:
            message = await socket.receive()
            if message.type is WSMsgType.TEXT:
                return UNSUPPORTED, "the game speaks TCP: send binary messages"
            if message.type is not WSMsgType.BINARY:  # closed, or what was no frame: aiohttp has answered that
                return (TOO_BIG, "") if socket.close_code == TOO_BIG else (0, "")
            try:
                self._writer.write(message.data)
                await self._writer.drain()
            except OSError:
                return BAD_GATEWAY, "the connection to the game's server was lost"
            await self._pay("client", len(message.data), bucket)

    async def _down(self, socket: web.WebSocketResponse) -> tuple[int, str]:
        bucket = Bucket(self._bounds.bytes_s, _now_s())
        while True:
            try:
                data = await self._reader.read(READ_BYTES)
            except OSError:
                return BAD_GATEWAY, "the connection to the game's server was lost"
            if not data:
                return NORMAL, "the game's server has ended the connection"
            try:
                await socket.send_bytes(data)
            except OSError:
                return 0, ""
            await self._pay("server", len(data), bucket)

    async def _pay(self, direction: str, size: int, bucket: Bucket) -> None:
        self._bounds.passed(direction, size)
        owed_s = max(bucket.take(size, _now_s()), self._bounds.shared.take(1, _now_s()))
        if owed_s > 0:
            await asyncio.sleep(owed_s)


def _first(works: Sequence[asyncio.Future[tuple[int, str]]]) -> tuple[int, str]:
    """What the work that ended says; a server's normal end before a client's, if both ended at once."""
    return max((work.result() for work in works if work.done()), key=lambda found: found[0])


def _now_s() -> float:
    return asyncio.get_running_loop().time()
