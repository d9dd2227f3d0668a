"""Events from Redis to Apache Kafka and RabbitMQ: how many a second, how late; and what they cost those who play.

How many: logs that are full already, one carrier, until the broker has acknowledged all. How late: a steady stream,
from when something happened to the broker's acknowledgement. The cost is the time that Redis takes more for a match or
an interaction where events are carried, its serving of the carrier included (`bench.event_cost`), beside the CPU of all
that they go through: game server, webapi, matchmaker, Redis. A carrier and its broker have machines of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import orjson
import psutil
import uvloop
from prometheus_client import CollectorRegistry

from bench.event_cost import Blocks, rows
from bench.harness import Report, Stack, percentile, say, stack
from bench.load import load, request
from bench.players import guests, register, until_over
from core import keys
from core.clock import now_ms
from core.interactions import Happening, pack
from core.redis.client import Arg, Database, function_call, open_database
from core.redis.lean import LeanRedis
from core.sinks.catalogue import Message
from core.sinks.kafka import Kafka
from core.sinks.metrics import Metrics
from core.sinks.outlet import Outlet
from core.sinks.rabbitmq import RabbitMQ
from core.sinks.ship import Shipper
from gamepod.flush import Flusher
from gamepod.settings import Settings
from tests.sinks.brokers import kafka, rabbitmq

GAME: Final = "events"
MATCHES: Final = 32
ROWS: Final = 500  # interactions of a batch
FULL: Final = {"kafka": 100_000, "rabbitmq": 8000}  # events
STEADY: Final = {"kafka": 5000, "rabbitmq": 500}  # events a second
STEADY_S: Final = 6.0
TURNS: Final = 3  # of which the best counts
TICKETS: Final = 1000  # of a turn
PACED: Final = 10_000  # interactions a second, of a turn
PACED_S: Final = 2.0
ALONE: Final = "interaction alone"  # without a shot
BLOCKS: Final = 30  # of each kind, with a carrier and without
WITHIN_S: Final = 30.0  # what is not carried by then is told
PLAY: Final = {"id": "bench", "players_per_match": 2, "server": {"arena": {}}, "limits": {"servers": 10_000}}


def _append(match: str, number: int, size: int) -> tuple[Arg, ...]:
    payload = pack(rows(match, number * size, size))
    return function_call("log_append", keys.shard(GAME, match), match, number, size, payload, 100_000)


class Timed:
    """An outlet that keeps how old each event was when the broker had acknowledged it, s."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet, self.name, self.most = outlet, outlet.name, outlet.most
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


