"""A stage for each test: an empty Valkey, and no game server left over at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.redis.client import Database
from tests.gamepod.stage import Stage


@pytest.fixture
def stage(db: Database, redis_url: str, tmp_path: Path) -> Iterator[Stage]:
    """A stage on the shared Valkey."""
    made = Stage(db, redis_url, tmp_path)
    yield made
    made.close()
