"""A game server: start to Ready, memory when idle, and 100 players at 60 Hz in one arena."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
import urllib.request

import psutil
import uvloop

from bench.by_hand import make_match, ready
from bench.harness import ROOT, Report, Stack, say, stack
from core.jointoken import JoinClaims, match_key, mint
from core.model import Match
from core.redis.client import Database, open_database
from tests.support import free_port

STARTS = 15
PLAYERS = 100
SECONDS = 20.0
IDLE_S = 2.0
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


def _tokens(services: Stack, match: Match) -> str:
    key = match_key(services.env["MUSTER_SECRET"], match.id)
    until = int(time.time()) + 300
    return "\n".join(mint(key, JoinClaims(p.id, match.id, p.name, p.team, until)) for p in match.players)


def _lateness(metrics: str) -> dict[float, float]:
    """Ticks that were late by at most so many seconds."""
    rows = [line.rsplit(" ", 1) for line in metrics.splitlines() if line.startswith(TICK_BUCKETS)]
    return {float(name.split('le="')[1].split('"')[0]): float(value) for name, value in rows}


def _p99_ms(before: dict[float, float], after: dict[float, float]) -> float:
    """Upper bound of the bucket that holds the 99th percentile, in ms."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    total = counts[float("inf")]
    return min(bound for bound, count in counts.items() if count >= 0.99 * total) * 1000


async def _crowd(report: Report, services: Stack, db: Database) -> None:
    made = await make_match(services, db, players=PLAYERS, arena={"time_limit_s": 600, "tick_rate_hz": 60})
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "gamepod"], env=made.env | {"MUSTER_METRICS_PORT": str(port)}, cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    found = await ready(db, made.match.id)
    udp = next(p["port"] for p in json.loads(found["connection"])["ports"] if p["protocol"] == "udp")

    def scrape() -> dict[float, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return _lateness(answer.read().decode())

    load = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.udp_players", str(udp), str(SECONDS), cwd=ROOT, env=services.env,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    talk = asyncio.create_task(load.communicate(_tokens(services, made.match).encode()))
    await asyncio.sleep(3)  # all joined
    watched = psutil.Process(process.pid)
    spent, since, before = sum(watched.cpu_times()[:2]), time.perf_counter(), scrape()
    await asyncio.sleep(SECONDS - 5)
    share = (sum(watched.cpu_times()[:2]) - spent) / (time.perf_counter() - since)
    after, rss = scrape(), watched.memory_info().rss / 1e6
    output, _ = await talk
    played = json.loads(output)
    report.figure(f"{PLAYERS} players at 60 Hz: share of a core", share, "cores", at_most=0.5)
    report.figure(f"{PLAYERS} players at 60 Hz: tick lateness p99, upper bound", _p99_ms(before, after), "ms")
    report.figure(f"{PLAYERS} players at 60 Hz: RSS", rss, "MB")
    report.figure("inputs received by the server", played["sent_per_s"], "1/s")
    report.figure("snapshot datagrams received by the players", played["received_per_s"], "1/s")
    report.figure("rate that the load kept up", played["hz"], "Hz", at_least=57)
    process.terminate()
    await asyncio.to_thread(process.wait)


async def _measure(report: Report, services: Stack) -> None:
    async with open_database(services.redis.url) as db:
        say(f"{STARTS} starts")
        await _starts(report, services, db)
        say(f"{PLAYERS} players for {SECONDS:g} s")
        await _crowd(report, services, db)


def main(report: Report) -> None:
    with stack() as services:
        uvloop.run(_measure(report, services))
