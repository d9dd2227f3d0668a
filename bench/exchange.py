"""Item exchanges: how many a second one Redis core makes as one function, beside a program's own WATCH, MULTI, EXEC.

Both ways move the same items between the same players over the same client, in the same run, in turns. The plain way
writes neither an audit nor what a repeat is recognised by, and holds no bound; it is what a game would do by itself.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from redis.asyncio import Redis
from redis.exceptions import WatchError

from bench.harness import Report, percentile
from core import keys
from core.clock import new_id
from core.errors import Refused
from core.ids import made_ms
from core.inventory import Inventories
from core.items import AUDIT_KEPT, MOVES_REMEMBERED, Item, document
from core.redis.client import Database, open_database
from core.redis.embedded import embedded_redis
from tests.support import free_port

GAME = "bench"
PLAYERS = 1000
SECONDS = 4.0  # of each way, in each round
ROUNDS = 2
BATCH = 64  # exchanges of one round trip, as webapi and many game servers together send them
ALONE = 2000  # exchanges one after another, for their delay
TASKS = 32  # of the plain way: each needs round trips of its own
WANTED = 10_000  # a second of Redis' CPU, of one game: one in seventeen of 175,000 interactions


async def fill(items: Inventories) -> None:
    """Everybody has enough of both kinds."""
    for start in range(0, PLAYERS, 50):
        some = [f"p{i}" for i in range(start, start + 50)]
        await asyncio.gather(*[items.grant(p, [Item("shell", 10**9), Item("kit", 10**9)]) for p in some])


def prepared(count: int, chance: random.Random, kept: int) -> list[tuple[str, str, tuple[Any, ...]]]:
    """Calls of the function."""
    base, calls = keys.items(GAME), []
    for _ in range(count):
        a, b = chance.sample(range(PLAYERS), 2)
        text = document("exchange", f"p{a}", f"p{b}", [Item("shell", 2)], [Item("kit")], by=f"p{a}", match="m-1")
        id_ = new_id("exchange")
        calls.append(("items_move", base, (id_, made_ms(id_), MOVES_REMEMBERED, kept, text)))
    return calls


async def by_function(db: Database, kept: int) -> int:
    """Exchanges made in SECONDS."""
    chance, made, deadline = random.Random(1), 0, time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        replies = await db.call_many(prepared(BATCH, chance, kept))
        made += sum(reply[0] == "ok" for reply in replies)
    return made


async def by_hand(url: str) -> tuple[int, int]:
    """Exchanges made in SECONDS, and attempts that had to be made again."""
    client = Redis.from_url(url, decode_responses=True, max_connections=TASKS)
    deadline, retries = time.monotonic() + SECONDS, 0

    async def work(seed: int) -> int:
        nonlocal retries
        chance, made = random.Random(seed), 0
        while time.monotonic() < deadline:
            a, b = (f"plain:p{i}" for i in chance.sample(range(PLAYERS), 2))
            async with client.pipeline() as pipe:
                try:
                    await pipe.watch(f"{a}:shell", f"{a}:kit", f"{b}:shell", f"{b}:kit")
                    mine, theirs = await pipe.get(f"{a}:shell"), await pipe.get(f"{b}:kit")
                    mine_kit, theirs_shell = await pipe.get(f"{a}:kit"), await pipe.get(f"{b}:shell")
                    pipe.multi()
                    pipe.set(f"{a}:shell", int(mine) - 2).set(f"{b}:shell", int(theirs_shell) + 2)
                    pipe.set(f"{b}:kit", int(theirs) - 1).set(f"{a}:kit", int(mine_kit) + 1)
                    await pipe.execute()
                    made += 1
                except WatchError:
                    retries += 1
        return made

    for i in range(PLAYERS):
        await client.mset({f"plain:p{i}:shell": 10**9, f"plain:p{i}:kit": 10**9})
    done = await asyncio.gather(*[work(seed) for seed in range(TASKS)])
    await client.aclose()
    return sum(done), retries


async def alone(items: Inventories) -> list[float]:
    """Delay of single exchanges, ms."""
    chance, took = random.Random(5), []
    for _ in range(ALONE):
        a, b = chance.sample(range(PLAYERS), 2)
        began = time.perf_counter()
        await items.exchange(f"p{a}", f"p{b}", give=[Item("shell", 2)], get=[Item("kit")])
        took.append((time.perf_counter() - began) * 1000)
    return took


async def measure(report: Report, url: str, pid: int) -> None:
    server = psutil.Process(pid)
    async with open_database(url) as db:
        items = Inventories(db, GAME)
        await fill(items)
        ours, plain, cpu, full_ours, full_cpu = 0, 0, 0.0, 0, 0.0
        for _ in range(ROUNDS):
            before = sum(server.cpu_times()[:2])
            ours += await by_function(db, AUDIT_KEPT)
            cpu += sum(server.cpu_times()[:2]) - before
            made, _ = await by_hand(url)
            plain += made
        full = int(await db.do("XLEN", f"{keys.items(GAME)}:audit"))
        for _ in range(ROUNDS):
            before = sum(server.cpu_times()[:2])
            full_ours += await by_function(db, full)
            full_cpu += sum(server.cpu_times()[:2]) - before
        took = await alone(items)
        try:
            wrong = len(await items.rebuild())
        except Refused:
            wrong = -1
    report.figure("exchanges/s by one function, one client", ours / SECONDS / ROUNDS, "1/s")
    report.figure("exchanges a second of Redis' CPU", ours / cpu, "1/s", at_least=WANTED)
    report.figure("... with the audit full, so that each carries one over", full_ours / full_cpu, "1/s")
    report.figure("WATCH, MULTI, EXEC without audit, bounds and repeats", plain / SECONDS / ROUNDS, "1/s")
    report.figure("function / plain", ours / plain, "x", at_least=3)
    report.figure("one exchange alone, p50", percentile(took, 0.5), "ms")
    report.figure("one exchange alone, p99", percentile(took, 0.99), "ms", at_most=10)
    report.figure("inventories that differ from the audit", wrong, "", at_most=0)


def main(report: Report) -> None:
    """Measure on an embedded Valkey with its append-only file, everysec."""
    with tempfile.TemporaryDirectory() as folder, embedded_redis(Path(folder), free_port()) as server:
        assert server.process is not None
        asyncio.run(measure(report, server.url, server.process.pid))
