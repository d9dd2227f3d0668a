"""Cold start on a real cluster: tickets complete -> server Ready, and result reported -> pod gone, beside a bare pod.

The bare pod is of the same image and as small as one can be; it is Ready as soon as its container runs. A match's
server is Ready when it has begun to serve: its program's own start is part of it.
"""

from __future__ import annotations

import time

import uvloop

from bench.harness import Report, percentile, say
from bench.kube import PLAYERS, Moments, Pods, arena, bare_pod, ground, moment
from core import keys
from core.clock import now_ms
from tests.kube.ground import GAME, Ground
from tests.matchmaker.support import queue, register

ROUNDS = 10


async def bare_life(pods: Pods, moments: Moments, number: int) -> tuple[float, float]:
    """Seconds from create to Ready, and from delete to gone."""
    name = f"bare-{number}"

    async def ready() -> float | None:
        return moments.ready.get(name)

    async def gone() -> float | None:
        return moments.gone.get(name)

    start = time.perf_counter()
    await pods.create(bare_pod(name))
    up = await moment(ready) - start
    start = time.perf_counter()
    await pods.delete(name)
    return up, await moment(gone) - start


async def match_life(here: Ground, moments: Moments) -> tuple[float, float]:
    """The same of a match: from its last ticket to its players' address, and from its result to its pod gone."""
    ticket = await queue(here.db, GAME, players=PLAYERS)
    start, name = time.perf_counter(), ""

    async def ready() -> float | None:
        nonlocal name
        state, name = await here.db.do("HMGET", keys.ticket(GAME, ticket), "state", "match")
        return time.perf_counter() if state == "COMPLETED" else None

    up = await moment(ready) - start
    server = await here.db.do("HGET", keys.match(GAME, name), "server")
    result = (name, "finish", now_ms(), server, "finished", "{}", 0, 0)
    start = time.perf_counter()
    await here.db.call("match_step", keys.game(GAME), *result)

    async def gone() -> float | None:
        return moments.gone.get(name)

    return up, await moment(gone) - start


async def _bench(report: Report) -> None:
    bare: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    async with ground() as here, here.cluster.api.session() as session:
        here.start(MUSTER_POLL_S="0.02")  # no webapi rings for these tickets, nor a server for these results
        await register(here.db, GAME, arena(600))
        pods = Pods(session)
        async with pods.watch() as moments:
            await match_life(here, moments)  # the first of anything is slower
            await bare_life(pods, moments, 0)
            for number in range(1, ROUNDS + 1):
                say(f"round {number} of {ROUNDS}")
                bare.append(await bare_life(pods, moments, number))
                ours.append(await match_life(here, moments))
    for index, (what, bound) in enumerate((("create -> Ready", 1.1), ("result -> gone", 1.1))):
        plain = percentile([pair[index] for pair in bare], 0.5)
        mine = percentile([pair[index] for pair in ours], 0.5)
        report.figure(f"{what}, bare pod, p50", plain, "s")
        report.figure(f"{what}, match, p50", mine, "s")
        report.figure(f"{what}, ratio", mine / plain, "ratio", at_most=bound)


def main(report: Report) -> None:
    uvloop.run(_bench(report))
