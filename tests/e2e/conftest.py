"""Fixtures of whole-stack tests: one `muster up` for the tests of a module, with two matchmakers."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.stack import ROOT, Stack, Visit, running_stack

LATE_SERVER = (sys.executable, str(ROOT / "tests" / "e2e" / "late_server.py"))
HELD = "held"  # in a stack's folder; servers of a game that has a file there do not begin


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that the tests of a module share; each test brings its own game. A module says if it KILLS_REDIS."""
    folder = tmp_path_factory.mktemp("stack")
    (folder / HELD).mkdir()
    settings = {
        "MUSTER_MATCHMAKERS": "2",
        "MUSTER_SERVER_COMMAND": shlex.join([*LATE_SERVER, str(folder / HELD)]),
        "MUSTER_VANISHED_S": "600",  # who waits for several commands of the command line gives no sign of life
    }
    forgets = not getattr(request.module, "KILLS_REDIS", False)
    with running_stack(folder, forgets=forgets, **settings) as stack:
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
