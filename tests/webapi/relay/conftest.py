"""A match whose server the test plays, on both event loops: what is relayed is handed from protocol to protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack

import pytest
import uvloop

from core.redis.client import Database
from tests.webapi.relay.ground import OPEN_S, Ground, Open
from tests.webapi.support import open_api


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of the library, and the one that services run on."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def open_ground(redis_url: str, db: Database) -> AsyncIterator[Open]:
    """Opens a `Ground` with these settings of webapi."""
    async with AsyncExitStack() as stack:

        async def open_one(**settings: object) -> Ground:
            # The servers are on this loop too: where it is held up, so are their handshakes.
            api = await stack.enter_async_context(open_api(redis_url, **{"relay_connect_s": OPEN_S, **settings}))
            ground = Ground(api, db)
            stack.push_async_callback(ground.close)
            await ground.open()
            return ground

        yield open_one
