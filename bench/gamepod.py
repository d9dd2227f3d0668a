"""A game server: start to Ready, memory when idle, and 50 to 200 players at 60 Hz in one arena."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
import urllib.request
from dataclasses import dataclass
from typing import cast

import psutil
import uvloop

from bench.by_hand import make_match, ready, tokens, udp_port
from bench.harness import ROOT, Report, Stack, say, stack
from core.redis.client import Database, open_database
from tests.support import free_port

STARTS = 15
PLAYERS = 100
SECONDS = 20.0
JOINED_S = 3.0  # all have joined by then
FEW, MANY = 50, 200
INTEREST_M = 90.0  # the default
ROUNDS = 3
ROUND_S = 10.0
IDLE_S = 2.0
TICKS = "muster_arena_ticks_total"
TICK_BUCKETS = "muster_arena_tick_lateness_seconds_bucket"


async def _starts(report: Report, services: Stack, db: Database) -> None:
    took, rss, private = [], [], []
    for number in range(STARTS + 1):
        made = await make_match(services, db)
        start = time.perf_counter()
        process = made.start()
        await ready(db, made.match.id)
        if number:  # the first one warms the file cache
            took.append((time.perf_counter() - start) * 1000)
        if number >= STARTS - 2:
            await asyncio.sleep(IDLE_S)
            memory = psutil.Process(process.pid).memory_full_info()
            rss.append(memory.rss / 1e6)
            private.append(memory.uss / 1e6)
        process.terminate()
        await asyncio.to_thread(process.wait)
    report.figure("start -> Ready, median", statistics.median(took), "ms", at_most=300)
    report.figure("start -> Ready, worst", max(took), "ms")
    report.figure("memory when idle, RSS", statistics.median(rss), "MB", at_most=30)
    report.figure("memory when idle, private to the process", statistics.median(private), "MB")


def _lateness(metrics: str) -> dict[float, float]:
    """Ticks that were late by at most so many seconds."""
    rows = [line.rsplit(" ", 1) for line in metrics.splitlines() if line.startswith(TICK_BUCKETS)]
    return {float(name.split('le="')[1].split('"')[0]): float(value) for name, value in rows}


def _ticks(metrics: str) -> float:
    line = next(line for line in metrics.splitlines() if line.startswith(TICKS))
    return float(line.rsplit(" ", 1)[1])


def _p99_ms(before: dict[float, float], after: dict[float, float]) -> float:
    """Upper bound of the bucket that holds the 99th percentile, in ms."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    total = counts[float("inf")]
    return min(bound for bound, count in counts.items() if count >= 0.99 * total) * 1000


@dataclass(frozen=True, slots=True)
class Crowd:
    """What a game server spent on so many players at 60 Hz."""

    cores: float  # at 60 ticks a second: where neighbours take the machine, fewer are played
    lateness_p99_ms: float
    rss_mb: float
    inputs_per_s: float
    datagrams_per_s: float
    bytes_per_s: float  # of one client
    hz: float  # that the load kept up


async def _crowd(services: Stack, db: Database, players: int, seconds: float, **arena: float) -> Crowd:
    rules = {"time_limit_s": 600, "score_limit": 0, "tick_rate_hz": 60, **arena}
    made = await make_match(services, db, players=players, arena=rules)
    port = free_port()
    process = made.start(metrics_port=port)
    udp = udp_port(await ready(db, made.match.id))

    def scrape() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return cast(str, answer.read().decode())

    load = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.udp_players", str(udp), str(seconds), cwd=ROOT, env=services.env,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    talk = asyncio.create_task(load.communicate(tokens(services, made.match).encode()))
    await asyncio.sleep(JOINED_S)
    watched = psutil.Process(process.pid)
    before, spent = await asyncio.to_thread(scrape), sum(watched.cpu_times()[:2])
    await asyncio.sleep(seconds - JOINED_S - 1)
    after, spent = await asyncio.to_thread(scrape), sum(watched.cpu_times()[:2]) - spent
    share = spent / (_ticks(after) - _ticks(before)) * 60
    lateness, rss = _p99_ms(_lateness(before), _lateness(after)), watched.memory_info().rss / 1e6
    output, _ = await talk
    process.terminate()
    await asyncio.to_thread(process.wait)
    played = json.loads(output)
    return Crowd(
        share, lateness, rss, played["sent_per_s"], played["received_per_s"],
        played["mb_per_s"] * 1e6 / players, played["hz"],
    )  # fmt: skip


async def _hundred(report: Report, services: Stack, db: Database) -> None:
    crowd = await _crowd(services, db, PLAYERS, SECONDS)
    name = f"{PLAYERS} players at 60 Hz"
    report.figure(f"{name}: share of a core", crowd.cores, "cores", at_most=0.5)
    report.figure(f"{name}: tick lateness p99, upper bound", crowd.lateness_p99_ms, "ms")
    report.figure(f"{name}: RSS", crowd.rss_mb, "MB")
    report.figure("inputs received by the server", crowd.inputs_per_s, "1/s")
    report.figure("snapshot datagrams received by the players", crowd.datagrams_per_s, "1/s")
    report.figure("rate that the load kept up", crowd.hz, "Hz", at_least=57)


async def _interest(report: Report, services: Stack, db: Database) -> None:
    """Few and many players on the same map, with interest management and without, in turns."""
    found: dict[tuple[int, float], list[Crowd]] = {}
    for _ in range(ROUNDS):
        for players, interest_m in ((FEW, INTEREST_M), (MANY, INTEREST_M), (FEW, 0.0), (MANY, 0.0)):
            crowd = await _crowd(services, db, players, ROUND_S, interest_m=interest_m)
            found.setdefault((players, interest_m), []).append(crowd)
    for interest_m, how in ((INTEREST_M, "with interest management"), (0.0, "all told everything")):
        cores = {players: statistics.median(c.cores for c in found[players, interest_m]) for players in (FEW, MANY)}
        many = found[MANY, interest_m]
        wanted = {"at_most": 0.5} if interest_m else {}
        report.figure(f"{MANY} players at 60 Hz, {how}: share of a core", cores[MANY], "cores", **wanted)
        size = statistics.median(c.bytes_per_s for c in many) / 1000
        report.figure(f"{MANY} players at 60 Hz, {how}: to each client", size, "kB/s")
        report.figure(
            f"{MANY} players at 60 Hz, {how}: datagrams", statistics.median(c.datagrams_per_s for c in many), "1/s"
        )
        wanted = {"at_most": 1.2} if interest_m else {}
        ratio = cores[MANY] / MANY / (cores[FEW] / FEW)
        report.figure(f"cost of a player among {MANY} / among {FEW}, {how}", ratio, "", **wanted)


async def _measure(report: Report, services: Stack) -> None:
    async with open_database(services.redis.url) as db:
        say(f"{STARTS} starts")
        await _starts(report, services, db)
        say(f"{PLAYERS} players for {SECONDS:g} s")
        await _hundred(report, services, db)
        say(f"{FEW} and {MANY} players, with and without interest management")
        await _interest(report, services, db)


def main(report: Report) -> None:
    with stack() as services:
        uvloop.run(_measure(report, services))
