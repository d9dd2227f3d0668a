"""What a hostile or slow side can do: nothing beyond its bounds, and nothing to others."""

from __future__ import annotations

import asyncio
import base64
import os
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support import eventually
from tests.webapi.relay.ground import Ground, Open, closed

CHUNK = b"x" * 50_000
# No pings either: who reads nothing answers none, and a busy machine takes longer than a heartbeat for all of it.
FAST = {"relay_bytes_s": 10**9, "relay_frames_s": 10**6, "heartbeat_s": 600.0}
FULL = 1000  # chunks, 50 MB: far more than all buffers on the way hold, those of the kernel too


async def refused(ground: Ground, token: str = "") -> int:
    """The status that a further connection is refused with."""
    with pytest.raises(InvalidStatus) as caught:
        async with ground.enter(token=token or None):
            pass
    return int(caught.value.response.status_code)


async def raw(ground: Ground) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection after its handshake, to send any bytes by."""
    reader, writer = await asyncio.open_connection("127.0.0.1", ground.api.client.port)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {ground.path} HTTP/1.1", "Host: muster", "Connection: keep-alive, Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", f"Authorization: Bearer {ground.access}",
    ]  # fmt: skip
    writer.write("\r\n".join([*lines, "", ""]).encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return reader, writer


async def test_a_message_has_a_bound(open_ground: Open) -> None:
    """A larger one ends the connection with 1009, over WebSocket and TCP alike; a message in pieces is one."""
    ground = await open_ground(relay_message_bytes=1000)
    for query in ("", "?port=raw"):
        async with ground.enter(query) as client:
            await client.send(b"x" * 1000)
            assert await client.recv() == b"x" * 1000
            await client.send(b"x" * 1001)
            assert (await closed(client))[0] == 1009, query
    async with ground.enter() as client:
        await client.send([b"x" * 600, b"x" * 600])
        assert (await closed(client))[0] == 1009


async def test_connections_have_bounds(open_ground: Open) -> None:
    """One more of a player is 429, one more of the process 503; one that ended makes room for another."""
    ground = await open_ground(relay_connections=3, relay_connections_player=2)
    async with ground.enter() as first:
        async with ground.enter("?port=raw"):
            assert await refused(ground) == 429

        async def again() -> bool:
            with suppress(InvalidStatus):
                async with ground.enter() as second:
                    await second.send("hello")
                    return bool(await second.recv() == "hello")
            return False

        assert await eventually(again)
        await first.send("still there")
        assert await first.recv() == "still there"


async def test_a_full_replica_says_so(open_ground: Open) -> None:
    """503, which a load balancer and a client take for: try another, or later."""
    ground = await open_ground(relay_connections=1)
    async with ground.enter():
        assert await refused(ground) == 503


async def test_an_installation_may_relay_nothing(open_ground: Open) -> None:
    """With no connections allowed there is no such thing."""
    ground = await open_ground(relay_connections=0)
    answer = await ground.api.ask("GET", ground.path, token=ground.access)
    assert (answer.status, answer.problem) == (404, "relay-off")


async def test_what_is_no_frame_of_a_client_ends_the_connection(open_ground: Open) -> None:
    """An unmasked frame is answered with a close frame of 1002, and the game gets none of it."""
    ground = await open_ground()
    heard: list[Any] = []

    async def listen(socket: ServerConnection) -> None:
        async for message in socket:
            heard.append(message)

    ground.speak = listen
    reader, writer = await raw(ground)
    writer.write(b"\x81\x02hi")
    assert (await reader.readexactly(4))[:1] + b"" == b"\x88"
    assert heard == []
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_answers_no_pings_is_ended(open_ground: Open) -> None:
    """It is pinged while it is silent, and gone when nothing at all came from it; one that answers stays."""
    ground = await open_ground(heartbeat_s=0.2, relay_idle_s=60.0)
    opened = ground.api.services.relay._open
    reader, writer = await raw(ground)
    (silent,) = opened
    async with ground.enter() as alive:
        (answering,) = opened - {silent}
        assert await reader.readexactly(2) == b"\x89\x00"
        # Half a minute passes for both, and one of them answers; then another half.
        for one in (silent, answering):
            one._heard_s -= 35
        before = answering._heard_s

        async def heard() -> bool:
            return bool(answering._heard_s > before)

        await eventually(heard)
        for one in (silent, answering):
            one._heard_s -= 35
        rest = await reader.read()
        assert b"\x88" in rest, "a close frame at the end"
        assert b"answers to pings" in rest
        await alive.send("here")
        assert await alive.recv() == "here"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("query", ["", "?port=raw"])
async def test_a_reader_that_reads_nothing_stops_the_game_and_fills_no_memory(open_ground: Open, query: str) -> None:
    """The game can send no more than buffers on the way hold; all of it arrives when the client reads."""
    ground = await open_ground(**FAST)
    sent = 0

    async def flood(socket: ServerConnection) -> None:
        nonlocal sent
        for _ in range(FULL):
            await socket.send(CHUNK)
            sent += len(CHUNK)

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(high=0)
        for _ in range(FULL):
            writer.write(CHUNK)
            await writer.drain()
            sent += len(CHUNK)

    ground.speak, ground.talk = flood, pour
    async with ground.enter(query) as client:

        async def stuck() -> bool:
            before = sent
            await asyncio.sleep(0.5)
            return sent == before > 0

        assert await eventually(stuck, within_s=30)
        assert sent < FULL * len(CHUNK) // 2
        found = 0
        with suppress(ConnectionClosed):
            while found < FULL * len(CHUNK):
                found += len(await client.recv())
        assert found == FULL * len(CHUNK)


async def test_a_game_that_reads_nothing_stops_its_client(open_ground: Open) -> None:
    """What a client sends beyond the buffers waits on its own side."""
    ground = await open_ground(**FAST)
    release, found, sent = asyncio.Event(), 0, 0

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal found
        await release.wait()
        while data := await reader.read(100_000):
            found += len(data)

    ground.talk = deaf
    async with ground.enter("?port=raw") as client:

        async def send() -> None:
            nonlocal sent
            for _ in range(FULL):
                await client.send(CHUNK)
                sent += len(CHUNK)

        sending = asyncio.ensure_future(send())

        async def stuck() -> bool:
            before = sent
            await asyncio.sleep(0.5)
            return sent == before > 0

        assert await eventually(stuck, within_s=30)
        assert sent < FULL * len(CHUNK) // 2
        release.set()
        await sending

        async def all_there() -> bool:
            return found == FULL * len(CHUNK)

        assert await eventually(all_there, within_s=30)
