"""Delayed commands: accepted and executed a second in packs of 20, beside one write per command in the same run.

10,000 players, 4 workers, the village's rules on a state of 16 buildings. Packs are checked by their form and stored
through the same batching path that webapi uses; REST itself is measured apart, as packs per CPU second of webapi. One
write per command is the same path with packs of one: as durable, as ordered, each command stored, executed and written
for itself. How soon a profile is ready is measured at a third of the load, over the doorbell that webapi listens to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
import psutil
import uvloop

from bench.harness import Report, Stack, percentile, say, stack
from core import keys, packstore
from core.clock import now_ms
from core.commandspec import CommandsSpec
from core.doorbell import Doorbell, open_doorbell
from core.errors import Unavailable
from core.model import Game, GameSpec, Server
from core.packs import NewPack, check_pack
from core.redis.batch import Batch
from core.redis.client import Database, open_database

GAME: Final = "village"
PLAYERS: Final = 10_000
WORKERS: Final = 4
COMMANDS: Final = 20  # of a pack
PACKS: Final = int(os.environ.get("MUSTER_BENCH_PACKS", "50000"))
SINGLES: Final = 20_000  # packs of one command
PLAIN: Final = 20_000  # commands with redis-py alone
UNDER_WAY: Final = 512  # packs at once
SAMPLES: Final = 2000  # profiles waited for
PACED: Final = 800  # packs a second meanwhile
REST_PACKS: Final = 3000
Rates = tuple[float, float, float]  # commands accepted a second, executed a second, executed a CPU second
EXAMPLE: Final = Path(__file__).parent.parent / "examples" / "village"


def _spec() -> CommandsSpec:
    registered = json.loads((EXAMPLE / "game.json").read_text())["commands"]
    houses = {str(cell): {"what": "hut", "ready_ms": 0, "since_ms": 0} for cell in range(16)}
    return msgspec.convert({**registered, "initial": {**registered["initial"], "map": houses}}, CommandsSpec)


def _bodies(packs: int, commands: int) -> Iterator[tuple[str, bytes]]:
    """Players and packs as their clients send them: every player in turn."""
    for number in range(packs):
        at_ms = now_ms()
        given = [{"name": "collect", "at_ms": at_ms, "args": {"cell": i % 16}} for i in range(commands)]
        pack = {"seq": number // PLAYERS + 1, "epoch": 0, "balance": 1, "commands": given}
        yield f"p-{commands}-{number % PLAYERS}", msgspec.json.encode(pack)


class Load:
    """Accepts packs as webapi does."""

    def __init__(self, batch: Batch, bell: Doorbell) -> None:
        self._batch, self._bell, self._spec = batch, bell, _spec()
        self._read = msgspec.json.Decoder(NewPack).decode

    async def accept(self, player: str, body: bytes) -> None:
        pack = self._read(body)
        text, realtime = check_pack(pack, self._spec, now_ms())
        while True:  # as a client does: the same pack again is recognised
            try:
                await packstore.accept(self._batch, GAME, player, pack, text, realtime=realtime)
                break
            except Unavailable:
                await asyncio.sleep(0.1)
        self._bell.ring("commands", [f"{GAME}.{keys.shard_number(player)}"])

    async def all(self, bodies: Iterator[tuple[str, bytes]]) -> None:
        """Every pack, so many at once; those of one player follow each other."""

        async def lane() -> None:
            for player, body in bodies:
                await self.accept(player, body)

        await asyncio.gather(*(lane() for _ in range(UNDER_WAY)))


async def _executed(db: Database) -> int:
    """Packs that are over."""
    commands = [("HMGET", f"{base}:packs-stats", *packstore.STATS) for base in keys.shards(GAME)]
    return sum(int(n or 0) for stats in await db.do_many(commands) for n in stats[1:])


async def _until_executed(db: Database, packs: int) -> None:
    while await _executed(db) < packs:
        await asyncio.sleep(0.02)


async def _run(run: Stack, db: Database, load: Load, packs: int, commands: int) -> Rates:
    """Commands accepted and executed a second, and commands a CPU second of everything."""
    before, cpu, started = await _executed(db), _cpu_s(run), time.monotonic()
    await load.all(_bodies(packs, commands))
    accepted = time.monotonic() - started
    await _until_executed(db, before + packs)
    executed, spent = time.monotonic() - started, _cpu_s(run) - cpu
    total = packs * commands
    say(f"{packs} packs of {commands}: accepted in {accepted:.1f} s, executed in {executed:.1f} s, {spent:.1f} CPU s")
    return total / accepted, total / executed, total / spent


def _cpu_s(run: Stack) -> float:
    """Of Redis, workers with their children, and this process."""
    spent = sum(psutil.Process().cpu_times()[:2])
    for process in (*run.processes.values(), run.redis.process):
        assert process is not None
        for one in (psutil.Process(process.pid), *psutil.Process(process.pid).children()):
            spent += sum(one.cpu_times()[:2])
    return float(spent)


class Readiness:
    """Waits for profiles as webapi does: woken by the doorbell."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}
        self.times: list[float] = []

    def hear(self, _topic: str, players: list[str]) -> None:
        for player in players:
            if player in self._waiting:
                self._waiting[player].set()

    async def wait(self, batch: Batch, player: str) -> None:
        """From the answer to the last pack until the profile is there."""
        started, rung = time.monotonic(), asyncio.Event()
        self._waiting[player] = rung
        while True:
            rung.clear()  # before the look: a ring that comes in its course counts
            if (await packstore.look(batch, GAME, player, profile=True, initial="{}")).state:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await rung.wait()
        self.times.append(time.monotonic() - started)
        del self._waiting[player]


