"""Whole matches in containers, with a real matchmaker, a real daemon and real players."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from core import keys
from core.model import Limits, Port, Ready, Resources, Server, SupplySpec, WarmSpec
from tests.docker.ground import GAME, Ground, spec
from tests.docker.rig import TAG
from tests.duel import join, nudge, throw
from tests.e2e.test_cards import EXAMPLE, draw
from tests.matchmaker.support import match, over, queue, register, status, ticket
from tests.support import eventually
from tests.told_game import NUDGED, SOURCE

LIMIT_S = 6  # from the first player on: the second has to come within it


async def test_a_match_of_the_arena_on_two_transports(ground: Ground) -> None:
    """Two players play in a container over UDP and TCP; the result is told, and the container is gone after it."""
    ground.start()
    await register(ground.db, GAME, spec(Server(arena={"time_limit_s": LIMIT_S})))
    one = await queue(ground.db, GAME, players=2)
    name, connection = await ground.running(one)
    assert connection["address"] == ground.dockerd.address
    tokens = [await ground.token(name, seat) for seat in range(2)]
    results = await asyncio.gather(join("udp", connection, tokens[0]), join("tcp", connection, tokens[1]))
    assert results[0] == results[1]
    ended = await over(ground.db, GAME, name)
    assert (ended["state"], ended["reason"]) == ("ENDED", "finished")
    assert len(json.loads(ended["result"])["players"]) == 2
    await ground.gone()


async def test_a_game_in_an_image_of_its_own(ground: Ground) -> None:
    """The example's image and the sidecar share a network: port open is ready, exit 0 is over, no secret is near."""
    ground.start()
    server = Server(image=f"example/shifumi:{TAG}", ports=[Port("game", "tcp", 7777)], ready=Ready(when="port"))
    await register(ground.db, GAME, spec(server))
    one = await queue(ground.db, GAME, players=2)
    name, connection = await ground.running(one)
    game = ground.client.containers.get(f"{name}-game")
    assert not {"REDIS_URL", "MUSTER_JOIN_KEY"} & {line.partition("=")[0] for line in game.attrs["Config"]["Env"]}
    assert sorted(await asyncio.gather(throw(connection, b"RR"), throw(connection, b"SS"))) == [b"LL", b"WW"]
    ended = await over(ground.db, GAME, name)
    assert (ended["state"], ended["reason"]) == ("ENDED", "exited")
    assert json.loads(ended["result"]) == {"exit_code": 0}
    await ground.gone()


async def test_a_game_that_asks_its_sdk_before_all_else(ground: Ground, program_image: Callable[[str], str]) -> None:
    """The sidecar listens before the game starts: a game that calls it once, at once, is heard."""
    ground.start()
    code = (
        "import os, time, urllib.request as u; "
        "at = 'http://127.0.0.1:' + os.environ['AGONES_SDK_HTTP_PORT']; "
        "u.urlopen(u.Request(at + '/ready', b'{}', {'Content-Type': 'application/json'})); time.sleep(600)"
    )
    await register(ground.db, GAME, spec(Server(image=program_image(code)), limits=Limits(tries=1)))
    await ground.running(await queue(ground.db, GAME, players=2))


async def test_a_killed_container_puts_its_players_back(ground: Ground) -> None:
    """Players whose container is killed are matched again with their wait kept, until their tries are used up."""
    ground.start()
    await register(ground.db, GAME, spec(Server(arena={"time_limit_s": 300})))
    one = await queue(ground.db, GAME, players=2, waited_s=3)
    since = (await ticket(ground.db, GAME, one))["since_ms"]
    first, _ = await ground.running(one)
    ground.client.containers.get(first).kill()
    assert (await over(ground.db, GAME, first))["reason"] == "server_lost"

    async def again() -> str:
        found = await ticket(ground.db, GAME, one)
        return found["match"] if found["state"] == "COMPLETED" and found["match"] != first else ""

    second = await eventually(again, within_s=120)
    assert (await ticket(ground.db, GAME, one))["since_ms"] == since
    ground.client.containers.get(second).kill()
    assert (await status(ground.db, GAME, one, "FAILED"))["reason"] == "server_lost"
    await ground.gone()


async def test_a_game_that_takes_too_much_memory(ground: Ground, program_image: Callable[[str], str]) -> None:
    """A game over its limit of memory is ended alone, and its developer reads why."""
    ground.start()
    image = program_image("hog = [bytearray(1 << 20) for _ in range(200)]")
    server = Server(image=image, ready=Ready(when="delay"), resources=Resources(memory_mib=48))
    await register(ground.db, GAME, spec(server, limits=Limits(tries=1)))
    one = await queue(ground.db, GAME, players=2)
    found = await status(ground.db, GAME, one, "FAILED", within_s=120)
    ended = await match(ground.db, GAME, found["match"])
    assert "memory" in json.loads(ended["result"])["detail"]
    await ground.gone()


async def test_an_image_that_is_not_there(ground: Ground) -> None:
    """A game whose image is missing fails its tickets as launch_failed, and the match says which image."""
    ground.start()
    await register(ground.db, GAME, spec(Server(image="nobody/has-this:1"), limits=Limits(tries=1)))
    one = await queue(ground.db, GAME, players=2)
    failed = await status(ground.db, GAME, one, "FAILED", within_s=120)
    assert failed["reason"] == "launch_failed"
    ended = await match(ground.db, GAME, failed["match"])
    assert "nobody/has-this:1" in json.loads(ended["result"])["detail"]