async def _until(timed: Timed, count: int) -> int:
    """Wait until so many are carried, but not for ever; how many are not."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WITHIN_S):
            while timed.count < count:
                await asyncio.sleep(0.01)
    return max(0, count - timed.count)


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
        left = await _until(timed, total)
        took, spent = time.monotonic() - started, time.process_time() - cpu
        report.figure(f"{name}: events a second, one carrier", (total - left) / took, "events/s")
        report.figure(f"{name}: events a CPU second of the carrier", (total - left) / spent, "events/s")
        say(f"{name}: {STEADY[name]} events/s for {STEADY_S:g} s")
        timed.ages.clear()
        steady, started = 0, time.monotonic()
        while time.monotonic() < started + STEADY_S:
            await append(STEADY[name] // 20, STEADY[name] // 100)  # 50 ms, as a flush
            steady += STEADY[name] // 20
            await asyncio.sleep(max(0.0, started + steady / STEADY[name] - time.monotonic()))
        left = await _until(timed, total + steady)
    report.figure(f"{name}: of these, not carried within {WITHIN_S:g} s", left, "events", at_most=0)
    for share in (0.5, 0.99):
        age = percentile(timed.ages, share)
        report.figure(f"{name}: happened -> acknowledged at {STEADY[name]}/s, p{share * 100:g}", age, "s")


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

    async def turn(self, what: str) -> int:
        """Play for a while; how many interactions. With each twentieth a shot that hits nobody, unless `alone`."""
        count, started = 0, time.monotonic()
        size = PACED // len(self._flushers) // 60
        shots = [Happening("tank_shot", n, now_ms(), "p1", {"target": "", "aim": 1.5, "length_m": 9.25})
                 for n in range(0, 0 if what == ALONE else size, 20)]  # fmt: skip
        while count < PACED * PACED_S:
            for match, flusher in zip(self._matches, self._flushers, strict=True):
                flusher.add(rows(match, self._first, size), shots)
            self._first += size
            count += size * len(self._flushers)
            await asyncio.sleep(max(0.0, started + count / PACED - time.monotonic()))
        while not all(flusher.empty for flusher in self._flushers):
            await asyncio.sleep(0.05)
        return count

    async def run(self) -> None:
        await asyncio.gather(*(flusher.run() for flusher in self._flushers))


def _cpu_s(services: Stack, *, own: bool) -> float:
    """Of all services but the carrier, and of this process where it is one of them."""
    spent = sum(used for name, used in services.cpu_s().items() if name != "carrier")
    return spent + sum(psutil.Process().cpu_times()[:2]) if own else spent


async def _tickets(services: Stack, db: Database, tokens: list[str]) -> int:
    """Tickets through REST, the matchmaker, and a launcher that is ready at once, to the ends of their matches."""
    stats = f"{keys.game('bench')}:stats"
    done = int(await db.do("HGET", stats, "tickets_placed") or 0)
    body = {"game": "bench"}
    await load(services.port, lambda i: request("POST", "/v1/tickets", token=tokens[i], body=body), len(tokens))
    async with asyncio.timeout(WITHIN_S):
        while int(await db.do("HGET", stats, "tickets_placed") or 0) < done + len(tokens):
            await asyncio.sleep(0.02)
    await until_over(db, "bench", WITHIN_S)
    return len(tokens)


async def _paths(services: Stack) -> dict[str, float]:
    """CPU of all that an interaction and a ticket go through, us: the least of some turns."""
    await register(services.port, PLAY)
    path: dict[str, list[float]] = {}
    async with open_database(services.env["REDIS_URL"]) as db:
        play = Play(services.env["REDIS_URL"])
        playing = asyncio.create_task(play.run())
        for turn in range(TURNS):
            tokens = await guests(services.port, TICKETS)
            for name in ("interaction", ALONE, "ticket"):
                own = name != "ticket"  # it plays game server; of tickets it is the players
                before = _cpu_s(services, own=own)
                count = await (_tickets(services, db, tokens) if name == "ticket" else play.turn(name))
                path.setdefault(name, []).append((_cpu_s(services, own=own) - before) / count * 1e6)
            say(f"turn {turn}: " + ", ".join(f"{each[-1]:.2f} us CPU per {name}" for name, each in path.items()))
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await playing
    return {name: min(each) for name, each in path.items()}


async def _cost(report: Report, url: str, path: dict[str, float]) -> None:
    """What Redis does more where events are carried, in blocks with and without; beside all that a path costs."""
    async with open_database(url) as db:
        blocks = Blocks(db)
        await blocks.begin()
        for _ in range(BLOCKS):
            for what in ("ticket", "interaction", "pack"):
                for carried in (False, True):
                    await blocks.turn(what, carried=carried)
    for what in ("interaction", "ticket", "pack"):
        off, on = blocks.least[what, False], blocks.least[what, True]
        report.figure(f"time of Redis per {what}, no carrier", off, "us")
        report.figure(f"time of Redis per {what}, with one", on, "us")
        if what in path:
            report.figure(f"CPU of the whole path per {what}", path[what], "us")
            report.figure(f"cost of a carrier per {what}", (on - off) / path[what] * 100, "%", at_most=2)
    report.figure("cost of a shot in 20 interactions", (path["interaction"] / path[ALONE] - 1) * 100, "%")


async def _speeds(report: Report, url: str, outlet: Outlet) -> None:
    async with open_database(url) as db:
        await db.do("FLUSHALL")
        await db.do("SADD", keys.GAMES, GAME)
        await _speed(report, db, outlet)


def main(report: Report) -> None:
    with stack() as services:
        services.webapi()
        services.start("matchmaker", "-m", "matchmaker", MUSTER_LAUNCHER="instant")
        path = uvloop.run(_paths(services))
    with stack() as services:
        uvloop.run(_cost(report, services.redis.url, path))
    with tempfile.TemporaryDirectory(prefix="muster-brokers-") as folder:
        there = Path(folder)
        for name in ("kafka", "rabbitmq"):
            (there / name).mkdir()
        with rabbitmq(there / "rabbitmq") as broker, stack() as services:
            outlet = RabbitMQ(f"amqp://guest:guest@{broker.address}/")
            uvloop.run(_speeds(report, services.redis.url, outlet))
        with kafka(there / "kafka") as broker, stack() as services:
            uvloop.run(_speeds(report, services.redis.url, Kafka(broker.address)))
