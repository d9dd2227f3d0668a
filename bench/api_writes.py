"""Write requests at the API server for the life of one match, by its own counters, beside a bare pod's life.

Events and node leases are left out on both sides: they are about pods, not of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import uvloop

from bench.cold_start import GAMES, Lives
from bench.harness import Report
from bench.kube import Pods, arena, ground
from core.doorbell import open_doorbell
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
    async with ground() as here, here.cluster.api.session() as session, open_doorbell(here.db) as bell:
        here.start(MUSTER_POLL_S="1")
        await register(here.db, GAME, arena(600))
        pods, ports = Pods(session), GAMES["three"]
        async with pods.watch() as moments:
            lives = Lives(here, pods, moments, bell)
            await lives.match(GAME)
            idle = await _writes(here.cluster, lambda: asyncio.sleep(0.5))
            plain = await _writes(here.cluster, lambda: lives.asleep(ports))
            mine = await _writes(here.cluster, lambda: lives.match(GAME))
    report.figure("writes in half a second of nothing", idle, "writes")
    report.figure("writes of a bare pod's life", plain, "writes")
    report.figure("writes of a match's life", mine, "writes")
    report.figure("writes, ratio", mine / plain, "ratio", at_most=1.05)


def main(report: Report) -> None:
    uvloop.run(_bench(report))
