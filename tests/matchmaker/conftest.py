"""Real matchmaker processes on a real Valkey."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.matchmaker.support import Matchmakers, matchmakers


@pytest.fixture
def stack(redis_url: str, tmp_path: Path) -> Iterator[Matchmakers]:
    """Matchmakers of one installation; none is started yet."""
    with matchmakers(redis_url, tmp_path) as made:
        yield made