async def _ready(load: Load, batch: Batch, readiness: Readiness) -> None:
    """A steady stream of packs, and of a part of them the time until the profile is ready."""
    waits, started = [], time.monotonic()
    every = 3
    for number, (player, body) in enumerate(_bodies(SAMPLES * every, COMMANDS - 1)):
        await asyncio.sleep(max(0.0, started + number / PACED - time.monotonic()))

        async def one(player: str = player, body: bytes = body, wait: bool = number % every == 0) -> None:
            await load.accept(player, body)
            if wait:
                await readiness.wait(batch, player)

        waits.append(asyncio.create_task(one()))
    await asyncio.gather(*waits)


async def _plain(run: Stack, db: Database) -> tuple[float, float]:
    """Commands a second, and a CPU second, with one GET and one SET of the state each, and nothing else."""
    from examples.village.rules import COMMANDS as FUNCTIONS

    balance = json.loads((EXAMPLE / "balance.json").read_text())
    initial = packstore.initial_text(_spec())
    numbers = iter(range(PLAIN))

    async def lane() -> None:
        for number in numbers:
            key = f"plain:{number % PLAYERS}"
            with contextlib.suppress(Unavailable):  # on a full machine one of them may take too long
                state = msgspec.json.decode(await db.do("GET", key) or initial)
                FUNCTIONS["collect"](state, {"cell": number % 16}, now_ms(), balance)
                await db.do("SET", key, msgspec.json.encode(state))

    cpu, started = _cpu_s(run), time.monotonic()
    await asyncio.gather(*(lane() for _ in range(UNDER_WAY // 8)))
    return PLAIN / (time.monotonic() - started), PLAIN / (_cpu_s(run) - cpu)


async def _rest(run: Stack) -> float:
    """Packs of 20 a CPU second of webapi, over REST."""
    async with aiohttp.ClientSession(run.url) as session:

        async def client() -> None:
            async with session.post("/v1/guests", json={}) as answer:
                guest = await answer.json()
            headers = {"Authorization": f"Bearer {guest['access_token']}"}
            path = f"/v1/games/{GAME}/players/{guest['player']}/packs"
            for seq in range(1, REST_PACKS // 100 + 1):
                commands = [{"name": "collect", "at_ms": now_ms(), "args": {"cell": i % 16}} for i in range(COMMANDS)]
                body = {"seq": seq, "epoch": 0, "balance": 1, "commands": commands}
                async with session.post(path, json=body, headers=headers) as answer:
                    assert answer.status == 202, await answer.text()

        webapi = psutil.Process(run.processes["webapi"].pid)
        before = sum(webapi.cpu_times()[:2])
        await asyncio.gather(*(client() for _ in range(100)))
        return float(REST_PACKS / (sum(webapi.cpu_times()[:2]) - before))


def main(report: Report) -> None:
    """Print accepted and executed commands a second, the ratios, and how soon a profile is ready."""
    with stack() as run:
        packed, singles, plain, times = uvloop.run(_measure(run))
        run.webapi()
        rest = uvloop.run(_rest(run))
    _report(report, packed, singles, plain, times, rest)


async def _measure(run: Stack) -> tuple[Rates, Rates, tuple[float, float], list[float]]:
    async with open_database(run.redis.url) as db:
        game = Game(GAME, "p-dev", 1, 1, 1, GameSpec(Server(arena={}), players_per_match=1, commands=_spec()))
        await db.do("SADD", keys.GAMES, GAME)
        await db.do("SET", keys.registration(GAME), msgspec.json.encode(game))
        await packstore.put_balance(db, GAME, 0, (EXAMPLE / "balance.json").read_bytes())
        modules = {"MUSTER_COMMAND_MODULES": "examples.village.rules"}
        for number in range(WORKERS):
            run.start(f"worker-{number}", "-m", "gamepod", "worker", MUSTER_WORKER_METRICS_PORT="0", **modules)
        readiness = Readiness()
        async with open_doorbell(db, topics=["packs"], heard=readiness.hear) as bell:
            batch = Batch(db)
            load = Load(batch, bell)
            await _warm(db, load)
            packed = await _run(run, db, load, PACKS, COMMANDS)
            singles = await _run(run, db, load, SINGLES, 1)
            await _ready(load, batch, readiness)
        plain = await _plain(run, db)
    return packed, singles, plain, readiness.times


async def _warm(db: Database, load: Load) -> None:
    """Workers have loaded everything, and hear the doorbell."""
    await load.all(_bodies(2000, COMMANDS + 1))
    await _until_executed(db, 2000)
    await asyncio.sleep(2)


def _report(
    report: Report,
    packed: Rates,
    singles: Rates,
    plain: tuple[float, float],
    times: list[float],
    rest: float,
) -> None:
    report.figure("commands accepted", packed[0], "commands/s", at_least=50_000)
    report.figure("commands executed", packed[1], "commands/s", at_least=50_000)
    report.figure("executed, packs of 20 beside one write per command", packed[1] / singles[1], "times", at_least=10)
    report.figure("the same by CPU", packed[2] / singles[2], "times", at_least=10)
    report.figure("commands a CPU second, everything", packed[2], "commands")
    report.figure("one write per command, executed", singles[1], "commands/s")
    report.figure("plain GET and SET per command, no queue", plain[0], "commands/s")
    report.figure("packs of 20 beside that, by CPU", packed[2] / plain[1], "times")
    report.figure("profile ready after the last pack, p50", percentile(times, 0.5) * 1000, "ms")
    report.figure("profile ready after the last pack, p99", percentile(times, 0.99) * 1000, "ms")
    report.figure("packs a CPU second of webapi, over REST", rest, "packs")
