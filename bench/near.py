"""Who is near: what writing positions into the index costs Redis, and how long a question takes.

Two worlds of as many players: spread over a city, and all in one square, where any circle has them all. Positions are
written as game servers do, views and index; the share of the index is what the same writes cost without it.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.harness import Report, percentile
from core.clock import now_ms
from core.interactions import Columns, Move
from core.near import INDEXED_MOST, near_calls
from core.nearby import find_near
from core.redis.client import Database, open_database
from core.redis.embedded import embedded_redis
from core.views import Views, view_calls
from tests.support import free_port

GAME = "bench"
PLAYERS = 50_000
BEAT = 1000  # positions written together
QUESTIONS = 100
TOP = 20


def moves(place: Callable[[], tuple[float, float]], number: int) -> list[Move]:
    at_ms = now_ms()
    return [Move(f"w{number}-{i}", at_ms, f"p{i}", *place()) for i in range(PLAYERS)]


async def write(db: Database, found: list[Move], *, index: bool) -> None:
    for start in range(0, len(found), BEAT):
        views = Views()
        views.add(Columns(found[start : start + BEAT]))
        calls = [("views_write", base, args) for base, args in view_calls(GAME, views, move_ttl_ms=600_000)]
        if index:
            calls += [("near_add", base, args) for base, args in near_calls(GAME, views.moves.values(), ttl_s=600)]
        await db.call_many(calls)


async def ask(db: Database, place: Callable[[], tuple[float, float]], radius_m: float) -> list[float]:
    """How long each question took, ms."""
    took = []
    for _ in range(QUESTIONS):
        began = time.perf_counter()
        await find_near(db, GAME, *place(), radius_m=radius_m, top=TOP)
        took.append((time.perf_counter() - began) * 1000)
    return took


async def measure(report: Report, url: str, pid: int) -> None:
    server, chance = psutil.Process(pid), random.Random(3)
    worlds: dict[str, Callable[[], tuple[float, float]]] = {
        "a city": lambda: (48.7 + 0.3 * chance.random(), 2.1 + 0.5 * chance.random()),
        "a square": lambda: (48.85 + 0.001 * chance.random(), 2.3 + 0.001 * chance.random()),
    }
    async with open_database(url) as db:
        for number, (name, place) in enumerate(worlds.items()):
            await db.do("FLUSHALL")
            cpu = {}
            for index in (False, True, True):  # the last: everybody moves who is there already
                before = sum(server.cpu_times()[:2])
                await write(db, moves(place, number), index=index)
                cpu[index] = sum(server.cpu_times()[:2]) - before
            report.figure(f"{name}: Redis' CPU for a million moves, view alone", cpu[False] * 1e6 / PLAYERS, "s")
            report.figure(f"{name}: ... view and index", cpu[True] * 1e6 / PLAYERS, "s")
            for radius_m in (100.0, 1000.0):
                before = sum(server.cpu_times()[:2])
                took = await ask(db, place, radius_m)
                used_ms = (sum(server.cpu_times()[:2]) - before) * 1000 / QUESTIONS
                report.figure(f"{name}: near within {radius_m:g} m, Redis' CPU", used_ms, "ms", at_most=10)
                report.figure(f"{name}: near within {radius_m:g} m, p50", percentile(took, 0.5), "ms")
                # In the square each shard looks at thousands who are that near: there the promise is of the work alone.
                bound = 10 if name == "a city" else None
                report.figure(f"{name}: near within {radius_m:g} m, p99", percentile(took, 0.99), "ms", at_most=bound)
    report.figure("players of one shard at most", INDEXED_MOST, "")


def main(report: Report) -> None:
    """Measure on an embedded Valkey."""
    with tempfile.TemporaryDirectory() as folder, embedded_redis(Path(folder), free_port()) as server:
        assert server.process is not None
        asyncio.run(measure(report, server.url, server.process.pid))
