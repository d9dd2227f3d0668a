"""Whole matches in pods, with a real matchmaker and real players on the real cluster."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from core.model import Port, Ready, Server
from tests.duel import join, throw
from tests.kube.ground import GAME, SMALL, Ground, image_server, spec
from tests.matchmaker.support import match, over, queue, register
from tests.support import eventually

pytestmark = pytest.mark.slow

LIMIT_S = 6  # from the first player on: the second has to come within it
SHIFUMI = (Path(__file__).parents[2] / "examples" / "shifumi" / "server.py").read_text()


@pytest.mark.parametrize("network", ["host_port", "host_network", "none"])
async def test_a_match_of_the_arena_by_udp(ground: Ground, network: str) -> None:
    """Two players play in a pod over UDP and TCP, on each kind of network; the result is told, and the pod is gone."""
    ground.start(MUSTER_KUBE_NETWORK=network)
    await register(ground.db, GAME, spec(Server(arena={"time_limit_s": LIMIT_S}, resources=SMALL)))
    ticket = await queue(ground.db, GAME, players=2)
    name, connection = await ground.running(ticket)
    status = ground.pods()[name]["status"]
    assert connection["address"] == (status["podIP"] if network == "none" else ground.cluster.address)
    assert (status["podIP"] == status["hostIP"]) is (network == "host_network")
    found = await match(ground.db, GAME, name)
    tokens = [ground.token(name, found["doc"], seat) for seat in range(2)]
    results = await asyncio.gather(join("udp", connection, tokens[0]), join("tcp", connection, tokens[1]))
    assert results[0] == results[1]
    ended = await over(ground.db, GAME, name)
    assert (ended["state"], ended["reason"]) == ("ENDED", "finished")
    assert len(json.loads(ended["result"])["players"]) == 2
    await ground.gone()


@pytest.mark.parametrize("network", ["host_port", "host_network", "none"])
async def test_a_game_in_an_image_of_its_own(ground: Ground, network: str) -> None:
    """A stranger's game and the sidecar share a pod: port open is ready, exit code 0 is over, and no secret is near."""
    ground.start(MUSTER_KUBE_NETWORK=network)
    server = image_server(
        ground.image, SHIFUMI, "{port}", "0.0.0.0", ports=[Port("game", "tcp")], ready=Ready(when="port")
    )
    await register(ground.db, GAME, spec(server))
    ticket = await queue(ground.db, GAME, players=2)
    name, connection = await ground.running(ticket)
    (game,) = ground.pods()[name]["spec"]["containers"]
    assert not {"REDIS_URL", "MUSTER_JOIN_KEY"} & {variable["name"] for variable in game["env"]}
    assert sorted(await asyncio.gather(throw(connection, b"RR"), throw(connection, b"SS"))) == [b"LL", b"WW"]
    ended = await over(ground.db, GAME, name)
    assert (ended["state"], ended["reason"]) == ("ENDED", "exited")
    assert json.loads(ended["result"]) == {"exit_code": 0}
    await ground.gone()


async def test_a_game_that_is_ready_after_its_line(ground: Ground) -> None:
    """The matchmaker reads the pod's log, which it may; the sidecar, which may nothing, says Ready by it."""
    ground.start()
    code = "import time; print('soon', flush=True); time.sleep(1); print('up on 7777', flush=True); time.sleep(600)"
    await register(ground.db, GAME, spec(image_server(ground.image, code, ready=Ready(when="log", line="up on *7"))))
    name, _ = await ground.running(await queue(ground.db, GAME, players=2))
    found = await match(ground.db, GAME, name)
    assert int(found["attached_ms"]) < int(found["said_ms"]) <= int(found["ready_ms"])


async def test_a_game_that_speaks_the_sdk(ground: Ground) -> None:
    """A game says Ready and, later, Shutdown to its sidecar; its pod goes though the game would stay."""
    ground.start()
    code = (
        "import json, os, time, urllib.request as u\n"
        "at = 'http://127.0.0.1:' + os.environ['AGONES_SDK_HTTP_PORT']\n"
        "say = lambda path: u.urlopen(u.Request(at + path, b'{}', {'Content-Type': 'application/json'}))\n"
        "say('/ready')\n"
        "while json.load(u.urlopen(at + '/gameserver'))['status']['state'] != 'Allocated': time.sleep(0.1)\n"
        "say('/shutdown')\n"
        "time.sleep(600)\n"
    )
    await register(ground.db, GAME, spec(image_server(ground.image, code, ready=Ready(when="sdk"))))
    ticket = await queue(ground.db, GAME, players=2)
    name, _ = await ground.running(ticket)
    assert (await over(ground.db, GAME, name))["reason"] == "exited"
    await ground.gone()


async def test_a_killed_matchmaker_leaves_no_orphan(ground: Ground) -> None:
    """After kill -9 the next matchmaker knows the pods: live matches go on, the pod of one that is over is ended."""
    ground.start()
    await register(ground.db, GAME, spec(Server(arena={"time_limit_s": 300}, resources=SMALL)))
    tickets = [await queue(ground.db, GAME, players=2) for _ in range(2)]
    (first, _), (second, _) = [await ground.running(ticket) for ticket in tickets]
    ground.matchmakers.processes[0].kill()
    ground.matchmakers.processes[0].wait()
    await ground.db.call("match_step", f"muster:{{{GAME}}}", first, "finish", 0, "", "stopped", "", 0, 0)
    ground.start()
    await ground.gone(first)
    assert list(ground.pods()) == [second]
    assert (await match(ground.db, GAME, second))["state"] == "RUNNING"

    async def seen() -> bool:
        return "servers" in str(await ground.db.do("HGETALL", "muster:servers"))

    await eventually(seen)
