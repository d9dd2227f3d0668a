"""Analytics: how many events a core counts and judges, from the logs in Redis, and that it counts each.

A game's logs are filled with batches as servers write them, moves and hits of a hundred players in each of sixteen
matches; then one `core.analytics` counts them all. CPU time is this process' alone, without Redis.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop
from prometheus_client import CollectorRegistry

from bench.harness import Report, say
from core import keys
from core.analytics.metrics import Metrics
from core.analytics.settings import Settings
from core.analytics.streams import Streams
from core.analytics.worker import Analyst
from core.clock import now_ms
from core.interactions import Attack, Interaction, Move, pack
from core.redis.client import Database, open_database
from core.redis.embedded import embedded_redis
from tests.support import free_port

MATCHES: Final = 16
BATCHES: Final = 20  # of a match
ROWS: Final = 1000  # of a batch
KEPT: Final = 100_000
GAME: Final = "duel"


async def fill(db: Database) -> int:
    """Write the logs; how many events are in them."""
    for match in (f"m-{n}" for n in range(MATCHES)):
        await db.do("HSET", keys.match(GAME, match), "doc", json.dumps({"server": {"arena": {}}}))
        for number in range(BATCHES):
            at, rows = now_ms(), list[Interaction]()
            for n in range(number * ROWS, (number + 1) * ROWS, 2):
                who = f"p-{n % 100}"
                rows += [Move(f"{match}-{n}", at, who, 48.0, 2.0), Attack(f"{match}-{n + 1}", at, who, "p-x", 0.01)]
            await db.call("log_append", keys.shard(GAME, match), match, number + 1, ROWS, pack(rows), KEPT)
    return MATCHES * BATCHES * ROWS


async def measure(report: Report, url: str) -> None:
    async with open_database(url) as db:
        await db.do("SADD", keys.GAMES, GAME)
        analyst = Analyst(db, Streams(db), "bench", Settings(), Metrics(CollectorRegistry()))
        await analyst.turn()  # what came before the first start is not counted
        await asyncio.sleep(0.01)
        wanted, counted = await fill(db), 0
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        while page := await analyst.turn():
            counted += page
        cpu_s, wall_s = time.process_time() - began_cpu_s, time.perf_counter() - began_s
        say(f"{counted} events in {wall_s:.1f} s, {cpu_s:.1f} s of CPU")
        report.figure("events counted and judged a CPU second", counted / cpu_s, "1/s", at_least=30_000)
        report.figure("events of the log that were not counted once", abs(wanted - counted), "", at_most=0)


def main(report: Report) -> None:
    """Run it on a Redis of its own."""
    with tempfile.TemporaryDirectory() as folder, embedded_redis(Path(folder), free_port()) as redis:
        uvloop.run(measure(report, redis.url))
