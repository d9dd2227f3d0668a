"""A server process that is there before its match: it waits, is allocated, and then is that match's server like any."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest

from core import keys
from core.clock import now_ms
from core.model import Ready, Server
from tests.gamepod.sdk.side import call
from tests.gamepod.stage import GAME, Stage, TcpPlayer
from tests.gamepod.test_command_match import gone, pid_of
from tests.gamepod.test_sidecar_match import IDLE, send, watch_line
from tests.support import eventually

ARENA = Server(arena={"tick_rate_hz": 30})
SDK_GAME = Server(command=IDLE, ready=Ready("sdk"))


@asynccontextmanager
async def watching(port: int) -> AsyncIterator[asyncio.StreamReader]:
    """The sidecar's stream of documents."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /watch/gameserver HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader
    finally:
        writer.close()


async def document_in(reader: asyncio.StreamReader, state: str) -> Any:
    """The first document told in that state."""
    while (document := await watch_line(reader))["status"]["state"] != state:
        assert document["status"]["state"] in ("Scheduled", "RequestReady", "Ready")
    return document


async def test_the_arena_waits_and_then_plays_its_match(stage: Stage) -> None:
    """Allocated, it opens the match with its roster; a player joins with a token under the server's own key."""
    waits = await stage.standby(ARENA)
    pod = stage.start(waits)
    assert (await stage.waits(waits, "Ready"))["server"]
    match = await stage.match(ARENA)
    found = await stage.reached(match, "RUNNING")
    assert (found["standby"], (await stage.waits(waits, "Allocated"))["match"]) == (waits.id, match.id)
    player = await TcpPlayer.join(match, found, stage.token(match, server=waits.id))
    for _ in range(20):
        player.drive()
        await asyncio.sleep(0.02)

    async def in_the_log() -> bool:
        return bool(await stage.logged(match))

    await eventually(in_the_log)  # under the match's own name, numbered from 1
    await player.close()
    pod.process.send_signal(signal.SIGTERM)
    assert (await stage.reached(match, "ENDED"))["reason"] == "stopped"
    assert await pod.ended() == 0


async def test_a_token_under_another_key_is_refused(stage: Stage) -> None:
    """The key of a server that was there before is its own: one made of the match's id opens nothing."""
    waits = await stage.standby(ARENA)
    stage.start(waits)
    await stage.waits(waits, "Ready")
    match = await stage.match(ARENA)
    player = await TcpPlayer.join(match, await stage.reached(match, "RUNNING"), stage.token(match))
    assert player.errors == ["join-forged"]
    await player.close()


async def test_a_game_with_an_sdk_is_told_of_its_match_by_watch(stage: Stage) -> None:
    """Ready without a match, then Allocated with match id, roster and settings; its environment named no match."""
    waits = await stage.standby(SDK_GAME)
    pod = stage.start(waits)
    pid = await pid_of(pod)
    assert "MUSTER_MATCH" not in psutil.Process(pid).environ()
    port = int((await pod.said("attached"))["sdk_port"])
    async with watching(port) as reader:
        first = await document_in(reader, "Scheduled")
        assert "muster.dev/match" not in first["object_meta"]["labels"]
        assert await send(port, "/ready", {}) == (200, {})
        idle = await document_in(reader, "Ready")
        assert "muster.dev/roster" not in idle["object_meta"]["annotations"]
        await stage.waits(waits, "Ready")
        assert (await call(port, "POST", "/muster/v1/report", b"{}"))[0] >= 400  # there is nothing to tell of
        match = await stage.match(SDK_GAME)
        told = (await document_in(reader, "Allocated"))["object_meta"]
    assert told["name"] == waits.id
    assert told["labels"]["muster.dev/match"] == match.id
    roster = json.loads(told["annotations"]["muster.dev/roster"])
    assert [seat["id"] for seat in roster] == [seat.id for seat in match.players]
    assert told["labels"]["muster.dev/version"] == "1"
    assert json.loads(told["annotations"]["muster.dev/settings"])["timers"]["join_s"] == match.timers.join_s
    await stage.reached(match, "RUNNING")
    assert await stage.tickets(match) == {"COMPLETED"}
    assert await send(port, "/shutdown", {}) == (200, {})
    assert (await stage.reached(match, "ENDED"))["reason"] == "exited"
    await gone(pid)


async def test_taken_while_it_starts(stage: Stage) -> None:
    """A match takes a server that is not ready yet: its players are told once it is."""
    waits = await stage.standby(SDK_GAME)
    pod = stage.start(waits)
    port = int((await pod.said("attached"))["sdk_port"])
    match = await stage.match(SDK_GAME)
    assert (await stage.found(match))["state"] == "PLACING"
    assert await send(port, "/ready", {}) == (200, {})
    await stage.reached(match, "RUNNING")
    assert (await stage.waits(waits, "Allocated"))["match"] == match.id


