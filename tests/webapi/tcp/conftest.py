"""The auth listener, on the event loop that webapi runs on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.webapi.tcp.door import Door, open_door


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each asynchronous test of this folder on uvloop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def door(redis_url: str) -> AsyncIterator[Door]:
    """A webapi with both doors."""
    async with open_door(redis_url) as running:
        yield running
