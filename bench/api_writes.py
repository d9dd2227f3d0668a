"""Write requests at the API server for the life of one match, by its own counters, beside a bare pod's life.

Events and node leases are left out on both sides: they are about pods, not of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import uvloop

from bench.cold_start import bare_life, match_life
from bench.harness import Report
from bench.kube import Moments, Pods, arena, ground
from tests.cluster.cluster import Cluster
from tests.kube.ground import GAME
from tests.matchmaker.support import register

ROUNDS = 10
SETTLE_S = 2.0  # kubelets write a last status after


async def _writes(cluster: Cluster, life: Callable[[], Awaitable[object]]) -> float:
    """Writes of one life, the mean of some."""
    before = cluster.request_counts()
    for _ in range(ROUNDS):
        await life()
    await asyncio.sleep(SETTLE_S)
    return cluster.request_counts().since(before).writes(without=["events", "leases"]) / ROUNDS


async def _bench(report: Report) -> None:
    async with ground() as here, here.cluster.api.session() as session:
        here.start(MUSTER_POLL_S="0.02")
        await register(here.db, GAME, arena(600))
        pods, numbers = Pods(session), iter(range(ROUNDS))

        async def bare(moments: Moments) -> object:
            return await bare_life(pods, moments, next(numbers))

        async with pods.watch() as moments:
            await match_life(here, moments)
            idle = await _writes(here.cluster, lambda: asyncio.sleep(0.5))
            plain = await _writes(here.cluster, lambda: bare(moments))
            mine = await _writes(here.cluster, lambda: match_life(here, moments))
    report.figure("writes in half a second of nothing", idle, "writes")
    report.figure("writes of a bare pod's life", plain, "writes")
    report.figure("writes of a match's life", mine, "writes")
    report.figure("writes, ratio", mine / plain, "ratio", at_most=1.05)


def main(report: Report) -> None:
    uvloop.run(_bench(report))
