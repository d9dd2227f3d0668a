"""The auth listener: accounts over TCP, one JSON object a line, one request of a connection at a time.

A line that is JSON and breaks a rule is answered, and the next one is read. What is no JSON at all is answered and ends
the connection: whoever speaks another protocol here, a browser made to for one, gets one line and is gone. Every wait
has an end: for the line of a proxy, for the whole of the next line, for a request, for an answer to be taken.

At the end of the process nobody is accepted any more, the requests under way are answered, and all is closed.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Final

from core.clock import now_ms
from core.errors import Misconfigured, MusterError, Refused, TooMany, Unavailable
from core.log import get
from core.metrics import BACKLOG
from webapi import documents as doc
from webapi import line_documents as wire
from webapi.context import Services
from webapi.login import whose
from webapi.origin import PROXY_LINE_BYTES, PROXY_WORD, Origin, proxy_line
from webapi.problems import document

log = get("lines")

PROXY_S: Final = 5.0  # for a proxy's first line, which it sends at once
LINGER_S: Final = 1.0  # for the other side to read the last words; a reset would take them away
LINGER_BYTES: Final = 65_536  # ... and to end what it was saying
LEAVING: Final = 64  # so many are told why they are turned away at once; others are dropped
SHUTDOWN_S: Final = 3.0  # for the requests under way; a full line of password hashes takes one


@asynccontextmanager
async def listening_lines(services: Services) -> AsyncIterator[int | None]:
    """Listen for the length of the block, where the settings ask for it; yields the port, or None.

    Raises Misconfigured where the port is taken.
    """
    settings = services.settings
    if not settings.auth_lines:
        yield None
        return
    lines = Lines(services)
    try:
        server = await asyncio.start_server(
            lines.connected, settings.host, settings.auth_port, limit=wire.LINE_BYTES, backlog=BACKLOG
        )
    except OSError as error:
        raise Misconfigured(
            f"cannot listen on {settings.host}:{settings.auth_port}: {error.strerror or error}",
            setting="MUSTER_WEBAPI_AUTH_PORT",
        ) from error
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await lines.close()


class Lines:
    """See the module."""

    def __init__(self, services: Services) -> None:
        self._entrance = services.entrance
        self._proxies = services.proxies
        self._settings = services.settings
        self._metrics = services.metrics
        self._open: dict[asyncio.Task[None], bool] = {}  # by its task: whether a request is under way
        self._leaving: set[asyncio.Task[None]] = set()
        self._of_address: Counter[str] = Counter()
        self._closing = False

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection was accepted."""
        if len(self._open) < self._settings.auth_connections and not self._closing:
            task = asyncio.create_task(self._live(reader, writer))
            self._open[task] = False
            self._metrics.line_connections.inc()
            task.add_done_callback(self._ended)
        elif len(self._leaving) < LEAVING:
            full = Unavailable("too many connections here: try again in a moment", code="too-many-connections")
            leaving = asyncio.create_task(self._dismiss(reader, writer, full))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        else:
            self._count("none", "dropped")
            writer.transport.abort()

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._open[task]
        if not task.cancelled() and (defect := task.exception()) is not None:
            log.error("connection failed", exc_info=defect)
        self._metrics.line_connections.dec()

    async def close(self) -> None:
        """Answer the requests under way, and close everything."""
        self._closing = True
        for task in [*(task for task, busy in self._open.items() if not busy), *self._leaving]:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open, timeout=SHUTDOWN_S)
        left = [*self._open, *self._leaving]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _live(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            _ensure_open(writer)
            writer.transport.set_write_buffer_limits(high=0)  # so that `drain` waits until the answer is taken
            origin = await self._origin(reader, writer)
            if origin is not None:
                with self._counted(origin.address):
                    await self._converse(reader, writer, origin)
        except Refused as error:
            await self._dismiss(reader, writer, error)
        except OSError:  # TimeoutError is one
            pass  # gone, or it does not take its answers
        finally:
            writer.transport.abort()  # whatever is to be heard has been, or never will be

    async def _origin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Origin | None:
        """Whose connection it is; None where nothing is said at all, as by who only looks whether somebody listens.

        Raises Refused where one of our proxies does not tell.
        """
        peer = str((writer.get_extra_info("peername") or ("unknown",))[0])
        if not self._proxies.trusts(peer):
            return Origin(peer, "tcp")
        line = await self._line(reader, PROXY_S)
        return None if line is None else Origin(proxy_line(line.removesuffix(b"\r"), peer), "tcp")

    @contextmanager
    def _counted(self, address: str) -> Iterator[None]:
        """Count a connection of an address. Raises TooMany."""
        guest = whose(address)
        if self._of_address[guest] >= self._settings.auth_connections_address:
            raise TooMany("too many connections from this address: close one", code="too-many-connections")
        self._of_address[guest] += 1
        try:
            yield
        finally:
            self._of_address[guest] -= 1
            if not self._of_address[guest]:
                del self._of_address[guest]

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, origin: Origin) -> None:
        """Answer line after line until the client has said its last. Raises Refused where it cannot go on."""
        this = asyncio.current_task()
        assert this is not None
        while not self._closing and (line := await self._line(reader, self._settings.auth_idle_s)) is not None:
            self._open[this] = True
            await self._say(writer, await self._answer(line, origin))
            self._open[this] = False
            await asyncio.sleep(0)  # lines that wait already are read without a pause: others have their turn

    async def _line(self, reader: asyncio.StreamReader, within_s: float) -> bytes | None:
        """The next line without its end, or None where there is none. Raises Refused."""
        try:
            async with asyncio.timeout(within_s):
                return (await reader.readuntil(b"\n"))[:-1]
        except asyncio.IncompleteReadError as error:
            if not error.partial:
                return None
            raise wire.LineUnfinished("the line has no end: end each with a line feed, the last one too") from None
        except asyncio.LimitOverrunError:
            raise wire.LineTooLong(f"a line has at most {wire.LINE_BYTES} bytes") from None
        except TimeoutError:
            raise wire.Idle(f"no whole line came within {within_s:g} s") from None

    async def _answer(self, line: bytes, origin: Origin) -> bytes:
        """The answer to a line. Raises Refused where no line after it could be read."""
        kind = "none"
        try:
            if line.startswith(PROXY_WORD) and len(line) <= PROXY_LINE_BYTES:
                raise wire.NotBelieved("a line of the PROXY protocol is believed of the operator's proxies alone")
            request = wire.read(line)
            kind = str(request.__struct_config__.tag)
            async with asyncio.timeout(self._settings.request_s):
                answer = await self._do(request, origin)
        except Exception as error:
            if not wire.is_readable(error):
                raise
            ours = self._ours(error)
            self._count(kind, ours.code)
            return wire.refused(document(ours, self._logged(ours, error)), wire.number(line))
        self._count(kind, "ok")
        return wire.done(answer, request.id)

    async def _do(self, request: wire.Request, origin: Origin) -> doc.Session | None:
        now = now_ms()
        match request:
            case wire.Register():
                return await self._entrance.register(request, origin, now)
            case wire.Login():
                return await self._entrance.login(request, origin, now)
            case wire.Refresh():
                return await self._entrance.refresh(request, origin, now)
            case wire.Guest():
                return await self._entrance.guest(request, origin, now)
        caller = await self._entrance.caller(request.access_token, now)
        match request:
            case wire.Upgrade():
                return await self._entrance.upgrade(request, caller, origin, now)
            case wire.Password():
                await self._entrance.change_password(request, caller, origin, now)
            case wire.Logout():
                await self._entrance.logout(caller, origin)
        return None

    def _ours(self, error: Exception) -> MusterError:
        if isinstance(error, MusterError):
            return error
        if isinstance(error, TimeoutError):
            return Unavailable(f"this was not done within {self._settings.request_s:g} s", code="timeout")
        return MusterError(str(error))

    @staticmethod
    def _logged(ours: MusterError, error: Exception) -> str:
        """An id for whoever complains; what is our own fault is in the log under it."""
        request_id = os.urandom(8).hex()
        if ours.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request failed", request_id=request_id, exc_info=error)
        return request_id

    async def _say(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        _ensure_open(writer)
        writer.write(answer)
        async with asyncio.timeout(self._settings.auth_idle_s):
            await writer.drain()

    async def _dismiss(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, error: MusterError) -> None:
        """Say why, and close when the other side has had the time to read it."""
        self._count("none", error.code)
        try:
            _ensure_open(writer)
            writer.write(wire.refused(document(error, "")))
            writer.write_eof()
            async with asyncio.timeout(LINGER_S):
                for _ in range(LINGER_BYTES // wire.LINE_BYTES):
                    if not await reader.read(wire.LINE_BYTES):
                        break
        except OSError:  # TimeoutError is one
            pass
        finally:
            writer.transport.abort()

    def _count(self, kind: str, outcome: str) -> None:
        self._metrics.lines.labels(kind, outcome).inc()


def _ensure_open(writer: asyncio.StreamWriter) -> None:
    """Raise where the other side has broken off: uvloop takes whatever is asked of a closed connection for a defect."""
    if writer.transport.is_closing():
        raise ConnectionResetError
