"""Events from Redis to Apache Kafka and RabbitMQ: how many a second, how late; and what they cost those who play.

How many: logs that are full already, one carrier, until the broker has acknowledged all. How late: a steady stream,
from when something happened to the broker's acknowledgement. The cost is CPU of what a match and an interaction go
through (game server, webapi, matchmaker, Redis, which serves the carrier too), with a carrier to Kafka and without one,
in turns; the carrier and the broker have machines of their own where that matters, and are not in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final

import orjson
import psutil
import uvloop
from prometheus_client import CollectorRegistry

from bench.harness import Report, Stack, percentile, say, stack
from bench.load import load, request
from bench.players import guests, register
from core import keys
from core.clock import now_ms
from core.interactions import Attack, Happening, Interaction, Move, pack
from core.redis.client import Arg, Database, function_call, open_database
from core.redis.lean import LeanRedis
from core.redis.logreader import LogReader
from core.sinks.catalogue import Message
from core.sinks.kafka import Kafka
from core.sinks.metrics import Metrics
from core.sinks.outlet import Outlet
from core.sinks.rabbitmq import RabbitMQ
from core.sinks.ship import INSTALLATION, Shipper
from gamepod.flush import Flusher
from gamepod.settings import Settings
from tests.sinks.brokers import kafka, rabbitmq

GAME: Final = "events"
MATCHES: Final = 32
ROWS: Final = 500  # interactions of a batch
FULL: Final = {"kafka": 200_000, "rabbitmq": 20_000}  # events
STEADY: Final = {"kafka": 5000, "rabbitmq": 1000}  # events a second
STEADY_S: Final = 8.0
TURNS: Final = 5  # with a carrier and without one, each
TICKETS: Final = 2000  # of a turn
PACED: Final = 20_000  # interactions a second, of a turn
PACED_S: Final = 3.0
AFTER_S: Final = 1.0  # of a turn, for what is carried last
WITHIN_S: Final = 120.0
PLAY: Final = {"id": "bench", "players_per_match": 2, "server": {"arena": {}}, "limits": {"servers": 10_000}}


def _rows(match: str, first: int, count: int) -> list[Interaction]:
    at_ms = now_ms()
    return [
        Attack(f"{match}-{n}", at_ms, f"p{n % 50}", f"p{n % 49}", 5.0) if n % 10 == 0
        else Move(f"{match}-{n}", at_ms, f"p{n % 50}", 48.2, 16.3)
        for n in range(first, first + count)
    ]  # fmt: skip


def _append(match: str, number: int, rows: int) -> tuple[Arg, ...]:
    payload = pack(_rows(match, number * rows, rows))
    return function_call("log_append", keys.shard(GAME, match), match, number, rows, payload, 100_000)


class Timed:
    """An outlet that keeps how old each event was when the broker had acknowledged it, s."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet, self.name = outlet, outlet.name
        self.count, self.ages = 0, list[float]()

    async def open(self) -> None:
        await self._outlet.open()

    async def send(self, messages: Sequence[Message]) -> None:
        await self._outlet.send(messages)
        self.count += len(messages)
        now = time.time()
        self.ages += [now - orjson.loads(one.body)["at_ms"] / 1000 for one in messages[:: max(1, len(messages) // 50)]]

    async def close(self) -> None:
        await self._outlet.close()


@asynccontextmanager
async def _shipping(db: Database, outlet: Outlet) -> AsyncIterator[Timed]:
    timed, stop = Timed(outlet), asyncio.Event()
    shipper = Shipper(db, timed, "bench", 5.0, Metrics(CollectorRegistry()))
    async with asyncio.TaskGroup() as group:
        group.create_task(shipper.run(stop))
        try:
            yield timed
        finally:
            stop.set()


async def _until(timed: Timed, count: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while timed.count < count:
            await asyncio.sleep(0.01)


async def _speed(report: Report, db: Database, outlet: Outlet) -> None:
    """How many, and how late."""
    name, total = outlet.name, FULL[outlet.name]
    numbers = {f"{name}-{n}": 0 for n in range(MATCHES)}

    async def append(events: int, rows: int) -> None:
        calls = []
        for i in range(events // rows):
            match = f"{name}-{i % MATCHES}"
            numbers[match] += 1
            calls.append(_append(match, numbers[match], rows))
        await db.do_many(calls)

    say(f"{name}: {total} events that wait")
    await append(total, ROWS)
    cpu, started = time.process_time(), time.monotonic()
    async with _shipping(db, outlet) as timed:
        await _until(timed, total)
        took, spent = time.monotonic() - started, time.process_time() - cpu
        report.figure(f"{name}: events a second, one carrier", total / took, "events/s")
        report.figure(f"{name}: events a CPU second of the carrier", total / spent, "events/s")
        say(f"{name}: {STEADY[name]} events/s for {STEADY_S:g} s")
        timed.ages.clear()
        steady, started = 0, time.monotonic()
        while time.monotonic() < started + STEADY_S:
            await append(STEADY[name] // 20, STEADY[name] // 100)  # 50 ms, as a flush
            steady += STEADY[name] // 20
            await asyncio.sleep(max(0.0, started + steady / STEADY[name] - time.monotonic()))
        await _until(timed, total + steady)
    for share in (0.5, 0.99):
        age = percentile(timed.ages, share)
        report.figure(f"{name}: happened -> acknowledged at {STEADY[name]}/s, p{share * 100:g}", age, "s")


class Carrier:
    """The program, to be there and not to be there."""

    def __init__(self, services: Stack, db: Database, brokers: str) -> None:
        self._services, self._db, self._brokers = services, db, brokers
        self._process: subprocess.Popen[bytes] | None = None
        self._games = (INSTALLATION, GAME, PLAY["id"])

    async def come(self) -> None:
        self._process = self._services.start(
            "carrier", "-m", "core.sinks", KAFKA_BOOTSTRAP_SERVERS=self._brokers, MUSTER_SINKS_METRICS_PORT="0"
        )
        await self.through()

    async def through(self) -> None:
        """Wait until it has carried all that there is."""
        async with asyncio.timeout(WITHIN_S):
            while await self._behind():
                await asyncio.sleep(0.2)

    async def _behind(self) -> bool:
        for game in self._games:
            bases = LogReader(self._db, str(game), "kafka", facts=True)._bases()
            commands = [("XREVRANGE", f"{base}:log", "+", "-", "COUNT", 1) for base in bases]
            newest = await self._db.do_many(commands)
            readers = await self._db.do_many([("HGET", f"{base}:readers", "kafka") for base in bases])
            for rows, reader in zip(newest, readers, strict=True):
                if reader is None or (rows and orjson.loads(reader)["at"] != rows[0][0]):
                    return True
        return False

    async def go(self) -> None:
        """It ends, and nothing is kept for it: as where no broker is set."""
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait)
            self._process = None
            del self._services.processes["carrier"]
        for game in self._games:
            await LogReader(self._db, str(game), "kafka", facts=True).leave()


class Play:
    """Interactions through a game server's own write-behind, paced."""

    def __init__(self, url: str) -> None:
        self._redis = LeanRedis(url)
        self._matches = [f"paced-{n}" for n in range(8)]
        self._flushers = []
        for match in self._matches:
            settings = Settings(game=GAME, match=match, join_key="none")
            self._flushers.append(Flusher(self._redis, settings, move_ttl_s=30))
        self._first = 0

    async def turn(self, *, beside: bool = True) -> int:
        """Play for a while; how many interactions. With each twentieth a shot that hits nobody, unless not `beside`."""
        count, started = 0, time.monotonic()
        rows = PACED // len(self._flushers) // 60
        shots = [Happening("tank_shot", n, now_ms(), "p1", {"target": "", "aim": 1.5, "length_m": 9.25})
                 for n in range(0, rows, 20)]  # fmt: skip
        while count < PACED * PACED_S:
            for match, flusher in zip(self._matches, self._flushers, strict=True):
                flusher.add(_rows(match, self._first, rows), shots if beside else ())
            self._first += rows
            count += rows * len(self._flushers)
            await asyncio.sleep(max(0.0, started + count / PACED - time.monotonic()))
        while not all(flusher.empty for flusher in self._flushers):
            await asyncio.sleep(0.05)
        return count

    async def run(self) -> None:
        await asyncio.gather(*(flusher.run() for flusher in self._flushers))


def _cpu_s(services: Stack) -> float:
    """Of all but the carrier, this process among them."""
    spent = services.cpu_s()
    return sum(psutil.Process().cpu_times()[:2]) + sum(used for name, used in spent.items() if name != "carrier")


async def _tickets(services: Stack, db: Database, tokens: list[str]) -> int:
    """Tickets through REST, the matchmaker, and a launcher that is ready at once."""
    stats = f"{keys.game('bench')}:stats"
    done = int(await db.do("HGET", stats, "tickets_placed") or 0)
    body = {"game": "bench"}
    await load(services.port, lambda i: request("POST", "/v1/tickets", token=tokens[i], body=body), len(tokens))
    async with asyncio.timeout(WITHIN_S):
        while int(await db.do("HGET", stats, "tickets_placed") or 0) < done + len(tokens):
            await asyncio.sleep(0.02)
    return len(tokens)


async def _cost(report: Report, services: Stack, brokers: str) -> None:
    """In turns: with a carrier, and without one."""
    await register(services.port, PLAY)
    async with open_database(services.env["REDIS_URL"]) as db:
        await db.do("SADD", keys.GAMES, GAME)
        carrier, play = Carrier(services, db, brokers), Play(services.env["REDIS_URL"])
        playing = asyncio.create_task(play.run())
        spent: dict[tuple[str, bool], list[float]] = {}
        for turn in range(-1, 2 * TURNS):
            on = turn > 0 and turn % 2 == 1
            tokens = await guests(services.port, TICKETS)
            await (carrier.come() if on else carrier.go())
            say(f"turn {turn}: {'with' if on else 'without'} a carrier")
            for name in ("interaction", "ticket", *(() if on else ("interaction alone",))):
                before = _cpu_s(services)
                if name == "ticket":
                    count = await _tickets(services, db, tokens)
                else:
                    count = await play.turn(beside=name == "interaction")
                await asyncio.sleep(AFTER_S)
                if turn >= 0:
                    spent.setdefault((name, on), []).append((_cpu_s(services) - before) / count * 1e6)
            if on:
                await carrier.through()
        await carrier.go()
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await playing
    for name in ("interaction", "ticket"):
        off, with_one = median(spent[name, False]), median(spent[name, True])
        report.figure(f"CPU per {name} without a carrier", off, "us")
        report.figure(f"CPU per {name} with one", with_one, "us")
        report.figure(f"cost of a carrier per {name}", (with_one / off - 1) * 100, "%", at_most=2)
    alone, beside = median(spent["interaction alone", False]), median(spent["interaction", False])
    report.figure("cost of a shot in 20 interactions, per interaction", (beside / alone - 1) * 100, "%")


async def _speeds(report: Report, url: str, outlet: Outlet) -> None:
    async with open_database(url) as db:
        await db.do("FLUSHALL")
        await db.do("SADD", keys.GAMES, GAME)
        await _speed(report, db, outlet)


def main(report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="muster-brokers-") as folder:
        there = Path(folder)
        for name in ("kafka", "rabbitmq"):
            (there / name).mkdir()
        with rabbitmq(there / "rabbitmq") as broker, stack() as services:
            outlet = RabbitMQ(f"amqp://guest:guest@{broker.address}/")
            uvloop.run(_speeds(report, services.redis.url, outlet))
        with kafka(there / "kafka") as broker, stack() as services:
            uvloop.run(_speeds(report, services.redis.url, Kafka(broker.address)))
            services.webapi()
            services.start("matchmaker", "-m", "matchmaker", MUSTER_LAUNCHER="instant")
            uvloop.run(_cost(report, services, broker.address))
