"""Commands from the broker reach the right match, in order and once, or the dead letters with the reason."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from core import keys
from core.interactions import Move
from core.model import Server
from core.redis.client import Database
from tests.gamepod.stage import GAME, Stage, TcpPlayer
from tests.intake.outside import COMMANDS, Intake, Outside, PlayedServer, running_intake
from tests.sinks.brokers import Broker
from tests.support import eventually

pytestmark = pytest.mark.slow

DRIVE = {"type": "move", "throttle": 1.0}
PLAYED = "played"  # a game whose servers the test plays


async def test_a_players_commands_are_played(stage: Stage, intake: Intake, sender: Outside) -> None:
    """By match or by player alone, in either form; a repeat is not played again; what is wrong is told apart."""
    match = await stage.match(Server(arena={}), players=2)
    stage.start(match)
    found = await stage.reached(match, "RUNNING")
    first, second = match.players[0].id, match.players[1].id
    client = await TcpPlayer.join(match, found, stage.token(match))
    named = {"game": GAME, "match": match.id}
    await sender.send(COMMANDS, {**named, "player": first, "command": DRIVE}, "drive")

    async def drove() -> bool:
        return any(isinstance(one, Move) and one.player == first for one in await stage.logged(match))

    await eventually(drove)
    await sender.send(COMMANDS, {**named, "player": first, "command": DRIVE}, "drive")
    await sender.send(COMMANDS, {"game": GAME, "player": first, "command": "shoot", "aim": 90}, "shoot")
    await sender.send(COMMANDS, {**named, "player": second, "command": DRIVE}, "not joined")
    await sender.send(COMMANDS, {**named, "player": "p-nobody", "command": DRIVE}, "stranger")
    await sender.send(COMMANDS, {**named, "player": first, "command": "fly"}, "unknown command")
    await sender.send(COMMANDS, {**named, "player": first, "command": "move"}, "no throttle")
    dead = dict(await sender.dead(COMMANDS, 4))
    assert dead == {
        "not joined": "not-in-match", "stranger": "not-in-match",
        "unknown command": "bad-form", "no throttle": "bad-form",
    }  # fmt: skip
    told = await stage.db.do("HGETALL", f"{keys.game(GAME)}:inbox:{match.id}:told")
    assert told["drive"] == told["shoot"] == "done"
    assert await intake.metric("executed_total", COMMANDS) == 3
    client.send({"type": "leave"})
    await client.close()
    await stage.reached(match, "ENDED")
    await sender.send(COMMANDS, {**named, "player": first, "command": DRIVE}, "late")
    assert await sender.dead(COMMANDS) == [("late", "match-over")]
    await sender.send(COMMANDS, {"game": GAME, "player": first, "command": DRIVE}, "nowhere")
    assert await sender.dead(COMMANDS) == [("nowhere", "no-match")]


async def test_a_game_of_ones_own_takes_no_commands(stage: Stage, sender: Outside) -> None:
    """Its server says so."""
    program = "import http.server; http.server.HTTPServer(('127.0.0.1', {port}), None).serve_forever()"
    match = await stage.match(Server(command=["python3", "-c", program]), players=1)
    stage.start(match)
    await stage.reached(match, "RUNNING")
    said = {"game": GAME, "match": match.id, "player": match.players[0].id, "command": DRIVE}
    await sender.send(COMMANDS, said, "one")
    assert await sender.dead(COMMANDS) == [("one", "takes-no-commands")]


async def test_what_nobody_can_execute_is_refused(db: Database, sender: Outside) -> None:
    """Bad forms and places that are not there; nothing of it holds up what follows."""
    match, game = "m-1", {"game": PLAYED, "player": "p-1"}
    bad = [b"no JSON", b"[]", {"player": "p"}, {**game, "command": DRIVE, "mach": "m"}, {**game, "command": 7}]
    bad += [{"game": "No Game", "player": "p", "command": DRIVE}, {**game, "command": {"type": "x" * 17_000}}]
    for number, body in enumerate(bad):
        await sender.send(COMMANDS, body, f"bad-{number}")
    assert await sender.dead(COMMANDS, len(bad)) == [(f"bad-{n}", "bad-form") for n in range(len(bad))]
    await sender.send(COMMANDS, {**game, "command": DRIVE}, "a")
    await sender.send(COMMANDS, {**game, "match": match, "command": DRIVE}, "b")
    assert dict(await sender.dead(COMMANDS, 2)) == {"a": "unknown-game", "b": "unknown-game"}
    await db.do("SET", keys.registration(PLAYED), "{}")
    await sender.send(COMMANDS, {**game, "match": match, "command": DRIVE}, "c")
    await db.do("HSET", keys.match(PLAYED, match), "state", "PLACING")
    await sender.send(COMMANDS, {**game, "match": match, "command": DRIVE}, "d")
    assert dict(await sender.dead(COMMANDS, 2)).keys() == {"c", "d"}


def said(match: str, player: str, number: int) -> bytes:
    """A numbered command for a played match."""
    return json.dumps({"game": PLAYED, "match": match, "player": player, "command": {"number": number}}).encode()


async def test_a_silent_server_holds_up_only_its_own(db: Database, intake: Intake, sender: Outside) -> None:
    """More come for it than the broker hands out at once; others are played on, and each of its own is told why not."""
    silent, lively = PlayedServer(db, PLAYED, "m-silent"), PlayedServer(db, PLAYED, "m-lively")
    await silent.begin()
    await lively.begin()
    playing = asyncio.create_task(lively.run())
    try:
        await asyncio.gather(*(sender.send(COMMANDS, said("m-silent", "p", n), f"s{n}") for n in range(600)))
        for number in range(20):
            await sender.send(COMMANDS, said("m-lively", "p", number), f"l{number}")

        async def played() -> bool:
            return len(lively.executed) == 20

        await eventually(played, within_s=60)
        dead = await sender.dead(COMMANDS, 600)
        assert {reason for _, reason in dead} == {"no-answer"}
        assert {id_ for id_, _ in dead} == {f"s{n}" for n in range(600)}
        assert (silent.executed, await db.do("XLEN", f"{silent.base}:inbox:m-silent")) == ([], 0)
        assert await intake.metric("unacked", COMMANDS) in (0, 1)
    finally:
        playing.cancel()


async def test_nothing_is_lost_or_played_twice_whoever_dies(
    db: Database, rabbit: Broker, intake: Intake, sender: Outside, redis_url: str, tmp_path: Path
) -> None:
    """Under load an intake is killed, then the broker, which comes back; each player's order holds."""
    servers = [PlayedServer(db, PLAYED, f"m-{n}") for n in range(3)]
    for server in servers:
        await server.begin()
    playing = [asyncio.create_task(server.run()) for server in servers]
    sent, stop = 0, asyncio.Event()

    async def load() -> None:
        nonlocal sent
        while not stop.is_set():
            for server in servers:
                for player in ("p-1", "p-2"):
                    id_ = f"{server.match}-{player}-{sent}"
                    await sender.send(COMMANDS, said(server.match, player, sent), id_)
            sent += 1
            await asyncio.sleep(0.01)

    def executed() -> int:
        return sum(len(server.executed) for server in servers)

    async def progress(more: int) -> None:
        target = executed() + more

        async def there() -> bool:
            return executed() >= target

        await eventually(there, within_s=90)

    with running_intake(rabbit, redis_url, tmp_path / "second.log"):
        loading = asyncio.create_task(load())
        await progress(150)
        intake.kill()  # the second takes over
        await progress(150)
        await asyncio.to_thread(rabbit.kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(rabbit.start)
        await progress(150)
        stop.set()
        await loading
        total = sent * 6

        async def all_there() -> bool:
            return executed() >= total

        await eventually(all_there, within_s=90)
        for task in playing:
            task.cancel()
        for server in servers:
            server.check(sent * 2)
        assert await sender.get(f"{COMMANDS}.dead") is None
