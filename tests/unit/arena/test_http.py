"""The small HTTP server, over raw sockets so that every byte is the test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamepod.transport.http import HttpServer, serve_http
from gamepod.transport.http_reader import BadRequest, RequestReader
from gamepod.transport.http_types import HttpLimits, Request, Response
from tests.support import PATIENCE_S
from tests.unit.arena.kit import rounds

SMALL = HttpLimits(
    max_head_bytes=512,
    max_body_bytes=64,
    max_pipelined=4,
    max_connections=4,
)
HASTY = HttpLimits(request_timeout_s=0.5)


async def count() -> AsyncGenerator[bytes, None]:
    """Three pieces, one of them empty."""
    for piece in (b"one\n", b"", b"two\n"):
        yield piece


async def fail_late() -> AsyncGenerator[bytes, None]:
    """A stream that breaks off."""
    yield b"one\n"
    raise RuntimeError("no more")


async def echo(request: Request) -> Response:
    """Answer with what was understood."""
    if request.path == "/stream":
        return Response(stream=count(), content_type="text/plain")
    if request.path == "/break":
        return Response(stream=fail_late(), content_type="text/plain")
    if request.path == "/fail":
        raise RuntimeError("on purpose")
    if request.path == "/odd":
        return Response(299, headers={"X-Odd": "yes"})
    seen = {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "body": request.body.decode(),
        "x": request.headers.get("x-test", ""),
    }
    return Response(200, json.dumps(seen).encode())


class Wire:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self, *, body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body (by its length) of the next answer."""
        async with asyncio.timeout(PATIENCE_S):
            status = int((await self.reader.readline()).split()[1])
            headers = {}
            while (line := await self.reader.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            length = int(headers.get("content-length", "0")) if body else 0
            return status, headers, await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Everything until the end of the connection."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()


@asynccontextmanager
async def served(limits: HttpLimits = HttpLimits()) -> AsyncIterator[HttpServer]:  # noqa: B008 - frozen
    """A server of `echo` on a free port."""
    server = await serve_http(echo, "127.0.0.1", 0, limits=limits)
    try:
        yield server
    finally:
        await server.close()
        await rounds()


@asynccontextmanager
async def wire(server: HttpServer) -> AsyncIterator[Wire]:
    """A raw connection to a server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_request_is_understood_whole(method: str) -> None:
    """Method, decoded path, query, header and body reach the handler, and its answer comes back."""
    async with served() as server, wire(server) as client:
        head = f"{method} /a%20b?c=d HTTP/1.1\r\nHost: x\r\nX-Test: 1\r\nx-test: 2\r\nContent-Length: 4\r\n\r\n"
        client.writer.write(head.encode() + b"body")
        status, headers, body = await client.answer()
        assert (status, headers["content-type"]) == (200, "application/json")
        expected = {"method": method, "path": "/a b", "query": "c=d", "body": "body", "x": "1, 2"}
        assert json.loads(body) == expected


async def test_a_chunked_body_and_expect_continue() -> None:
    """A client that waits for leave to send its body gets it, and the chunks arrive as one body."""
    async with served() as server, wire(server) as client:
        client.writer.write(b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.answer())[0] == 100
        client.writer.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert json.loads((await client.answer())[2])["body"] == "abcde"


async def test_a_head_request_has_no_body() -> None:
    """HEAD answers with the length and no body, and the connection goes on."""
    async with served() as server, wire(server) as client:
        client.writer.write(b"HEAD /x HTTP/1.1\r\n\r\nGET /odd HTTP/1.1\r\n\r\n")
        status, headers, _ = await client.answer(body=False)
        assert status == 200
        assert int(headers["content-length"]) > 0
        status, headers, _ = await client.answer()
        assert (status, headers["x-odd"], headers["content-length"]) == (299, "yes", "0")


async def test_pipelined_requests_are_answered_in_order() -> None:
    """Requests sent at once are answered one after another."""
    async with served() as server, wire(server) as client:
        client.writer.write(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(3)))
        paths = [json.loads((await client.answer())[2])["path"] for _ in range(3)]
        assert paths == ["/0", "/1", "/2"]


async def test_a_stream_is_chunked() -> None:
    """A streamed answer comes in chunks, after which the connection goes on."""
    async with served() as server, wire(server) as client:
        client.writer.write(b"GET /stream HTTP/1.1\r\n\r\nGET /x HTTP/1.0\r\n\r\n")
        answer = await client.rest()
        assert b"Transfer-Encoding: chunked\r\n" in answer
        assert b"4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n" in answer
        assert answer.count(b"200 OK") == 2


async def test_an_old_client_gets_a_stream_until_the_end() -> None:
    """An HTTP/1.0 client gets the stream as it is, ended by the close."""
    async with served() as server, wire(server) as client:
        client.writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
        assert (await client.rest()).endswith(b"\r\n\r\none\ntwo\n")


async def test_a_stream_that_fails_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    """When a stream fails after its head was sent, the connection is cut without a proper end."""
    async with served() as server, wire(server) as client:
        client.writer.write(b"GET /break HTTP/1.1\r\n\r\n")
        answer = b""
        with suppress(ConnectionError):
            answer = await client.rest()
        assert not answer.endswith(b"0\r\n\r\n")
    assert "stream failed" in caplog.text


async def test_a_handler_that_fails_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of the handler is logged, answered without its details, and the connection goes on."""
    async with served() as server, wire(server) as client:
        client.writer.write(b"GET /fail HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n")
        status, _, body = await client.answer()
        assert (status, body) == (500, b"internal error\n")
        assert (await client.answer())[0] == 200
    assert "on purpose" in caplog.text


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 65\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n" + b"x" * 80 + b"\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 600 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 600 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n\r\n" * 9, 429),
    ],
)
async def test_what_is_too_much_or_wrong_ends_the_connection(data: bytes, status: int) -> None:
    """Broken, oversized and too many requests are answered with their status, then the connection ends."""
    async with served(SMALL) as server, wire(server) as client:
        client.writer.write(data)
        assert b"HTTP/1.1 %d " % status in await client.rest()


