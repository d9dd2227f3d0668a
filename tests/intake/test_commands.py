"""Commands from the broker reach the right match, in order and once, or the dead letters with the reason."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core import keys
from core.redis.client import Database
from tests.intake.outside import COMMANDS, LOAD, Intake, Outside, PlayedServer, running_intake
from tests.sinks.brokers import Broker
from tests.stack import Stack
from tests.support import eventually

pytestmark = pytest.mark.slow

DRIVE = {"type": "move", "throttle": 1.0}
PLAYED = "played"  # a game whose servers the test plays


async def test_what_nobody_can_execute_is_refused(redis: Database, sender: Outside, game_id: str) -> None:
    """Bad forms and places that are not there; nothing of it holds up what follows."""
    match, game = "m-1", {"game": game_id, "player": "p-1"}
    bad = [b"no JSON", b"[]", {"player": "p"}, {**game, "command": DRIVE, "mach": "m"}, {**game, "command": 7}]
    bad += [{"game": "No Game", "player": "p", "command": DRIVE}, {**game, "command": {"type": "x" * 17_000}}]
    for number, body in enumerate(bad):
        await sender.send(COMMANDS, body, f"bad-{number}")
    assert await sender.dead(COMMANDS, len(bad)) == [(f"bad-{n}", "bad-form") for n in range(len(bad))]
    await sender.send(COMMANDS, {**game, "command": DRIVE}, "a")
    await sender.send(COMMANDS, {**game, "match": match, "command": DRIVE}, "b")
    assert dict(await sender.dead(COMMANDS, 2)) == {"a": "unknown-game", "b": "unknown-game"}
    await redis.do("SET", keys.registration(game_id), "{}")
    await sender.send(COMMANDS, {**game, "match": match, "command": DRIVE}, "c")
    assert await sender.dead(COMMANDS) == [("c", "unknown-match")]
    await redis.do("HSET", keys.match(game_id, match), "state", "PLACING")
    await sender.send(COMMANDS, {**game, "match": match, "command": DRIVE}, "d")
    await sender.send(COMMANDS, {**game, "command": DRIVE}, "e")
    assert dict(await sender.dead(COMMANDS, 2)) == {"d": "not-begun", "e": "no-match"}


def said(match: str, player: str, number: int) -> bytes:
    """A numbered command for a played match."""
    return json.dumps({"game": PLAYED, "match": match, "player": player, "command": {"number": number}}).encode()


@pytest.fixture
async def impatient(
    rabbit: Broker, intake: Intake, sender: Outside, stack: Stack, tmp_path: Path
) -> AsyncIterator[Intake]:
    """An intake in place of the one that all share, which soon holds a server for silent."""
    intake.kill()
    try:
        with running_intake(rabbit, stack.redis_url, tmp_path / "impatient.log", answer_s=6.0) as made:
            await made.reads()
            yield made
    finally:
        intake.start()


async def test_a_silent_server_holds_up_only_its_own(redis: Database, impatient: Intake, sender: Outside) -> None:
    """More come for it than the broker hands out at once; others are played on, and each of its own is told why not."""
    silent, lively = PlayedServer(redis, PLAYED, "m-silent"), PlayedServer(redis, PLAYED, "m-lively")
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
        assert (silent.executed, await redis.do("XLEN", f"{silent.base}:inbox:m-silent")) == ([], 0)

        async def settled() -> bool:
            return await impatient.metric("unacked", COMMANDS) == 0

        await eventually(settled)
    finally:
        playing.cancel()


async def test_nothing_is_lost_or_played_twice_whoever_dies(
    redis: Database, rabbit: Broker, intake: Intake, sender: Outside, stack: Stack, tmp_path: Path
) -> None:
    """Under load an intake is killed, the broker, which comes back, and Redis stalls; each player's order holds."""
    servers = [PlayedServer(redis, PLAYED, f"{LOAD}{n}") for n in range(3)]
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

    with running_intake(rabbit, stack.redis_url, tmp_path / "second.log"):
        loading = asyncio.create_task(load())
        await progress(150)
        intake.kill()  # the second takes over
        await progress(150)
        await asyncio.to_thread(rabbit.kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(rabbit.start)
        await progress(150)
        os.kill(stack.pid("redis"), signal.SIGSTOP)
        await asyncio.sleep(2.5)  # longer than a call is waited for
        os.kill(stack.pid("redis"), signal.SIGCONT)
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
    intake.start()
