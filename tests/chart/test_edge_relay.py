"""A player's WebSocket through a real Nginx with the rendered configuration, and through webapi, to a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from core.redis.client import Database
from tests.chart.local_edge import EDGE, Places, nginx
from tests.chart.rendered import Render
from tests.chart.test_edge import configuration
from tests.webapi.relay.ground import Ground, closed
from tests.webapi.support import open_api


async def test_a_match_is_reached_through_the_edge(
    rendered: Render, redis_url: str, db: Database, tmp_path: Path
) -> None:
    """A WebSocket and a TCP port through both proxies; the game learns the player's address, and a restart is told."""
    async with open_api(redis_url, trusted_proxies=1) as api:
        ground = Ground(api, db)
        await ground.open()
        assert api.client.port is not None
        places = Places(webapi=api.client.port)
        ground.front = f"{EDGE}:{places.http}"
        try:
            with nginx(configuration(rendered, *places.options()), places, tmp_path):
                async with asyncio.timeout(60), ground.enter() as client, ground.enter("?port=raw") as raw:
                    await client.send("through both")
                    assert await client.recv() == "through both"
                    await raw.send(b"bytes")
                    assert await raw.recv() == b"bytes"
                    assert ground.headers[0]["X-Forwarded-For"] == "127.0.0.1"
                    api.services.relay.close()
                    assert await closed(client) == (1012, "service restart")
                    assert await closed(raw) == (1012, "service restart")
        finally:
            await ground.close()
