"""Delayed commands against a simple sequential model: random packs, cheats, repeats, dying workers, 100,000 steps.

Each step is followed by a comparison of everything that can be asked of its player. Wanted: no difference.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.harness import Report, say
from core.redis.client import open_database
from core.redis.embedded import embedded_redis
from tests.commands.model import Difference, live
from tests.commands.support import register
from tests.support import free_port

STEPS: Final = int(os.environ.get("MUSTER_BENCH_STEPS", "100000"))
ROUNDS: Final = 20  # each with players and a seed of its own


def main(report: Report) -> None:
    """Print how many steps were compared, and how many differed."""
    with (
        tempfile.TemporaryDirectory(prefix="muster-bench-") as folder,
        embedded_redis(Path(folder), free_port()) as redis,
    ):
        asyncio.run(_measure(report, redis.url))


async def _measure(report: Report, url: str) -> None:
    steps, different, started = 0, 0, time.monotonic()
    async with open_database(url) as db:
        await register(db)
        for seed in range(ROUNDS):
            try:
                steps += (await live(db, STEPS // ROUNDS, seed)).steps
            except Difference as difference:
                say(f"seed {seed}: {difference}")
                different += 1
    report.figure("steps compared with the model", steps, "steps", at_least=STEPS)
    report.figure("differences", different, "rounds", at_most=0)
    report.figure("time", time.monotonic() - started, "s")
