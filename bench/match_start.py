"""Last ticket sent -> every player holds the address.

Control plane alone: a launcher that is ready at once, 100 matches/s of two, generator and all on the same cores.
With the process launcher: beside the time in which the same server process starts by hand.
"""

from __future__ import annotations

import asyncio
import time

import uvloop

from bench.by_hand import start_by_hand
from bench.harness import Report, Stack, percentile, say, stack
from bench.players import Held, guests, register, start_times, wait_for_match

MATCHES_PER_S = 100
WARM_S = 3
SECONDS = 20
PROCESS_MATCHES = 15


async def _steady(port: int, tokens: list[str], per_s: float) -> list[Held]:
    """Queue one player after the other at a steady rate; all of them held."""
    start, tasks = time.perf_counter(), []
    for number, token in enumerate(tokens):
        await asyncio.sleep(max(0.0, start + number / per_s - time.perf_counter()))
        tasks.append(asyncio.create_task(wait_for_match(port, "bench", token)))
    return list(await asyncio.gather(*tasks))


async def _control_plane(report: Report, services: Stack) -> None:
    await register(
        services.port,
        {"id": "bench", "players_per_match": 2, "server": {"arena": {}}, "limits": {"servers": 10_000}},
    )
    per_s = 2 * MATCHES_PER_S
    tokens = await guests(services.port, per_s * (WARM_S + SECONDS))
    say(f"{MATCHES_PER_S} matches/s for {SECONDS} s")
    await _steady(services.port, tokens[: per_s * WARM_S], per_s)
    before = services.cpu_s()
    held = await _steady(services.port, tokens[per_s * WARM_S :], per_s)
    after = services.cpu_s()
    times = start_times(held)
    report.figure("control plane: matches made", len(times), "matches", at_least=MATCHES_PER_S * SECONDS)
    report.figure("control plane: last ticket -> all hold the address, p50", percentile(times, 0.5), "ms")
    report.figure("control plane: last ticket -> all hold the address, p99", percentile(times, 0.99), "ms", at_most=50)
    for name in after:
        report.figure(f"control plane: cores used by {name}", (after[name] - before[name]) / SECONDS, "cores")


async def _processes(report: Report, services: Stack) -> None:
    await register(services.port, {"id": "bench", "players_per_match": 2, "server": {"arena": {"time_limit_s": 1}}})
    tokens = await guests(services.port, 2 * PROCESS_MATCHES)
    held: list[Held] = []
    hand: list[float] = []
    for number in range(PROCESS_MATCHES):
        pair = tokens[2 * number : 2 * number + 2]
        held += await asyncio.gather(*(wait_for_match(services.port, "bench", token) for token in pair))
        hand.append(await start_by_hand(services))
    times = start_times(held)
    report.figure("process launcher: last ticket -> all hold the address, p50", percentile(times, 0.5), "ms")
    report.figure("process launcher: the same server started by hand -> Ready, p50", percentile(hand, 0.5), "ms")
    report.figure("process launcher: ratio of the two", percentile(times, 0.5) / percentile(hand, 0.5), "ratio")


def main(report: Report) -> None:
    with stack() as services:
        services.webapi()
        services.start("matchmaker", "-m", "matchmaker", MUSTER_LAUNCHER="instant")
        uvloop.run(_control_plane(report, services))
    with stack() as services:
        services.webapi()
        services.start("matchmaker", "-m", "matchmaker")
        uvloop.run(_processes(report, services))
