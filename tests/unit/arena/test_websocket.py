"""The game over WebSocket, with a real client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from gamepod.transport.limits import TransportLimits
from tests.support import PATIENCE_S
from tests.unit.arena.kit import message, running_stack, token


@asynccontextmanager
async def browser(port: int, path: str = "/ws") -> AsyncIterator[ClientConnection]:
    """A client as a browser is one: it offers compression and sends an origin."""
    url = f"ws://127.0.0.1:{port}{path}"
    async with connect(
        url,
        origin="https://game.example",  # type: ignore[arg-type]
        proxy=None,
        open_timeout=PATIENCE_S,
    ) as client:
        yield client


async def receive(client: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of one type."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            text = await client.recv()
            assert isinstance(text, str)
            found: dict[str, Any] = json.loads(text)
            if found["type"] == kind:
                return found


async def test_a_game_is_played_in_a_browser() -> None:
    """Join, input, snapshot and leave work as text frames, from any origin, without compression."""
    async with running_stack() as stack, browser(stack.websocket.port) as client:
        assert client.protocol.extensions == []
        await client.send(message("join", token=token("ann")).decode())
        await receive(client, "welcome")
        assert (await receive(client, "snapshot"))["full"]
        await client.send(message("input", seq=1, commands=[{"type": "move", "throttle": 1}]).decode())
        await client.send(message("ping", t=7).decode())
        assert (await receive(client, "pong"))["t"] == 7
        stack.tick()
        assert (await receive(client, "snapshot"))["accepted"] == 1
        await client.send(message("leave").decode())
        with pytest.raises(ConnectionClosed):
            await receive(client, "never")
        assert stack.session.present == ()


async def test_the_last_message_may_come_with_the_close_frame() -> None:
    """A browser that leaves and closes at once sends both in one piece: nobody waits for a return."""
    async with running_stack() as stack, browser(stack.websocket.port) as client:
        await client.send(message("join", token=token("ann")).decode())
        await receive(client, "welcome")
        client.protocol.send_text(message("leave"))
        client.protocol.send_close(1000)
        client.transport.write(b"".join(client.protocol.data_to_send()))
        with pytest.raises(ConnectionClosed):
            await receive(client, "never")
        assert stack.session.present == ()


async def test_a_message_may_come_in_fragments() -> None:
    """A text in several frames is one message."""
    async with running_stack() as stack, browser(stack.websocket.port) as client:
        text = message("join", token=token("ann")).decode()
        await client.send([text[:10], text[10:30], text[30:]])
        assert (await receive(client, "welcome"))["player"] == "ann"


async def test_a_reconnect_replaces_the_open_tab() -> None:
    """A second tab takes the player over; the first is told and closed."""
    async with running_stack() as stack, browser(stack.websocket.port) as first:
        await first.send(message("join", token=token("ann")).decode())
        await receive(first, "welcome")
        async with browser(stack.websocket.port) as second:
            await second.send(message("join", token=token("ann")).decode())
            await receive(second, "welcome")
            assert (await receive(first, "error"))["code"] == "replaced"
            with pytest.raises(ConnectionClosed):
                await receive(first, "never")
            assert stack.gateway.clients == 1


@pytest.mark.parametrize(("data", "code"), [(b"\x00\x01", 1003), ("x" * 5000, 1009)])
async def test_what_is_no_small_text_closes_the_connection(data: bytes | str, code: int) -> None:
    """A binary frame and an oversized one each end the connection with the close code that says so."""
    async with running_stack() as stack, browser(stack.websocket.port) as client:
        await client.send(data)
        with pytest.raises(ConnectionClosed):
            await receive(client, "never")
        assert client.close_code == code


async def test_a_lost_browser_leaves_its_tank_waiting() -> None:
    """When a tab is closed the client is forgotten and the tank waits for its return."""
    async with running_stack() as stack:
        async with browser(stack.websocket.port) as client:
            await client.send(message("join", token=token("ann")).decode())
            await receive(client, "welcome")
        while stack.gateway.clients:
            await asyncio.sleep(0.01)
        assert stack.session.present == ("ann",)


async def test_other_paths_and_plain_requests_are_refused() -> None:
    """Only the one path upgrades; a plain request there is told to, and a broken handshake is refused."""
    async with running_stack() as stack:
        with pytest.raises(InvalidStatus) as caught:
            async with browser(stack.websocket.port, "/elsewhere"):
                pass
        assert caught.value.response.status_code == 404
        for head, status in (
            (b"", b"426"),
            (b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"400"),
            (b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"426"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", stack.websocket.port)
            writer.write(b"GET /ws HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
            assert (await asyncio.wait_for(reader.readline(), PATIENCE_S)).split()[1] == status
            writer.close()
            await writer.wait_closed()


async def test_a_silent_browser_is_closed() -> None:
    """A WebSocket that does not join in time is closed."""
    limits = TransportLimits(join_timeout_s=0.05)
    async with running_stack(limits=limits) as stack, browser(stack.websocket.port) as client:
        with pytest.raises(ConnectionClosed):
            await receive(client, "never")


async def test_browsers_are_bounded() -> None:
    """A WebSocket over the bound is cut off before its handshake, and those before it stay."""
    limits = TransportLimits(max_connections=1)
    async with running_stack(limits=limits) as stack, browser(stack.websocket.port) as client:
        with pytest.raises((InvalidMessage, OSError)):
            async with browser(stack.websocket.port):
                pass
        assert stack.websocket.upgrade.refused == 1
        await client.send(message("join", token=token("ann")).decode())
        await receive(client, "welcome")


async def test_a_stuck_browser_loses_snapshots_and_then_the_connection() -> None:
    """Behind a tab that takes nothing, snapshots are dropped and at last the connection is cut."""
    limits = TransportLimits(soft_buffer_bytes=4096, send_buffer_bytes=4096, stall_timeout_s=0.05)
    async with running_stack(limits=limits) as stack, browser(stack.websocket.port) as client:
        await client.send(message("join", token=token("ann")).decode())
        await receive(client, "welcome")
        client.transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(PATIENCE_S):
            while stack.gateway.clients:
                stack.tick(50)
                await asyncio.sleep(0.001)
        assert stack.gateway.stats.snapshots_dropped > 0
        client.transport.abort()  # type: ignore[attr-defined]