async def test_a_lost_ring_is_made_good(stage: Stage) -> None:
    """The match that was pushed to the server is lost: the next beat tells it all the same."""
    waits = await stage.standby(ARENA)
    pod = stage.start(waits)
    await stage.waits(waits, "Ready")
    pod.process.send_signal(signal.SIGSTOP)
    match = await stage.match(ARENA)
    await stage.db.do("DEL", f"{keys.game(GAME)}:bell:{waits.id}")
    pod.process.send_signal(signal.SIGCONT)
    await stage.reached(match, "RUNNING")


@pytest.mark.parametrize("state", ["Starting", "Ready"])
async def test_one_that_is_told_to_end_gives_its_place_up(stage: Stage, state: str) -> None:
    """SIGTERM before there is a match: no match can take the place any more, and nothing is left running."""
    waits = await stage.standby(SDK_GAME if state == "Starting" else ARENA)
    pod = stage.start(waits)
    await pod.said("attached")
    await stage.waits(waits, state)
    pod.process.send_signal(signal.SIGTERM)
    assert await pod.ended() == 0
    assert (await stage.waits(waits, "Shutdown"))["reason"] == "stopped"


async def test_one_that_nobody_needs_hears_so(stage: Stage) -> None:
    """Ended in Redis, it ends itself at its next beat."""
    waits = await stage.standby(ARENA)
    pod = stage.start(waits)
    await stage.waits(waits, "Ready")
    token = (await stage.db.call("lease_take", keys.game(GAME), "stage", 30_000))[0]
    await stage.db.call("standby_end", keys.game(GAME), waits.id, "", now_ms(), "unneeded", "", token)
    assert await pod.ended() == 3


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_game_that_dies_without_a_match(stage: Stage, when: str) -> None:
    """A game that exits before or after it is ready gives its place up as died_early."""
    sleep = 0 if when == "before" else 0.5
    program = [sys.executable, "-c", f"import time; time.sleep({sleep}); raise SystemExit(7)"]
    ready = Ready("sdk") if when == "before" else Ready("delay", 0)
    waits = await stage.standby(Server(command=program, ready=ready))
    pod = stage.start(waits)
    assert await pod.ended() == 1
    assert (await stage.waits(waits, "Shutdown"))["reason"] == "died_early"


async def test_a_game_that_misbehaves_before_it_has_a_match(stage: Stage) -> None:
    """Ready twice and Allocate of its own accord: it waits in its pool once, and the match that takes it is told so."""
    waits = await stage.standby(SDK_GAME)
    pod = stage.start(waits)
    port = int((await pod.said("attached"))["sdk_port"])
    assert [await send(port, "/ready", {}) for _ in range(2)] == [(200, {})] * 2
    first = await stage.waits(waits, "Ready")
    assert (await send(port, "/ready", {}))[0] == 200
    assert (await send(port, "/allocate", {}))[0] == 200
    assert await stage.db.do("ZCARD", f"{keys.game(GAME)}:standbys") == 1
    assert (await stage.waits(waits, "Ready"))["ready_ms"] == first["ready_ms"]
    match = await stage.match(SDK_GAME)
    await stage.reached(match, "RUNNING")
    document = (await call(port, "GET", "/gameserver"))[1]
    assert document["status"]["state"] == "Allocated"
    assert document["object_meta"]["labels"]["muster.dev/match"] == match.id
    assert await stage.tickets(match) == {"COMPLETED"}


async def test_a_game_that_gives_up_before_it_has_a_match(stage: Stage) -> None:
    """Shutdown in the pool: asked to end, killed if it stays on, and its place is given up."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    waits = await stage.standby(Server(command=[sys.executable, "-c", deaf], ready=Ready("sdk")))
    pod = stage.start(waits)
    port, pid = int((await pod.said("attached"))["sdk_port"]), await pid_of(pod)
    await send(port, "/ready", {})
    await stage.waits(waits, "Ready")
    assert await send(port, "/shutdown", {}) == (200, {})
    assert (await stage.waits(waits, "Shutdown"))["reason"] == "died_early"
    await gone(pid)


async def test_a_second_process_of_a_place_is_turned_away(stage: Stage) -> None:
    """On another host, where no lock is shared: it ends at once, and the first is left alone."""
    waits = await stage.standby(ARENA)
    stage.start(waits)
    await stage.waits(waits, "Ready")
    second = stage.start(waits, MUSTER_RUN_DIR=str(stage.folder / "elsewhere"))
    assert await second.ended() == 3
    match = await stage.match(ARENA)
    await stage.reached(match, "RUNNING")
