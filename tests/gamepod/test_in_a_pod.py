"""What a game server does differently in a pod: a public address, a second life as sidecar, an end that others tell."""

from __future__ import annotations

import json

import pytest

from core import keys
from core.clock import now_ms
from core.model import Ready, Server
from tests.gamepod.stage import GAME, Stage
from tests.support import eventually

IMAGE = Server(image="example/game", ready=Ready(when="sdk"))
SIDECAR = {"MUSTER_SIDECAR": "true", "MUSTER_SERVER_ID": "uid-1", "MUSTER_PORTS": "[]"}


@pytest.mark.parametrize(("known", "told"), [("203.0.113.7", "203.0.113.7"), ("", "127.0.0.1"), (None, "127.0.0.1")])
async def test_players_are_told_what_reaches_the_node(stage: Stage, known: str | None, told: str) -> None:
    """The address that the matchmaker found for the node; where it found none, or nothing yet, the node's own."""
    if known is not None:
        await stage.db.do("SET", keys.node("node-1", "127.0.0.1"), known)
    match = await stage.match(Server(arena={}))
    stage.start(match, MUSTER_NODE="node-1")
    assert json.loads((await stage.reached(match, "RUNNING"))["connection"])["address"] == told


async def test_a_sidecar_that_is_started_again_does_not_wait_for_ready(stage: Stage) -> None:
    """The game said Ready to its earlier life: the match plays on, and beats say so."""
    match = await stage.match(IMAGE)
    base = keys.game(GAME)
    await stage.db.call("server_attach", base, match.id, "uid-1", now_ms(), "{}")
    ready = (match.id, "ready", now_ms(), "uid-1", "", '{"address":"127.0.0.1","ports":[]}', now_ms() + 10_000, 0)
    await stage.db.call("match_step", base, *ready)
    stage.start(match, **SIDECAR)

    async def allocated() -> bool:
        return (await stage.found(match)).get("server_state") == "Allocated"

    await eventually(allocated)
    assert (await stage.found(match))["state"] == "RUNNING"


async def test_a_server_whose_end_others_tell(stage: Stage) -> None:
    """Told to stop in the middle of its match it ends cleanly and leaves the match to the launcher, which sees why."""
    match = await stage.match(Server(arena={}))
    pod = stage.start(match, MUSTER_LAUNCHER_TELLS="true")
    await stage.reached(match, "RUNNING")
    pod.process.terminate()
    assert await pod.ended() == 0
    assert (await stage.found(match))["state"] == "RUNNING"
