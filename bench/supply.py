"""Last ticket -> playable, and what it costs in idle servers: on demand, early start and a warm pool of ten.

The same arrivals for each, at the same time: duels of strangers who come at random, one each four seconds (a Poisson
process of one fixed seed), as processes and as pods of a real cluster. Idle is a server that is ready and has no match;
it is sampled while tickets come.

Then how fast warm pods are given away, with one and with eight who each ask for a match, wait until it can be played,
and ask again, in rounds that begin with a full pool. Each ask is a whole match: ticket, grouping, claim, the server's
own word; the pool is filled again beside it, on the same cores. Nobody joins, so that a match is over soon (`no_show`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import uvloop

from bench.harness import Report, percentile, say, stack
from bench.kube import ground
from core import keys
from core.doorbell import Doorbell, open_doorbell
from core.errors import Unavailable
from core.model import EarlySpec, GameSpec, Limits, Resources, Server, SupplySpec, Timers, WarmSpec
from core.redis.client import Database, open_database
from tests.matchmaker.support import queue, register
from tests.support import eventually

SEED = 20261121
TICKETS_PER_S = float(os.environ.get("MUSTER_BENCH_TICKETS_PER_S", "0.25"))
MATCHES = int(os.environ.get("MUSTER_BENCH_MATCHES", "24"))
POOL = 10
# For allocations: what a node of two cores holds, beside those that are given away in a round.
BIG_POOL = int(os.environ.get("MUSTER_BENCH_POOL", "24"))
ROUND = 16
ROUNDS = int(os.environ.get("MUSTER_BENCH_ROUNDS", "4"))
FILL_S = 180.0
SAMPLE_S = 0.05
POLL_S = 0.05
PLAY_S = 2
STARTING = 2**42  # scores from here on are of servers that start (core/redis/lua/_common.lua)
POLICIES = {
    "on demand": SupplySpec(),
    "early start": SupplySpec(early=EarlySpec()),
    f"warm pool of {POOL}": SupplySpec(warm=WarmSpec(servers=POOL), idle_most=POOL),
}
Told = tuple[list[float], float]  # ms from the last ticket to playable, by match; idle server-seconds a match


def spec(supply: SupplySpec, *, play_s: int = PLAY_S, servers: int = 200) -> GameSpec:
    """A duel in the arena that nobody joins, over soon."""
    return GameSpec(
        server=Server(arena={}, resources=Resources(cpu=0.03, memory_mib=64)),
        players_per_match=2,
        timers=Timers(start_s=60, join_s=play_s, drain_s=1),
        limits=Limits(servers=servers),
        supply=supply,
    )


@dataclass(slots=True)
class Place:
    """A matchmaker with its Redis, and the bell that webapi would ring."""

    db: Database
    bell: Doorbell
    rung: dict[str, asyncio.Event] = field(default_factory=dict)  # by ticket, for who waits

    async def told(self, game: str, ticket: str) -> None:
        """Once its players have an address, by the bell that webapi hears; looked at now and then anyway."""
        rung = self.rung[ticket] = asyncio.Event()
        while not await self.completed(game, ticket):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await rung.wait()
            rung.clear()
        del self.rung[ticket]

    async def ticket(self, game: str, players: int = 1) -> str:
        name = await queue(self.db, game, players=players)
        self.bell.ring("queue", [game])
        return name

    async def completed(self, game: str, ticket: str) -> bool:
        """Whether its players have an address; no while Redis waits too long for a core."""
        with contextlib.suppress(Unavailable):
            return bool(await self.db.do("HGET", keys.ticket(game, ticket), "state") == "COMPLETED")
        return False

    async def idle(self, game: str) -> int:
        """Servers that are ready and have no match."""
        return int(await self.db.do("ZCOUNT", f"{keys.game(game)}:standbys", 0, STARTING - 1))

    async def playable(self, game: str, tickets: list[str]) -> dict[str, tuple[int, int]]:
        """By match: when its last ticket came and when it could be played, once all can or could be."""

        async def all_are() -> dict[str, tuple[int, int]]:
            rows = await self.db.do_many([("HMGET", keys.ticket(game, it), "match", "since_ms") for it in tickets])
            came: dict[str, int] = {}
            for match, since in rows:
                came[match] = max(came.get(match, 0), int(since))
            ready = await self.db.do_many([("HGET", keys.match(game, match or ""), "ready_ms") for match in came])
            if "" in came or None in came or not all(ready):
                return {}
            return {match: (since, int(at)) for (match, since), at in zip(came.items(), ready, strict=True)}

        return await eventually(all_are, within_s=120.0, every_s=0.25)


def arrivals() -> list[float]:
    """Seconds from the beginning, the same at each call."""
    chance, at, times = random.Random(SEED), 0.0, []
    for _ in range(2 * MATCHES):
        at += chance.expovariate(TICKETS_PER_S)
        times.append(at)
    return times


async def _policy(place: Place, game: str, supply: SupplySpec, begin: asyncio.Event, prepared: asyncio.Event) -> Told:
    """All arrivals under one policy. What it takes to know arrivals and starts comes first, and does not count."""
    await register(place.db, game, spec(supply))
    first = []
    for _ in range(4):
        first.append(await place.ticket(game))
        await asyncio.sleep(1 / TICKETS_PER_S)
    await place.playable(game, first)
    if supply.warm is not None:
        await _ready(place, game, POOL)
    prepared.set()
    await begin.wait()
    idle_s, done = 0.0, asyncio.Event()

    async def sample() -> None:
        nonlocal idle_s
        before = time.perf_counter()
        while not done.is_set():
            idle = await place.idle(game)
            now = time.perf_counter()
            idle_s += idle * (now - before)
            before = now
            await asyncio.sleep(SAMPLE_S)

    sampling, start, tickets = asyncio.create_task(sample()), time.perf_counter(), []
    for at in arrivals():
        await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
        tickets.append(await place.ticket(game))
    found = await place.playable(game, tickets)
    done.set()
    await sampling
    return [float(at - came) for came, at in found.values()], idle_s / len(found)


async def _ready(place: Place, game: str, servers: int) -> None:
    async def filled() -> bool:
        return await place.idle(game) >= servers

    await eventually(filled, within_s=FILL_S, every_s=0.1)


async def _policies(place: Place, where: str, report: Report) -> None:
    """All policies at the same time, a game each: whatever else the machine does, it does to all of them."""
    begin = asyncio.Event()
    prepared = [asyncio.Event() for _ in POLICIES]
    runs = [
        asyncio.create_task(_policy(place, f"duel-{i}", supply, begin, prepared[i]))
        for i, supply in enumerate(POLICIES.values())
    ]
    await asyncio.gather(*(one.wait() for one in prepared))
    say(f"{where}: {MATCHES} matches of each policy")
    begin.set()
    told = dict(zip(POLICIES, await asyncio.gather(*runs), strict=True))
    for i in range(len(POLICIES)):
        await register(place.db, f"duel-{i}", spec(SupplySpec()))  # what waits still ends
    for name, (times, idle_s) in told.items():
        report.figure(f"{where}, {name}: last ticket -> playable, p50", percentile(times, 0.5), "ms")
        report.figure(f"{where}, {name}: last ticket -> playable, p90", percentile(times, 0.9), "ms")
        report.figure(f"{where}, {name}: idle server-seconds a match", idle_s, "s")
    (_, early, warm) = told.values()
    median = percentile(early[0], 0.5) / percentile(warm[0], 0.5)
    report.figure(f"{where}: early / warm, p50", median, "ratio", at_most=1.2)
    report.figure(f"{where}: early / warm, idle", early[1] / warm[1], "ratio", at_most=0.05)


async def _allocations(place: Place, claimants: int, report: Report) -> None:
    game, spent, took, filling = "given-away", list[float](), 0.0, list[float]()

    async def claimant(asks: list[int]) -> None:
        while asks:
            asks.pop()
            start = time.perf_counter()
            ticket = await place.ticket(game, players=2)
            await place.told(game, ticket)
            spent.append((time.perf_counter() - start) * 1000)

    for _ in range(ROUNDS):
        start = time.perf_counter()
        await _ready(place, game, BIG_POOL)
        filling.append(time.perf_counter() - start)
        asks, start = list(range(ROUND)), time.perf_counter()
        await asyncio.gather(*(claimant(asks) for _ in range(claimants)))
        took += time.perf_counter() - start
    name = f"warm pods, {claimants} at a time"
    report.figure(f"{name}: ticket -> playable, p50", percentile(spent, 0.5), "ms", at_most=83)
    report.figure(f"{name}: ticket -> playable, p99", percentile(spent, 0.99), "ms")
    report.figure(f"{name}: a second", len(spent) / took, "per s")
    report.figure(f"{name}: pool full again, the longest of {ROUNDS}", max(filling), "s")


@asynccontextmanager
async def _processes() -> AsyncIterator[Place]:
    with stack() as services:
        services.start("matchmaker", "-m", "matchmaker", MUSTER_STOP_SERVERS="true")
        async with open_database(services.redis.url) as db, open_doorbell(db) as bell:
            yield Place(db, bell)


async def _bench(report: Report) -> None:
    only = os.environ.get("MUSTER_BENCH_ONLY", "")
    if only in ("", "process"):
        async with _processes() as place:
            await _policies(place, "process", report)
    if only != "process":
        rung: dict[str, asyncio.Event] = {}

        def heard(_: str, tickets: list[str]) -> None:
            for ticket in rung.keys() & tickets:
                rung[ticket].set()

        async with AsyncExitStack() as parts:
            here = await parts.enter_async_context(ground())
            reached = f"tcp://{here.cluster.layout.host_address}:*"
            hearing = open_doorbell(here.db, topics=["ticket"], heard=heard, bind=reached)
            place = Place(here.db, await parts.enter_async_context(hearing), rung)
            # As many as the node starts together without being late.
            here.start(MUSTER_POOL_STARTS=str(os.cpu_count() or 2))
            if only != "allocations":
                await _policies(place, "pods", report)
            pool = SupplySpec(warm=WarmSpec(servers=BIG_POOL), idle_most=BIG_POOL)
            await register(here.db, "given-away", spec(pool))
            for claimants in (1, 8):
                await _allocations(place, claimants, report)


def main(report: Report) -> None:
    uvloop.run(_bench(report))
