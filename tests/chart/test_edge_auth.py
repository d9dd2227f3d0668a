"""Accounts over TCP through the edge: a real Nginx with the rendered configuration, and a real webapi behind it.

What limits an address has to limit the player's, though all connections come from the edge.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from structlog.testing import capture_logs

from tests.chart.local_edge import EDGE, Places, nginx
from tests.chart.rendered import Render
from tests.chart.test_edge import configuration
from tests.chart.test_edge_traffic import ADA, ANSWER_S, GRACE
from tests.webapi.support import PASSWORD, open_api
from webapi.lines import listening_lines

ACCOUNT = {"name": "Ada", "password": PASSWORD}


class Client:
    """A player's connection to the edge."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, kind: str, first: bytes = b"", **fields: Any) -> dict[str, Any] | None:
        """The answer to a request, before which `first` is said; None where the connection is closed instead."""
        self._writer.write(first + msgspec.json.encode({"type": kind, **fields}) + b"\n")
        try:
            return msgspec.json.decode(await self._reader.readline() or b"null", type=dict[str, Any] | None)
        except ConnectionResetError:
            return None


@asynccontextmanager
async def edge(render: Render, redis_url: str, folder: Path, *limits: str, **settings: Any) -> AsyncIterator[Places]:
    """An edge with these limits in front of a webapi with these settings."""
    places = Places()
    async with AsyncExitStack() as stack:
        given = {"auth_port": places.listener, "trusted_proxies": 1, **settings}
        api = await stack.enter_async_context(open_api(redis_url, **given))
        await stack.enter_async_context(listening_lines(api.services))
        stack.enter_context(nginx(configuration(render, *places.options(*limits)), places, folder))
        await stack.enter_async_context(asyncio.timeout(ANSWER_S))
        yield places


@asynccontextmanager
async def player(places: Places, address: str) -> AsyncIterator[Client]:
    """A connection from this address."""
    reader, writer = await asyncio.open_connection(EDGE, places.auth, local_addr=(address, 0))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def test_players_register_and_log_in_through_the_edge(rendered: Render, redis_url: str, tmp_path: Path) -> None:
    """And webapi sees each player's own address, not the edge's."""
    async with edge(rendered, redis_url, tmp_path) as places:
        with capture_logs() as lines:
            async with player(places, ADA) as ada, player(places, GRACE) as grace:
                made = await ada.ask("register", **ACCOUNT, id=1)
                entered = await grace.ask("login", **ACCOUNT, id=2)
        assert made is not None
        assert entered is not None
        assert (made["ok"], made["id"], entered["ok"], entered["id"]) == (True, 1, True, 2)
        assert made["player"] == entered["player"]
        events = [(line["event"], line["address"], line["via"]) for line in lines if line.get("part") == "audit"]
        assert events == [("user_registered", ADA, "tcp"), ("user_logged_in", GRACE, "tcp")]


async def test_a_guesser_is_locked_out_alone(rendered: Render, redis_url: str, tmp_path: Path) -> None:
    """Failures count for the address that they come from; a line of the PROXY protocol of his own does not help him."""
    async with edge(rendered, redis_url, tmp_path, login_tries_address=2) as places:
        async with player(places, GRACE) as grace, player(places, ADA) as ada:
            assert await grace.ask("register", **ACCOUNT)
            codes = [
                (await ada.ask("login", name=f"nobody{i}", password="a guess") or {}).get("code") for i in range(3)
            ]
            assert codes == ["wrong-credentials", "wrong-credentials", "locked-out"]
            assert (await grace.ask("login", **ACCOUNT) or {})["ok"] is True
        async with player(places, ADA) as again:
            forged = f"PROXY TCP4 192.0.2.1 {EDGE} 40000 {places.auth}\r\n".encode()
            assert (await again.ask("login", forged, **ACCOUNT) or {})["code"] == "proxy-not-trusted"
        async with player(places, ADA) as again:
            assert (await again.ask("login", **ACCOUNT) or {})["code"] == "locked-out"


async def test_connections_of_an_address_are_limited_at_the_edge(
    rendered: Render, redis_url: str, tmp_path: Path
) -> None:
    """One too many is closed there and reaches webapi not at all; webapi's own limit is told by webapi."""
    async with (
        edge(rendered, redis_url, tmp_path, "authConnections=2", auth_connections_address=1) as places,
        player(places, ADA) as first,
    ):
        assert await first.ask("register", **ACCOUNT)
        async with player(places, ADA) as second:
            assert (await second.ask("login", **ACCOUNT) or {})["code"] == "too-many-connections"
        async with player(places, GRACE) as other:
            assert (await other.ask("login", **ACCOUNT) or {})["ok"] is True
    async with (
        edge(rendered, redis_url, tmp_path, "authConnections=1") as places,
        player(places, ADA) as first,
        player(places, GRACE) as other,
    ):
        assert (await first.ask("login", **ACCOUNT) or {})["ok"] is True
        async with player(places, ADA) as second:
            assert await second.ask("login", **ACCOUNT) is None
        assert (await other.ask("login", **ACCOUNT) or {})["ok"] is True
