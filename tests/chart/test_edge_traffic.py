"""Traffic through the edge: HTTP, WebSockets, TCP and UDP get through, and no address gets more than its share.

A real Nginx with the rendered configuration, before services that the test plays itself: so each limit can be reached
with a handful of connections, from several addresses of loopback.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import aiohttp
from aiohttp import web

from tests.chart.local_edge import EDGE, NODE, Places, nginx
from tests.chart.rendered import Render
from tests.chart.test_edge import configuration

ADA, GRACE = "127.0.0.4", "127.0.0.5"  # addresses that clients come from
ANSWER_S = 60.0


@dataclass
class Behind:
    """What the edge leads to: an API, a listener for lines and a game server, each answering what it was told."""

    release: asyncio.Event = field(default_factory=asyncio.Event)  # lets held requests and streams go on
    held: int = 0
    clients: list[str] = field(default_factory=list)  # of the auth listener, as the edge tells them
    datagrams: list[bytes] = field(default_factory=list)

    async def forwarded(self, request: web.Request) -> web.Response:
        """Whom the request says it is for, and how it came."""
        return web.json_response({"for": request.headers["X-Forwarded-For"], "host": request.host})

    async def hold(self, _: web.Request) -> web.Response:
        """Answers when it is released."""
        self.held += 1
        await self.release.wait()
        return web.Response()

    async def events(self, request: web.Request) -> web.StreamResponse:
        """One event at once, another when it is released."""
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"data: first\n\n")
        await self.release.wait()
        await stream.write(b"data: second\n\n")
        return stream

    async def talk(self, request: web.Request) -> web.WebSocketResponse:
        """Echoes."""
        peer = web.WebSocketResponse()
        await peer.prepare(request)
        async for message in peer:
            await peer.send_str(f"heard {message.data}")
        return peer

    async def lines(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hears whose connection it is, and echoes each line after that."""
        self.clients.append((await reader.readline()).split()[2].decode())
        while line := await reader.readline():
            writer.write(b"heard " + line)
        writer.close()


class Game(asyncio.DatagramProtocol):
    """Echoes each datagram and keeps it."""

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # no subclass of it in 3.11

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._behind.datagrams.append(data)
        self._transport.sendto(b"heard " + data, address)


@asynccontextmanager
async def edge(render: Render, folder: Path, *limits: str) -> AsyncIterator[tuple[Places, Behind]]:
    """An edge with these limits, and what is behind it."""
    places, behind = Places(), Behind()
    app = web.Application()
    routes = {"/forwarded": behind.forwarded, "/hold": behind.hold, "/events": behind.events, "/talk": behind.talk}
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", places.webapi).start()
        await stack.enter_async_context(await asyncio.start_server(behind.lines, "127.0.0.1", places.listener))
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: Game(behind), local_addr=(NODE, places.game))
        stack.callback(transport.close)
        stack.enter_context(nginx(configuration(render, *places.options(*limits)), places, folder))
        yield places, behind