async def test_an_endless_header_is_cut_off() -> None:
    """A header that never ends is refused by its bytes alone."""
    async with served(SMALL) as server, wire(server) as client:
        client.writer.write(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(8):
            await asyncio.sleep(0.005)
            client.writer.write(b"x" * 100)
        assert b" 431 " in await client.rest()


async def test_a_slow_request_and_an_idle_connection_end() -> None:
    """Half a request is answered with 408 in the end; a connection that asks nothing is closed."""
    async with served(HASTY) as server, wire(server) as slow:
        slow.writer.write(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab")  # before another takes its time
        async with wire(server) as idle:
            assert b" 408 " in await slow.rest()
            assert await idle.rest() == b""


async def test_connections_of_http_are_bounded() -> None:
    """A connection over the bound is closed at once."""
    async with served(HttpLimits(max_connections=1)) as server, wire(server) as first:
        first.writer.write(b"GET /x HTTP/1.1\r\n\r\n")
        await first.answer()
        async with wire(server) as second:
            with suppress(ConnectionError):
                assert await second.rest() == b""
        assert server.refused == 1


async def test_a_client_that_goes_cancels_its_handler() -> None:
    """When the client is gone, a handler that still works for it is cancelled."""
    cancelled = asyncio.Event()
    started = asyncio.Event()

    async def forever(request: Request) -> Response:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Response()

    server = await serve_http(forever, "127.0.0.1", 0)
    async with wire(server) as client:
        client.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(started.wait(), PATIENCE_S)
    await asyncio.wait_for(cancelled.wait(), PATIENCE_S)
    await server.close()
    await rounds()


async def test_a_reader_that_stalls_is_cut_off() -> None:
    """A client that takes nothing of a stream is disconnected after the write time-out."""
    ended = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x" * 65_536
        finally:
            ended.set()

    async def handler(request: Request) -> Response:
        return Response(stream=endless())

    server = await serve_http(handler, "127.0.0.1", 0, limits=HttpLimits(write_timeout_s=0.05))
    async with wire(server) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(ended.wait(), PATIENCE_S)
    await server.close()
    await rounds()


@given(
    pieces=st.lists(
        st.binary(max_size=60)
        | st.sampled_from([b"GET / HTTP/1.1\r\n", b"\r\n", b"Content-Length: 3\r\n", b"Upgrade: x\r\n"]),
        max_size=12,
    )
)
def test_the_reader_survives_any_bytes(pieces: list[bytes]) -> None:
    """Any bytes give whole requests or a `BadRequest`, never another exception."""
    reader = RequestReader(SMALL)
    try:
        for piece in pieces:
            reader.feed(piece)
            if reader.upgrade_rest is not None:
                break
    except BadRequest as error:
        assert error.status in {400, 413, 429, 431}  # noqa: PT017 - both ways are right