async def test_a_killed_matchmaker_leaves_no_orphan(ground: Ground) -> None:
    """After kill -9 the next matchmaker knows the containers: a live match goes on, one that is over loses its own."""
    ground.start()
    await register(ground.db, GAME, spec(Server(arena={"time_limit_s": 300})))
    tickets = [await queue(ground.db, GAME, players=2) for _ in range(2)]
    (first, _), (second, _) = [await ground.running(one) for one in tickets]
    ground.kill_matchmaker()
    # Paused, it cannot hear by itself that its match is over.
    ground.client.containers.get(first).pause()
    await ground.db.call("match_step", f"muster:{{{GAME}}}", first, "finish", 0, "", "stopped", "", 0, 0)
    ground.start()
    await ground.gone(first)
    assert [container.name for container in ground.containers()] == [second]
    assert (await match(ground.db, GAME, second))["state"] == "RUNNING"
    await ground.db.do("DEL", f"muster:{{{GAME}}}:match:{second}")
    await ground.gone()


async def test_matchmakers_killed_while_servers_start(ground: Ground) -> None:
    """Killed again and again in the middle of starts, matchmakers leave one server for each match and none besides."""
    chance = random.Random(7)
    await register(ground.db, GAME, spec(Server(arena={"time_limit_s": 300}), limits=Limits(tries=5)))
    tickets: list[str] = []
    for _ in range(4):
        ground.start(MUSTER_LEASE_S="0.6")
        tickets += [await queue(ground.db, GAME, players=2) for _ in range(2)]
        await asyncio.sleep(chance.uniform(1.0, 2.5))
        ground.kill_matchmaker()
    ground.start()
    matches = [(await ground.running(one))[0] for one in tickets]
    assert len(set(matches)) == len(tickets)

    async def one_each() -> bool:
        return sorted(str(container.name) for container in ground.containers()) == sorted(matches)

    await eventually(one_each, within_s=120)


async def test_a_game_that_waits_for_its_match(ground: Ground, program_image: Callable[[str], str]) -> None:
    """Containers that are there before their match: it takes them, and the game's watch tells of match and roster."""
    ground.start()
    supply = SupplySpec(warm=WarmSpec(servers=1))
    server = Server(image=program_image(SOURCE))
    await register(ground.db, GAME, spec(server, limits=Limits(tries=1), supply=supply))

    async def waits() -> str:
        found = await ground.db.do("ZRANGE", f"{keys.game(GAME)}:standbys", 0, -1)
        state = await ground.db.do("HGET", keys.standby(GAME, found[0]), "state") if len(found) == 1 else ""
        return str(found[0]) if state == "Ready" else ""

    name = await eventually(waits, within_s=120)
    assert {c.name for c in ground.containers(name)} == {name, f"{name}-game"}
    made, _ = await ground.running(await queue(ground.db, GAME, players=2))
    assert (await match(ground.db, GAME, made))["standby"] == name
    ended = await over(ground.db, GAME, made)
    assert (ended["reason"], json.loads(ended["result"])) == ("exited", {"exit_code": 0})
    await ground.gone(name)


async def test_a_game_that_is_ready_after_its_line(ground: Ground, program_image: Callable[[str], str]) -> None:
    """The daemon keeps what the game writes; the launcher sees the line in it, and the sidecar says Ready by it."""
    ground.start()
    code = "import time; print('soon'); time.sleep(1); print('listening on 7777', flush=True); time.sleep(600)"
    server = Server(image=program_image(code), ready=Ready(when="log", line="listening on *7"))
    await register(ground.db, GAME, spec(server, limits=Limits(tries=1)))
    name, _ = await ground.running(await queue(ground.db, GAME, players=2))
    found = await match(ground.db, GAME, name)
    assert int(found["said_ms"]) <= int(found["ready_ms"])
    assert int(found["said_ms"]) >= int(found["attached_ms"]) + 900


async def test_a_binary_alone_in_an_image(ground: Ground, tmp_path: Path) -> None:
    """The example in C, static, from scratch: no shell and no library beside it, ready by its line, played over UDP."""
    ground.start()
    recipe, source = EXAMPLE / "Dockerfile", EXAMPLE / "server.c"
    subprocess.run(["cc", "-static", "-O2", "-o", str(tmp_path / "server"), str(source)], check=True)
    shutil.copy(recipe, tmp_path)
    ground.client.images.build(path=str(tmp_path), tag=f"example/cards:{TAG}", rm=True)
    wanted = json.loads((EXAMPLE / "image.json").read_text())["server"] | {"image": f"example/cards:{TAG}"}
    await register(ground.db, GAME, spec(msgspec.convert(wanted, Server), limits=Limits(tries=1)))
    name, connection = await ground.running(await queue(ground.db, GAME, players=2))
    one, two = await asyncio.gather(draw(connection), draw(connection))
    assert (one[1], one[2]) == (two[2], two[1])
    ended = await over(ground.db, GAME, name)
    assert (ended["reason"], json.loads(ended["result"])) == ("exited", {"exit_code": 0})
    await ground.gone()


async def test_the_exit_code_of_an_image_is_kept(ground: Ground, program_image: Callable[[str], str]) -> None:
    """A game that ends badly: its code and its last lines are in the match's result."""
    ground.start()
    code = f"{NUDGED}print('no more tanks', flush=True); raise SystemExit(7)"
    ports = [Port("game", "tcp")]
    server = Server(image=program_image(code), args=["{port}"], ports=ports, ready=Ready(when="port"))
    await register(ground.db, GAME, spec(server, limits=Limits(tries=1)))
    name, connection = await ground.running(await queue(ground.db, GAME, players=2))
    await nudge(connection)
    ended = await over(ground.db, GAME, name)
    assert ended["reason"] == "crashed"
    assert json.loads(ended["result"])["exit_code"] == 7
    assert "no more tanks" in json.loads(ended["result"])["output"]
