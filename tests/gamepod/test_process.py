"""A game server as a process: only one a match, and what becomes of the match however the process ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from core import keys
from core.clock import now_ms
from core.model import Match, Ready, Server
from tests.gamepod.stage import GAME, Stage, TcpPlayer

ARENA = Server(arena={})

# Each costs more memory and time, once per match, than it would bring: see `gamepod.slim`.
NEVER_LOADED = {
    "_ssl", "aiohttp", "argon2", "click", "ctypes", "decimal", "importlib.resources", "jwt", "pickle",
    "prometheus_client", "psutil", "redis", "structlog", "tempfile", "websockets", "zipfile",
}  # fmt: skip


async def test_sigterm_ends_the_match_and_tells_players_and_redis(stage: Stage) -> None:
    """Asked to stop, the server tells its players, writes what they did, finishes the match and exits cleanly."""
    match = await stage.match(ARENA, players=1)
    pod = stage.start(match)
    player = await TcpPlayer.join(match, await stage.reached(match, "RUNNING"), stage.token(match))
    await player.drive_for(20)
    accepted = await player.settled()
    pod.process.terminate()
    ended = await stage.reached(match, "ENDED")
    assert ended["reason"] == "stopped"
    assert len(await stage.logged(match)) == accepted == 20
    assert await pod.ended() == 0
    assert player.over
    await player.close()


async def test_a_second_process_on_the_host_is_kept_out_by_the_lock(stage: Stage) -> None:
    """A second process for a match exits with 3 at once, and the first plays on."""
    match = await stage.match(ARENA)
    first = stage.start(match)
    await stage.reached(match, "RUNNING")
    assert await stage.start(match).ended() == 3
    assert first.process.poll() is None


async def test_a_second_process_elsewhere_is_kept_out_by_redis(stage: Stage) -> None:
    """A second process that sees another run folder, as on another host, does not get the match either."""
    match = await stage.match(ARENA)
    stage.start(match)
    await stage.reached(match, "RUNNING")
    second = stage.start(match, MUSTER_RUN_DIR=str(stage.folder / "elsewhere"))
    assert await second.ended() == 3
    assert "foreign" in (await second.said("this match is not ours to run"))["reason"]


async def test_after_sigkill_nobody_takes_the_match_over(stage: Stage) -> None:
    """A killed server leaves no lock, but its match stays its own: what it did in memory is lost."""
    match = await stage.match(ARENA, players=1)
    pod = stage.start(match)
    player = await TcpPlayer.join(match, await stage.reached(match, "RUNNING"), stage.token(match))
    await player.drive_for(20)
    pod.process.kill()
    pod.process.wait()
    assert await stage.start(match).ended() == 3
    assert (await stage.found(match))["state"] == "RUNNING"  # until the matchmaker misses the beats
    logged = await stage.logged(match)
    assert len({one.id for one in logged}) == len(logged) <= 20
    await player.close()


@pytest.mark.parametrize(("event", "reason"), [("fail", "server_lost"), ("finish", "too_long")])
async def test_a_match_that_is_over_ends_its_server(stage: Stage, event: str, reason: str) -> None:
    """When a beat hears that the match is over, the server tells its players, writes what they did, and ends."""
    match = await stage.match(ARENA, players=1)
    pod = stage.start(match)
    player = await TcpPlayer.join(match, await stage.reached(match, "RUNNING"), stage.token(match))
    await player.drive_for(10)
    accepted = await player.settled()
    await stage.db.call("match_step", keys.game(GAME), match.id, event, now_ms(), "", reason, "", 0, 3)
    assert await pod.ended() == 3
    assert (await stage.found(match))["reason"] == reason
    assert len(await stage.logged(match)) == accepted
    await player.close()


async def test_a_match_that_is_gone_is_not_started(stage: Stage) -> None:
    """A server started too late, for a match that is no more, exits with 3 and opens nothing."""
    match = await stage.match(ARENA)
    await stage.db.do("DEL", keys.match(GAME, match.id))
    assert await stage.start(match).ended() == 3


async def test_sigterm_before_ready_sends_the_players_back(stage: Stage) -> None:
    """Stopped before anybody could play, the match fails and its players are in the queue again."""
    match = await stage.match(Server(command=["sleep", "60"]))
    pod = stage.start(match)
    await pod.said("the game's command runs")
    pod.process.terminate()
    assert (await stage.reached(match, "FAILED"))["reason"] == "died_early"
    assert await stage.tickets(match) == {"QUEUED"}
    assert await pod.ended() == 1


async def test_a_wrong_environment_is_named(stage: Stage) -> None:
    """A missing variable and a taken port are told by the name of the setting, with the exit code for it."""
    match = await stage.match(ARENA)
    pod = stage.start(match, MUSTER_JOIN_KEY="")
    assert await pod.ended() == 78
    assert "MUSTER_JOIN_KEY" in pod.log.read_text()
    taken = stage.url.rpartition(":")[2].partition("/")[0]
    pod = stage.start(match, MUSTER_METRICS_PORT=taken)
    assert await pod.ended() == 78
    assert "MUSTER_METRICS_PORT" in pod.log.read_text()


async def test_a_started_server_has_not_loaded_what_it_never_uses(stage: Stage) -> None:
    """After a whole life no module is loaded that would break the promise on memory and start."""
    loaded = await modules_of(stage, await stage.match(ARENA, players=1))
    assert {"uvloop", "gamepod.loop", "zmq", "gamepod.arena"} <= loaded
    assert not loaded & NEVER_LOADED


async def test_a_sidecar_has_not_loaded_the_arena(stage: Stage) -> None:
    """Beside a game of its own there is none to play: a quarter of what a server loads."""
    match = await stage.match(Server(image="example/game", ready=Ready(when="delay", delay_s=0.0)))
    loaded = await modules_of(stage, match, MUSTER_SIDECAR="true", MUSTER_PORTS="[]")
    assert "gamepod.sidecar_game" in loaded
    assert not {name for name in loaded if name.startswith(("gamepod.arena", "core.arena", "core.inventory"))}


async def modules_of(stage: Stage, match: Match, **more: str) -> set[str]:
    """Names of all modules that a server has loaded by the end of its life."""
    program = "import sys, gamepod.__main__ as m; code = m.main(); print(*sorted(sys.modules)); sys.exit(code)"
    env = {
        **os.environ,
        "MUSTER_GAME": GAME,
        "MUSTER_MATCH": match.id,
        "MUSTER_JOIN_KEY": "k",
        "REDIS_URL": stage.url,
        "MUSTER_RUN_DIR": str(stage.folder),
        "MUSTER_SDK_PORT": "0",
        "MUSTER_SDK_GRPC_PORT": "0",
        "MUSTER_METRICS_PORT": "0",
        **more,
    }
    process = subprocess.Popen([sys.executable, "-c", program], env=env, stdout=subprocess.PIPE)
    await stage.reached(match, "RUNNING")
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return set(output.decode().split())
