"""How a relayed connection ends: by the game, by a server that is lost, by ours."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.server import ServerConnection

from core.model import OpenPort
from tests.support import eventually, free_port
from tests.webapi.relay.ground import Ground, Open, closed
from tests.webapi.support import claim, make_ready


@pytest.fixture
async def ground(open_ground: Open) -> Ground:
    """A running match."""
    return await open_ground()


async def behind(ground: Ground, port: int, protocol: str) -> tuple[int, str]:
    """How webapi refuses to lead a player of another match to this port."""
    player = await ground.api.guest("Bob")
    match = await claim(ground.db, "tanks", await ground.api.ticket(player))
    await make_ready(ground.db, "tanks", match, OpenPort("it", protocol, port))  # type: ignore[arg-type]
    headers = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    path = f"/v1/matches/tanks/{match}/ws"
    answer = await ground.api.ask("GET", path, token=player["access_token"], headers=headers)
    return answer.status, answer.problem


@pytest.mark.parametrize("query", ["", "?port=raw"])
async def test_a_replica_that_stops_says_so(ground: Ground, query: str) -> None:
    """1012, service restart: a client knows to come back at once, by another replica. Nobody new is let in."""
    async with ground.enter(query) as client:
        await client.send(b"hello")
        assert await client.recv() == b"hello"
        ground.api.services.relay.close()
        assert await closed(client) == (1012, "service restart")
    answer = await ground.api.ask("GET", ground.path, token=ground.access)
    assert answer.problem == "busy"


async def test_a_lost_server_is_told(ground: Ground) -> None:
    """A server whose connection breaks without a close frame is 1014, bad gateway."""

    async def drop(socket: ServerConnection) -> None:
        await socket.recv()
        socket.transport.abort()

    ground.speak = drop
    async with ground.enter() as client:
        await client.send("die")
        assert (await closed(client))[0] == 1014


async def test_the_server_is_left_when_the_client_is_gone(ground: Ground) -> None:
    """A client that breaks off without a word leaves no connection to the server behind."""
    async with ground.enter() as client:
        await client.send("hello")
        assert await client.recv() == "hello"
        client.transport.abort()

    async def left() -> bool:
        return len(ground.ended) == 1

    assert await eventually(left)


async def test_a_server_out_of_reach_is_a_problem(ground: Ground) -> None:
    """Nobody listens: 503 with a reason, before anything is upgraded."""
    for protocol in ("ws", "tcp"):
        assert await behind(ground, free_port(), protocol) == (503, "server-unreachable")


SILENT, ENDLESS = b"", b"x" * 20_000
WRONG = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: wrong\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (SILENT, "server-unreachable"),
        (ENDLESS, "server-unreachable"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "server-refused"),
        (WRONG, "server-refused"),
    ],
    ids=["silent", "endless", "no", "wrong"],
)
async def test_a_server_that_shakes_no_hands_is_a_problem(open_ground: Open, said: bytes, code: str) -> None:
    """One that says nothing, anything, no, or the wrong thing: the player is told, and nothing is kept open."""
    ground = await (open_ground() if said else open_ground(relay_connect_s=1.0))  # who is silent is not waited for long
    done = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(said)
            while await reader.read(1000):
                pass
        except OSError:
            pass
        finally:
            writer.close()
            done.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        assert await behind(ground, server.sockets[0].getsockname()[1], "ws") == (503, code)
        async with asyncio.timeout(60):
            await done.wait()
    finally:
        server.close()
