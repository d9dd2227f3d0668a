"""The game over UDP, on real sockets."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gamepod.arena import SessionManager
from gamepod.transport.gateway import Gateway
from gamepod.transport.limits import TransportLimits
from gamepod.transport.udp import UdpServer
from tests.support import PATIENCE_S
from tests.unit.arena.kit import MATCH, OPEN_FIELD, Clock, authenticate, message, running_stack, token, udp_client


class FakeSocket:
    """Records what the server sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, object]] = []

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 1)

    def sendto(self, data: bytes, address: object) -> None:
        self.sent.append((data, address))


async def test_a_join_is_challenged_and_then_welcomed() -> None:
    """A join without a cookie gets a challenge no longer than itself; with the cookie it is granted."""
    async with running_stack() as stack, udp_client(stack.udp.port) as client:
        size = client.send("join", token=token("ann"))
        challenge = await client.inbox.get()
        assert len(challenge) <= size
        assert stack.session.present == ()
        welcome = await client.join("ann")
        assert (welcome["player"], welcome["match"]) == ("ann", MATCH)
        full = await client.receive("snapshot")
        assert full["full"]


async def test_a_game_is_played_over_udp() -> None:
    """Inputs are acknowledged in snapshots, repeated inputs are taken once, and a ping comes back."""
    async with running_stack() as stack, udp_client(stack.udp.port) as client:
        await client.join("ann")
        await client.receive("snapshot")
        commands = [{"type": "move", "throttle": 1}, {"type": "move", "throttle": 1, "aim": 90}]
        client.send("input", seq=1, commands=commands[:1])
        client.send("input", seq=1, commands=commands)
        client.send("ping", t=3)
        await client.receive("pong")
        stack.tick()
        snapshot = await client.receive("snapshot")
        assert (snapshot["ack"], snapshot["accepted"]) == (2, 2)
        assert snapshot["changed"][0][4] == 90
        client.send("leave")
        while stack.session.present:
            await asyncio.sleep(0.01)


async def test_a_big_world_comes_in_small_datagrams() -> None:
    """A snapshot of a hundred tanks is split into datagrams below the bound, and every tank is in one."""
    told_all = dataclasses.replace(OPEN_FIELD, interest_m=0.0)
    async with running_stack(told_all) as stack, udp_client(stack.udp.port) as client:
        for number in range(99):
            stack.manager.join(MATCH, f"bot-{number}", f"A Bot With a Name {number}", "", 0)
        await client.join("ann")
        slots: set[int] = set()
        while len(slots) < 100:
            data = await asyncio.wait_for(client.inbox.get(), PATIENCE_S)
            assert len(data) <= stack.gateway.limits.max_datagram_bytes
            client.inbox.put_nowait(data)
            slots |= {row[0] for row in (await client.receive("snapshot")).get("changed", [])}


async def test_a_bad_token_is_refused_within_the_requests_length() -> None:
    """A refused join is answered by its code, in no more bytes than it had."""
    async with running_stack() as stack, udp_client(stack.udp.port) as client:
        text = "forged " + "x" * 60
        client.send("join", token=text)
        challenge = await client.receive("challenge")
        size = client.send("join", token=text, cookie=challenge["cookie"])
        reply = await asyncio.wait_for(client.inbox.get(), PATIENCE_S)
        assert b'"bad-token"' in reply
        assert len(reply) <= size
        assert stack.gateway.clients == 0


async def test_a_reconnect_from_elsewhere_replaces() -> None:
    """A join from a new address takes the player over; the old address is told and then is a stranger."""
    async with (
        running_stack() as stack,
        udp_client(stack.udp.port) as old,
        udp_client(stack.udp.port) as new,
    ):
        await old.join("ann")
        await new.join("ann")
        assert (await old.receive("error"))["code"] == "replaced"
        old.send("ping", t=1)
        new.send("ping", t=2)
        assert (await new.receive("pong"))["t"] == 2
        assert stack.gateway.clients == 1
        assert stack.gateway.stats.strangers == 1


async def test_a_join_may_come_again_from_the_same_address() -> None:
    """A client whose welcome was lost joins again, is proven again, and is welcomed again."""
    async with running_stack() as stack, udp_client(stack.udp.port) as client:
        await client.join("ann")
        await client.join("ann")
        assert (stack.gateway.clients, stack.gateway.stats.replaced) == (1, 0)


async def test_a_port_that_is_taken_is_an_error() -> None:
    """Two servers cannot have one port: the second raises instead of serving nobody."""
    from gamepod.transport.udp import serve_udp

    async with running_stack() as stack:
        with pytest.raises(OSError, match="in use"):
            await serve_udp(stack.gateway, "127.0.0.1", stack.udp.port)


def bare_server(limits: TransportLimits | None = None) -> tuple[UdpServer, FakeSocket]:
    """A server whose datagrams are handed in by the test."""
    sock = FakeSocket()
    gateway = Gateway(SessionManager(), authenticate, Clock(), limits)
    return UdpServer(gateway, sock), sock  # type: ignore[arg-type]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=200)
    | st.text(max_size=300).map(lambda text: message("join", token=text))
    | st.text(max_size=64).map(lambda text: message("join", token="t", cookie=text))
)
async def test_a_stranger_never_gets_more_than_it_sent(data: bytes) -> None:
    """Whatever a stranger sends, nothing raises, nothing is remembered, and the answer is never longer."""
    server, sock = bare_server()
    server.datagram_received(data, ("10.0.0.1", 5))
    assert sum(len(reply) for reply, _ in sock.sent) <= len(data)
    assert not server._links
    assert len(server._joins) == 0


async def test_a_flood_from_strangers_fills_no_table() -> None:
    """Joins from a thousand addresses are challenged without one entry in memory; garbage gets no answer."""
    server, sock = bare_server()
    for number in range(1000):
        server.datagram_received(message("join", token=token("ann")), (f"10.0.{number % 250}.1", number))
        server.datagram_received(b"\x00" * 500, ("10.1.0.1", number))
        server.datagram_received(message("ping", t=1), ("10.2.0.1", number))
    assert len(sock.sent) == 1000
    assert not server._links
    assert len(server._joins) == 0
    assert server.gateway.stats.strangers == 2000


async def test_proven_joins_are_limited_per_address() -> None:
    """Joins with a good cookie are limited per address, since checking a token is dear."""
    server, sock = bare_server(TransportLimits(join_burst=3.0))
    request = message("join", token=token("ann", "no-such-match"))
    server.datagram_received(request, ("10.0.0.1", 5))
    cookie = sock.sent.pop()[0].split(b'"cookie":"')[1][:32].decode()
    proven = message("join", token=token("ann", "no-such-match"), cookie=cookie)
    for _ in range(10):
        server.datagram_received(proven, ("10.0.0.1", 5))
    assert len(sock.sent) == 3
    assert server.stats.joins_limited == 7


async def test_a_full_socket_drops_a_datagram() -> None:
    """What the socket cannot take now is dropped and counted, not queued."""
    server, sock = bare_server()

    def full(data: bytes, address: object) -> None:
        raise BlockingIOError

    sock.sendto = full  # type: ignore[method-assign]
    assert not server.transmit(b"x", ("10.0.0.1", 5))
    server.error_received(ConnectionRefusedError())
    assert server.stats.send_failed == 2