def client(address: str) -> aiohttp.ClientSession:
    """An HTTP client that comes from this address, each request over a connection of its own."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0), force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=ANSWER_S))


async def test_http_streams_and_websockets_get_through(rendered: Render, tmp_path: Path) -> None:
    """The API learns whose request it is; an event arrives before the next one exists; a WebSocket talks both ways."""
    async with edge(rendered, tmp_path) as (places, behind), client(ADA) as ada:
        async with ada.get(f"{places.url}/forwarded", headers={"X-Forwarded-For": "192.0.2.1"}) as answer:
            assert await answer.json() == {"for": f"192.0.2.1, {ADA}", "host": f"{EDGE}:{places.http}"}
        async with ada.get(f"{places.url}/events") as stream:
            assert await stream.content.readline() == b"data: first\n"
            behind.release.set()
            assert b"data: second" in await stream.content.read()
        async with ada.ws_connect(f"{places.url}/talk") as talk:
            await talk.send_str("ho")
            assert (await talk.receive()).data == "heard ho"


async def test_tcp_and_udp_get_through(rendered: Render, tmp_path: Path) -> None:
    """Lines reach the auth listener, datagrams the port of the node that has the same number."""
    async with edge(rendered, tmp_path) as (places, _), asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_connection(EDGE, places.auth)
        writer.write(b"login\n")
        assert await reader.readline() == b"heard login\n"
        writer.close()
        with datagrams(ADA, places) as player:
            assert await exchange(player, b"join") == b"heard join"


async def test_connections_are_limited_for_each_address(rendered: Render, tmp_path: Path) -> None:
    """Who holds as many as are allowed is refused another with 429; somebody else is not."""
    async with (
        edge(rendered, tmp_path, "connections=2") as (places, behind),
        client(ADA) as ada,
        client(GRACE) as grace,
    ):
        async with asyncio.TaskGroup() as group:
            holding = [group.create_task(status(ada, f"{places.url}/hold")) for _ in range(2)]
            async with asyncio.timeout(ANSWER_S):
                while behind.held < 2:
                    await asyncio.sleep(0.01)
            assert await status(ada, f"{places.url}/forwarded") == 429
            assert await status(grace, f"{places.url}/forwarded") == 200
            behind.release.set()
        assert [task.result() for task in holding] == [200, 200]
        assert await status(ada, f"{places.url}/forwarded") == 200


async def test_requests_are_limited_for_each_address(rendered: Render, tmp_path: Path) -> None:
    """One a second and one that may wait: of ten at once most are refused, and somebody else's is not."""
    limits = ("requestsPerSecond=1", "burst=1")
    async with edge(rendered, tmp_path, *limits) as (places, _), client(ADA) as ada, client(GRACE) as grace:
        begun = time.monotonic()
        seen = await asyncio.gather(*(status(ada, f"{places.url}/forwarded") for _ in range(10)))
        assert 200 in seen
        assert set(seen) <= {200, 429}
        assert seen.count(200) <= 2 + time.monotonic() - begun  # a busy machine may send them one after another
        assert await status(grace, f"{places.url}/forwarded") == 200


async def test_tcp_connections_are_limited_for_each_address(rendered: Render, tmp_path: Path) -> None:
    """A second connection to the auth listener is closed unanswered; another address has its own."""
    async with edge(rendered, tmp_path, "authConnections=1") as (places, behind), asyncio.timeout(ANSWER_S):
        said = []
        kept = []
        for address in (ADA, ADA, GRACE):
            reader, writer = await asyncio.open_connection(EDGE, places.auth, local_addr=(address, 0))
            kept.append(writer)
            writer.write(b"login\n")
            try:
                said.append(await reader.readline())
            except ConnectionResetError:
                said.append(b"")
        assert said == [b"heard login\n", b"", b"heard login\n"]
        assert behind.clients == [ADA, GRACE]
        for writer in kept:
            writer.close()


async def test_udp_flows_are_limited_for_each_address(rendered: Render, tmp_path: Path) -> None:
    """Datagrams of a second flow are dropped at the edge; the first goes on, and another address has its own."""
    async with edge(rendered, tmp_path, "udpSessions=1") as (places, behind), asyncio.timeout(ANSWER_S):
        with datagrams(ADA, places) as first, datagrams(ADA, places) as second, datagrams(GRACE, places) as other:
            assert await exchange(first, b"one") == b"heard one"
            second.send(b"two")
            assert await exchange(other, b"three") == b"heard three"
            assert await exchange(first, b"four") == b"heard four"
        assert behind.datagrams == [b"one", b"three", b"four"]


async def status(session: aiohttp.ClientSession, url: str) -> int:
    """Status of GET."""
    async with session.get(url) as answer:
        return answer.status


def datagrams(address: str, places: Places) -> socket.socket:
    """A UDP socket of this address that speaks to the edge's game port."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.bind((address, 0))
    made.connect((EDGE, places.game))
    return made


async def exchange(flow: socket.socket, message: bytes) -> bytes:
    """What comes back for a datagram."""
    flow.send(message)
    return await asyncio.get_running_loop().sock_recv(flow, 1500)
