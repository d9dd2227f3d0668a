"""The three ways into an arena, against small servers that speak the transport and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from core.cli.wires import Kind, open_wire
from tests.support import free_port


class Ears:
    """What a wire told."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def heard(self, message: bytes) -> None:
        self.messages.put_nowait(json.loads(message))

    def gone(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)

    async def open(self, kind: Kind, port: int) -> Any:
        """Open a wire with these ears."""
        return await open_wire(kind, "127.0.0.1", port, "token", self.heard, self.gone)


class UdpHost(asyncio.DatagramProtocol):
    """Drops the first join, challenges each without a cookie, welcomes one with it, echoes what follows."""

    def __init__(self) -> None:
        self.joins: list[Any] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        said = json.loads(data)
        if said["type"] != "join":
            self.transport.sendto(data, addr)
            return
        self.joins.append(said)
        if "cookie" in said:
            self.transport.sendto(b'{"type":"welcome"}', addr)
        elif len(self.joins) > 1:
            self.transport.sendto(b'{"type":"challenge","cookie":"c"}', addr)


async def test_udp_joins_until_it_is_welcomed() -> None:
    """A lost join is sent again, a challenge answered with its cookie, and the handshake stays inside the wire."""
    loop = asyncio.get_running_loop()
    transport, host = await loop.create_datagram_endpoint(UdpHost, local_addr=("127.0.0.1", 0))
    ears = Ears()
    wire = await ears.open("udp", transport.get_extra_info("sockname")[1])
    assert await ears.messages.get() == {"type": "welcome"}
    first, second, *_, last = host.joins  # there are more where the host takes longer than a wire waits
    assert first == second == {"type": "join", "token": "token"}
    assert last == {"type": "join", "token": "token", "cookie": "c"}
    wire.send(b'{"type":"ping"}')
    assert await ears.messages.get() == {"type": "ping"}
    await wire.close()
    await ears.lost
    wire.send(b"{}")
    transport.close()


async def test_udp_tells_when_nobody_listens() -> None:
    """A port without a server is told as lost, not waited for."""
    ears = Ears()
    wire = await ears.open("udp", free_port())
    assert await ears.lost
    await wire.close()


async def test_tcp_carries_lines_however_they_are_cut() -> None:
    """Messages are whole lines, whatever pieces they arrive in; the end of the stream is told."""

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert json.loads(await reader.readline()) == {"type": "join", "token": "token"}
        for piece in (b'{"type":"wel', b'come"}\n{"type":"snapshot"}\n{"ty', b'pe":"over"}\n'):
            writer.write(piece)
            await writer.drain()
        await reader.readline()
        writer.close()

    async with await asyncio.start_server(host, "127.0.0.1", 0) as server:
        ears = Ears()
        wire = await ears.open("tcp", server.sockets[0].getsockname()[1])
        assert [(await ears.messages.get())["type"] for _ in range(3)] == ["welcome", "snapshot", "over"]
        wire.send(b"{}")
        assert await ears.lost == "closed by the server"
        wire.send(b"{}")
        await wire.close()


async def test_websocket_carries_text_frames() -> None:
    """The join is the first frame, every text frame a message; a close by the server is told with its code."""

    async def host(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert await socket.receive_json() == {"type": "join", "token": "token"}
        await socket.send_str('{"type":"welcome"}')
        await socket.send_str((await socket.receive()).data)
        await socket.close(code=1001)
        return socket

    app = web.Application()
    app.router.add_get("/ws", host)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    ears = Ears()
    wire = await ears.open("ws", runner.addresses[0][1])
    assert await ears.messages.get() == {"type": "welcome"}
    wire.send(b'{"type":"ping"}')
    assert await ears.messages.get() == {"type": "ping"}
    assert "1001" in await ears.lost
    await wire.close()
    await runner.cleanup()


@pytest.mark.parametrize("kind", ["tcp", "ws"])
async def test_refused_connection_is_an_os_error(kind: Kind) -> None:
    """Where nobody listens on a stream's port, opening fails at once."""
    with pytest.raises(OSError):
        await Ears().open(kind, free_port())
