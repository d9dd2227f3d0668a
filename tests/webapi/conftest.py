"""A webapi on an empty database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.webapi.support import Api, open_api


@pytest.fixture
async def api(redis_url: str) -> AsyncIterator[Api]:
    """A webapi in this process."""
    async with open_api(redis_url) as running:
        yield running
