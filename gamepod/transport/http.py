"""A small HTTP/1.1 server: the sidecar's REST, the metrics, and the door to WebSockets.

It exists because a game server must idle at 30 MB, which a web framework alone would use up. It answers the
requests of a connection one after another, and bounds every size and time. It is no public web server: TLS and
fairness between strangers are the edge's work.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Final, cast

import msgspec

from gamepod.transport.http_reader import BadRequest, RequestReader
from gamepod.transport.http_types import Handler, HttpLimits, Request, Response, plain, response_head

log = logging.getLogger(__name__)

LINGER_S: Final = 0.5  # a client that still sends is heard so long after it was refused

Upgrade = Callable[[Request], asyncio.Protocol]
"""Makes the protocol that takes over the connection of a WebSocket request."""


class HttpServer:
    """A listening port. `port` is the real one, also when 0 was asked for."""

    def __init__(self, handler: Handler, upgrades: Mapping[str, Upgrade], limits: HttpLimits) -> None:
        self.handler = handler
        self.upgrades = upgrades
        self.limits = limits
        self.port = 0
        self.refused = 0  # connections over the bound
        self.connections: set[HttpConnection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises `OSError` when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: HttpConnection(self), host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end every connection; a handler that is running is cancelled.

        Connections that were upgraded belong to whoever took them over.
        """
        if self._server is not None:
            self._server.close()
        tasks = [task for connection in list(self.connections) if (task := connection.shut()) is not None]
        await asyncio.gather(*tasks, return_exceptions=True)


async def serve_http(
    handler: Handler,
    host: str,
    port: int,
    *,
    upgrades: Mapping[str, Upgrade] | None = None,
    limits: HttpLimits | None = None,
) -> HttpServer:
    """Answer HTTP with `handler`; a WebSocket request for a path in `upgrades` goes there instead.

    Raises `OSError` when the port is taken.
    """
    server = HttpServer(handler, upgrades or {}, limits or HttpLimits())
    await server.start(host, port)
    return server


class HttpConnection(asyncio.Protocol):
    """One connection."""

    _transport: asyncio.Transport

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._limits = server.limits
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(server.limits)
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._last_word: Response | None = None  # what was wrong; said after the requests before it
        self._deaf = False  # nothing that still comes is read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._server.connections) >= self._limits.max_connections:
            self._server.refused += 1
            self._transport.abort()
            return
        self._server.connections.add(self)
        self._arm(self._limits.request_timeout_s)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        was_reading = self._reader.reading
        try:
            self._waiting.extend(self._reader.feed(data))
            if len(self._waiting) > self._limits.max_pipelined:
                raise BadRequest(429, "too many requests at once")
        except BadRequest as error:
            self._refuse(error.status, error.detail)
        if self._reader.upgrade_rest is not None and self._waiting:
            self._upgrade(self._reader.upgrade_rest)
        elif self._reader.reading and not was_reading and self._task is None:
            self._arm(self._limits.request_timeout_s)
        if self._reader.wants_continue and self._task is None and not self._deaf:
            self._reader.wants_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._work()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        if self._task is not None:
            self._task.cancel()

    def shut(self) -> asyncio.Task[None] | None:
        """End the connection; returns the task that is ending, if a handler was running."""
        if self._task is not None:
            self._task.cancel()
        self._end()
        return self._task

    def _leave(self) -> None:
        self._server.connections.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()

    def _arm(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        if self._task is not None:
            return  # a handler may take its time; the next request's clock starts after it
        if self._reader.reading:
            self._refuse(408, "the request took too long")
            self._work()
        else:
            self._end()

    def _end(self) -> None:
        """Close after what was written has left, or after `write_timeout_s` whatever happened."""
        self._deaf = True
        if not self._transport.is_closing():
            self._transport.close()
            self._loop.call_later(self._limits.write_timeout_s, self._transport.abort)

    def _linger(self) -> None:
        """Close for writing, and take what still comes for a moment: to close with bytes unread resets the connection,
        and a client that still sends would lose the answer that says why."""
        self._transport.write_eof()
        self._loop.call_later(LINGER_S, self._end)

    def _refuse(self, status: int, text: str) -> None:
        self._deaf = True
        self._last_word = self._last_word or plain(status, text)

    def _upgrade(self, rest: bytes) -> None:
        """Hand the connection over, or let the request be answered as an ordinary one that closes."""
        request = self._waiting[-1]
        make = self._server.upgrades.get(request.path)
        websocket = request.method == "GET" and request.headers.get("upgrade", "").lower() == "websocket"
        self._deaf = True
        if make is None or not websocket or len(self._waiting) > 1 or self._task is not None:
            self._waiting[-1] = msgspec.structs.replace(request, keep_alive=False)
            return
        self._waiting.clear()
        self._leave()
        protocol = make(request)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if rest:
            protocol.data_received(rest)

    def _work(self) -> None:
        if self._task is None and (self._waiting or self._last_word is not None):
            self._task = self._loop.create_task(self._answer_all())

    async def _answer_all(self) -> None:
        """Answer what waits, in its order. A reader that stalls, or a stream that fails, ends the connection."""
        try:
            while self._waiting and not self._transport.is_closing():
                request = self._waiting.popleft()
                await self._write(request, await self._handle(request))
            if self._last_word is not None and not self._transport.is_closing():
                self._transport.write(response_head(self._last_word, close=True, chunked=False))
                self._transport.write(self._last_word.body)
                self._linger()
        except Exception as error:
            # The head is already sent, so the only honest answer left is to break off.
            if not isinstance(error, TimeoutError):
                log.exception("a response stream failed")
            self._transport.abort()
        finally:
            self._task = None
            if not self._transport.is_closing() and not self._deaf:
                limits = self._limits
                self._arm(limits.request_timeout_s if self._reader.reading else limits.keep_alive_s)

    async def _handle(self, request: Request) -> Response:
        try:
            return await self._server.handler(request)
        except Exception:
            log.exception("the handler of %s %s failed", request.method, request.path)
            return plain(500, "internal error")

    async def _write(self, request: Request, response: Response) -> None:
        chunked = response.stream is not None and request.version == "1.1"
        close = not request.keep_alive or (response.stream is not None and not chunked)
        self._transport.write(response_head(response, close=close, chunked=chunked))
        if response.stream is not None:
            async with aclosing(response.stream) as pieces:
                if request.method != "HEAD":
                    await self._write_stream(pieces, chunked=chunked)
        elif request.method != "HEAD":
            self._transport.write(response.body)
        if close:
            self._end()
        else:
            await self._drain()

    async def _write_stream(self, pieces: AsyncIterator[bytes], *, chunked: bool) -> None:
        async for piece in pieces:
            if piece:
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                await self._drain()
        if chunked:
            self._transport.write(b"0\r\n\r\n")

    async def _drain(self) -> None:
        """Wait until the reader has caught up. Raises `TimeoutError` if it does not."""
        if not self._writable.is_set():
            async with asyncio.timeout(self._limits.write_timeout_s):
                await self._writable.wait()
