"""What goes wrong with servers, as the match and its tickets tell it."""

from __future__ import annotations

import json

import pytest

from core.model import Limits, Ready, Resources, Server, Timers
from tests.kube.ground import GAME, SMALL, Document, Ground, image_server, spec
from tests.matchmaker.support import match, over, queue, register, status, ticket

pytestmark = pytest.mark.slow


async def failed(ground: Ground, server: Server, *, start_s: float = 30.0) -> tuple[Document, Document]:
    """The last match of a ticket that had two and FAILED, and its result."""
    ground.start()
    timers = Timers(start_s=start_s, drain_s=1)
    await register(ground.db, GAME, spec(server, timers=timers, limits=Limits(tries=2)))
    name = await queue(ground.db, GAME, players=2)
    told = await status(ground.db, GAME, name, "FAILED", within_s=90.0)
    assert told["tries"] == "2"
    found = await match(ground.db, GAME, told["match"])
    await ground.gone()
    return found, json.loads(found["result"])


async def test_an_image_that_is_missing(ground: Ground) -> None:
    """The match failed to launch, and the developer reads which image and why."""
    found, result = await failed(ground, Server(image="missing.example/game:1", resources=SMALL))
    assert found["reason"] == "launch_failed"
    assert "missing.example/game:1" in result["detail"]


async def test_a_game_that_dies_early(ground: Ground) -> None:
    """The developer reads the exit code and the last lines."""
    server = image_server(ground.image, "print('no map'); raise SystemExit(3)", ready=Ready(when="sdk"))
    found, result = await failed(ground, server)
    assert found["reason"] == "died_early"
    assert result == {"detail": "the game exited with code 3", "output": ["no map"]}


async def test_a_server_that_no_node_takes(ground: Ground) -> None:
    """The scheduler's reason is told when the start timer is over."""
    server = Server(arena={}, resources=Resources(cpu=4, memory_mib=4096))
    found, result = await failed(ground, server, start_s=12.0)
    assert found["reason"] == "never_ready"
    assert "Insufficient" in result["detail"]


async def test_a_game_that_crashes_in_play(ground: Ground) -> None:
    """Its players go back to the queue with their wait, and get another match."""
    ground.start()
    code = "import time; time.sleep(6); print('bang', flush=True); raise SystemExit(9)"
    server = image_server(ground.image, code, ready=Ready(when="delay", delay_s=0.1))
    await register(ground.db, GAME, spec(server, limits=Limits(tries=3)))
    name = await queue(ground.db, GAME, players=2)
    since = (await ticket(ground.db, GAME, name))["since_ms"]
    first, _ = await ground.running(name)
    crashed = await over(ground.db, GAME, first, within_s=40.0)
    assert (crashed["state"], crashed["reason"]) == ("FAILED", "crashed")
    assert json.loads(crashed["result"]) == {"detail": "the game exited with code 9", "output": ["bang"]}
    await status(ground.db, GAME, name, "COMPLETED", within_s=40.0)
    again = await ticket(ground.db, GAME, name)
    assert again["match"] != first
    assert again["since_ms"] == since
