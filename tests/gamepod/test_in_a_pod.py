"""What a game server does differently in a pod: a public address, a second life as sidecar, an end that others tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import astuple

from core import keys
from core.clock import now_ms
from core.model import CounterSpec, ListSpec, Ready, Server
from tests.gamepod.sdk.side import call
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


async def test_a_sidecar_that_is_killed_knows_what_it_was_told(stage: Stage) -> None:
    """kill -9 and a new life: labels, annotations, counters, lists, players and who left are as before, and bounded.

    What happens in either life is in the log, once.
    """
    server = Server(
        image="x", ready=Ready(when="sdk"), counters={"rooms": CounterSpec()}, lists={"maps": ListSpec(capacity=9)}
    )
    match = await stage.match(server)
    one, two = (seat.id for seat in match.players)
    first = stage.start(match, **SIDECAR)
    port = (await first.said("attached"))["sdk_port"]

    async def tell(method: str, path: str, **body: object) -> None:
        assert (await call(port, method, path, json.dumps(body).encode()))[0] == 200

    async def document(of: int) -> dict[str, Any]:
        found = (await call(of, "GET", "/gameserver"))[1]
        meta, status = found["object_meta"], found["status"]
        return {"labels": meta["labels"], "annotations": meta["annotations"], **status}

    await tell("POST", "/ready")
    await stage.reached(match, "RUNNING")
    await tell("PUT", "/metadata/label", key="map", value="mars")
    await tell("PUT", "/metadata/annotation", key="score", value="é" * 1000)
    await tell("PATCH", "/v1beta1/counters/rooms", count="7", capacity="70")
    await tell("POST", "/v1beta1/lists/maps:addValue", value="moon")
    await tell("POST", "/muster/v1/players", joined=[one, two])
    await tell("POST", "/muster/v1/interactions", interactions=[{"player": one, "what": "dig"}])
    await tell("POST", "/muster/v1/players", left=[two])
    before = await document(port)

    async def kept() -> bool:
        written = len(await stage.happened(match)) == 3 and len(await stage.logged(match)) == 1
        return written and f'"left":["{two}"]' in (await stage.found(match)).get("kept", "")

    await eventually(kept)
    first.process.kill()
    await first.ended()
    second = stage.start(match, **SIDECAR)
    port = (await second.said("attached"))["sdk_port"]

    async def allocated() -> bool:
        return bool((await document(port))["state"] == "Allocated")

    await eventually(allocated)
    assert await document(port) == before
    assert (await call(port, "GET", "/muster/v1/match"))[1]["left"] == [two]
    bound = await call(port, "PUT", "/metadata/annotation", json.dumps({"key": "b", "value": "x" * 30_000}).encode())
    assert bound[0] == 200
    for status in (200, 429):  # what was set before the restart counts
        body = json.dumps({"key": f"c{status}", "value": "x" * 32_000}).encode()
        assert (await call(port, "PUT", "/metadata/annotation", body))[0] == status
    await tell("POST", "/muster/v1/interactions", interactions=[{"player": one, "what": "rest"}])
    await tell("POST", "/muster/v1/players", lost=[one])
    await tell("POST", "/muster/v1/players", joined=[one])
    await tell("POST", "/shutdown")
    assert "kept" not in await stage.reached(match, "ENDED")
    assert [astuple(it)[2:] for it in await stage.logged(match)] == [(one, "dig"), (one, "rest")]
    came, left = "player_joined_session", "player_left_session"
    assert await stage.happened(match) == [
        (came, one, "players"), (came, two, "players"), (left, two, "left"),
        (left, one, "disconnected"), (came, one, "players"), (left, one, "match_over"),
    ]  # fmt: skip


async def test_ready_that_redis_lost_is_told_again(stage: Stage) -> None:
    """A fail-over brings back a match from before Ready, even from before it was attached: the next beat mends both."""
    match = await stage.match(Server(arena={}))
    stage.start(match)
    key = keys.match(GAME, match.id)
    connection = (await stage.reached(match, "RUNNING"))["connection"]
    await stage.db.do("HSET", key, "state", "PLACING")
    await stage.db.do("HDEL", key, "connection", "server", "ready_ms")
    for ticket in match.tickets:
        await stage.db.do("HSET", keys.ticket(GAME, ticket), "state", "PLACING")
    found = await stage.reached(match, "RUNNING")
    assert found["connection"] == connection
    assert found["server"]
    assert await stage.tickets(match) == {"COMPLETED"}


async def test_a_beat_takes_no_match_from_another(stage: Stage) -> None:
    """Whose attach was lost has the match again only while nobody else has it."""
    match = await stage.match(Server(arena={}))
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    await stage.db.do("HSET", keys.match(GAME, match.id), "server", "another")
    assert await pod.ended() == 3
    assert (await stage.found(match))["server"] == "another"


async def test_a_server_whose_end_others_tell(stage: Stage) -> None:
    """Told to stop in the middle of its match it ends cleanly and leaves the match to the launcher, which sees why."""
    match = await stage.match(Server(arena={}))
    pod = stage.start(match, MUSTER_LAUNCHER_TELLS="true")
    await stage.reached(match, "RUNNING")
    pod.process.terminate()
    assert await pod.ended() == 0
    assert (await stage.found(match))["state"] == "RUNNING"
