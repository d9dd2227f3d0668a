"""Areas and rates over real sockets: the same over UDP, TCP and WebSocket."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.arena.kit import MATCH, OPEN_FIELD, Stack, line_client, message, running_stack, token, udp_client
from tests.unit.arena.test_websocket import browser, receive

RULES = dataclasses.replace(OPEN_FIELD, tick_rate_hz=20, interest_m=24.0, shot_range_m=24.0)
Send = Callable[[bytes], Awaitable[None]]
Receive = Callable[[str], Awaitable[dict[str, Any]]]


@asynccontextmanager
async def joined(kind: str, stack: Stack) -> AsyncIterator[tuple[Send, Receive]]:
    """Ann's client: how it sends a message, and receives the next one of a type."""
    if kind == "udp":
        async with udp_client(stack.udp.port) as udp:

            async def send_datagram(data: bytes) -> None:
                udp.transport.sendto(data)

            await udp.join("ann")
            yield send_datagram, udp.receive
    elif kind == "tcp":
        async with line_client(stack.tcp.port) as tcp:

            async def send_line(data: bytes) -> None:
                tcp.writer.write(data + b"\n")

            tcp.send("join", token=token("ann"))
            await tcp.receive("welcome")
            yield send_line, tcp.receive
    else:
        async with browser(stack.websocket.port) as websocket:

            async def send_frame(data: bytes) -> None:
                await websocket.send(data.decode())

            async def receive_frame(kind: str) -> dict[str, Any]:
                return await receive(websocket, kind)

            await send_frame(message("join", token=token("ann")))
            await receive_frame("welcome")
            yield send_frame, receive_frame


@pytest.mark.parametrize("kind", ["udp", "tcp", "ws"])
async def test_a_client_is_told_of_its_area_at_its_rate(kind: str) -> None:
    """A tank out of sight is `removed` and on the radar; a rate that is asked for is kept, one that is none refused."""
    async with running_stack(RULES) as stack, joined(kind, stack) as (send, receive_next):
        stack.manager.join(MATCH, "bob", "Bob", "", 0)
        ann, bob = (stack.session._world.tanks[slot] for slot in (0, 1))
        ann.x, ann.y, bob.x, bob.y = 10.0, 10.0, 20.0, 10.0

        async def told(name: str) -> Any:
            """What is told next in one of the lists."""
            for _ in range(100):
                stack.tick()
                if found := (await receive_next("snapshot")).get(name):
                    return found
            raise AssertionError(f"no {name}")

        await receive_next("snapshot")  # the full one: Bob was not there
        while 1 not in [row[0] for row in await told("changed")]:
            pass
        bob.x, bob.y = 200.0, 150.0
        while 1 not in await told("removed"):
            pass
        while [1, 200, 150] not in await told("far"):
            pass
        await send(message("rate", hz=0))
        assert (await receive_next("error"))["code"] == "bad-message"
        await send(message("rate", hz=7))
        await send(message("ping", t=1))
        await receive_next("pong")
        before = stack.session.tick
        stack.tick(12)
        ticks = [await receive_next("snapshot") for _ in range(4)]
        late = [(one["tick"], one["every"]) for one in ticks if one["tick"] > before]
        assert late[0][1] == 3
        assert [tick - late[0][0] for tick, _ in late] == [3 * number for number in range(len(late))]
