"""The game over TCP lines, on real sockets."""

from __future__ import annotations

import asyncio

from gamepod.transport.limits import TransportLimits
from tests.support import PATIENCE_S
from tests.unit.arena.kit import MATCH, line_client, message, running_stack, token


async def test_a_game_is_played_over_lines() -> None:
    """Join, input, snapshot and leave work as lines, also when they come in pieces or many at once."""
    async with running_stack() as stack, line_client(stack.tcp.port) as client:
        client.send("join", token=token("ann"))
        assert (await client.receive())["type"] == "welcome"
        assert (await client.receive())["full"]
        line = message("input", seq=1, commands=[{"type": "move", "throttle": 1}]) + b"\r\n"
        client.writer.write(line[:20])
        await asyncio.sleep(0.01)
        client.writer.write(line[20:] + message("ping", t=1) + b"\n" + message("ping", t=2) + b"\n")
        assert [(await client.receive("pong"))["t"] for _ in range(2)] == [1, 2]
        stack.tick()
        assert (await client.receive("snapshot"))["accepted"] == 1
        client.send("leave")
        assert await client.ended()
        assert stack.session.present == ()


async def test_a_foreign_token_is_told() -> None:
    """A token of another match is refused with its code, and a good one may follow."""
    async with running_stack() as stack, line_client(stack.tcp.port) as client:
        client.send("join", token=token("ann", "elsewhere"))
        assert (await client.receive("error"))["code"] == "unknown-match"
        client.send("join", token=token("ann"))
        assert (await client.receive("welcome"))["match"] == MATCH


async def test_a_line_without_end_is_cut_off() -> None:
    """A line beyond the bound is answered with an error, and the connection ends."""
    async with running_stack() as stack, line_client(stack.tcp.port) as client:
        client.writer.write(b"x" * (stack.gateway.limits.max_message_bytes + 1))
        assert (await client.receive("error"))["code"] == "too-long"
        assert await client.ended()


async def test_silent_strangers_are_closed() -> None:
    """A connection that does not join in time is closed."""
    limits = TransportLimits(join_timeout_s=0.05)
    async with running_stack(limits=limits) as stack, line_client(stack.tcp.port) as client:
        assert await client.ended()


async def test_a_player_is_not_closed_by_the_join_deadline() -> None:
    """A connection that joined in time outlives the deadline."""
    limits = TransportLimits(join_timeout_s=0.5)
    async with running_stack(limits=limits) as stack, line_client(stack.tcp.port) as client:
        client.send("join", token=token("ann"))
        await client.receive("welcome")
        await asyncio.sleep(0.7)
        client.send("ping", t=1)
        assert (await client.receive("pong"))["t"] == 1


async def test_connections_are_bounded() -> None:
    """A connection over the bound is closed at once, and those before it stay."""
    limits = TransportLimits(max_connections=1)
    async with running_stack(limits=limits) as stack, line_client(stack.tcp.port) as first:
        first.send("join", token=token("ann"))
        await first.receive("welcome")
        async with line_client(stack.tcp.port) as second:
            assert await second.ended()
        assert stack.tcp.refused == 1
        assert stack.gateway.clients == 1


async def test_a_flood_ends_the_connection() -> None:
    """A joined client that floods is told and closed, and another one goes on playing."""
    limits = TransportLimits(message_burst=20.0)
    async with (
        running_stack(limits=limits) as stack,
        line_client(stack.tcp.port) as flooder,
        line_client(stack.tcp.port) as other,
    ):
        for client, player in ((flooder, "ann"), (other, "bob")):
            client.send("join", token=token(player))
            await client.receive("welcome")
        flooder.writer.write((message("ping", t=1) + b"\n") * 1000)
        assert (await flooder.receive("error"))["code"] == "rate-limited"
        other.send("ping", t=1)
        assert (await other.receive("pong"))["t"] == 1


async def test_a_slow_reader_loses_snapshots_and_then_the_connection() -> None:
    """Behind a reader that takes nothing memory stays bounded: snapshots are dropped, then it is cut off."""
    limits = TransportLimits(soft_buffer_bytes=4096, send_buffer_bytes=4096, stall_timeout_s=0.05)
    async with running_stack(limits=limits) as stack, line_client(stack.tcp.port) as client:
        for number in range(99):
            stack.manager.join(MATCH, f"bot-{number}", "Bot", "", 0)
        client.send("join", token=token("ann"))
        await client.receive("welcome")
        client.writer.transport.pause_reading()
        (link,) = stack.tcp.links
        async with asyncio.timeout(PATIENCE_S):
            while link in stack.tcp.links:
                for tank in stack.session._world.tanks.values():
                    tank.x = tank.x % 100.0 + 1.0
                stack.tick(10)
                waiting = link._writer._transport.get_write_buffer_size()
                assert waiting <= limits.soft_buffer_bytes + 20_000
                await asyncio.sleep(0.001)
        assert stack.gateway.stats.snapshots_dropped > 0
        assert stack.gateway.clients == 0
        assert "ann" in stack.session.present


async def test_answers_that_pile_up_end_the_connection() -> None:
    """A reader that takes nothing while it asks for answers is cut off at the hard bound."""
    limits = TransportLimits(hard_buffer_bytes=4096, send_buffer_bytes=4096, messages_per_second=1e9, message_burst=1e9)
    async with running_stack(limits=limits) as stack, line_client(stack.tcp.port) as client:
        client.send("join", token=token("ann"))
        await client.receive("welcome")
        client.writer.transport.pause_reading()
        async with asyncio.timeout(PATIENCE_S):
            while stack.tcp.links and not client.writer.is_closing():
                client.writer.write((message("ping", t=123456.789) + b"\n") * 500)
                await asyncio.sleep(0.001)
        while stack.tcp.links:
            await asyncio.sleep(0.001)
        assert stack.gateway.clients == 0
