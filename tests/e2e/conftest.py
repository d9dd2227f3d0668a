"""Fixtures of whole-stack tests: one `muster up` for the tests of a module, with two matchmakers."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.stack import ROOT, Stack, Visit, running_stack

LATE_SERVER = f"{sys.executable} {ROOT / 'tests' / 'e2e' / 'late_server.py'}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that the tests of a module share; each test brings its own game."""
    folder = tmp_path_factory.mktemp("stack")
    with running_stack(folder, MUSTER_MATCHMAKERS="2", MUSTER_SERVER_COMMAND=LATE_SERVER) as stack:
        yield stack


@pytest.fixture
async def here(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Visit]:
    """The shared stack's API, Redis and processes."""
    async with stack.visit() as visit:
        failed_before = request.session.testsfailed
        yield visit
        if request.session.testsfailed > failed_before:
            print(stack.logs())


@pytest.fixture
def game_id() -> str:
    """A game id that no other test has."""
    return f"g-{os.urandom(4).hex()}"
