"""UDP datagrams of several inputs each -> arena -> Redis: interactions that one CPU-second of the game server takes.

The players are those of `bench/gamepod.py`; each of their datagrams brings several moves, as a game client that samples
its player faster than it sends. What the server spends on ticks and on the players' snapshots counts too. Figures are
from the server's own metrics: interactions acknowledged by the log, and CPU time of its process.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import urllib.request

import uvloop

from bench.by_hand import make_match, ready, tokens, udp_port
from bench.harness import ROOT, Report, Stack, say, stack
from core.redis.client import Database, open_database
from tests.support import free_port

SECONDS = 12.0
JOINED_S = 3.0
ROUNDS = 3
WRITTEN, SPENT = "muster_interactions_written_total", "process_cpu_seconds_total"
# What the server would not take in though it came in time. Moves of a destroyed tank, shots too soon: that is the game.
BOUNDS = [f'muster_arena_commands_refused_total{{reason="{why}"}}' for why in ("too-many-commands", "out-of-window")]
# players, datagrams a second of each, moves in each, snapshots a second
LOADS = ((100, 30, 8, 60), (100, 30, 8, 20))


def _figures(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, value in lines}


async def _run(services: Stack, db: Database, players: int, hz: int, moves: int, tick_hz: int) -> dict[str, float]:
    """Interactions a second and for each CPU-second, and how many commands were over a bound."""
    rules = {
        "time_limit_s": 600, "score_limit": 0, "tick_rate_hz": tick_hz, "max_commands_per_second": 2 * hz * moves,
        "max_commands_per_tick": 256,
    }  # fmt: skip
    made = await make_match(services, db, players=players, arena=rules)
    port = free_port()
    process = made.start(metrics_port=port)
    udp = udp_port(await ready(db, made.match.id))
    load = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.udp_players", str(udp), str(SECONDS), str(hz), str(moves), cwd=ROOT,
        env=services.env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    talk = asyncio.create_task(load.communicate(tokens(services, made.match).encode()))
    await asyncio.sleep(JOINED_S)
    before = await asyncio.to_thread(_figures, port)
    await asyncio.sleep(SECONDS - JOINED_S - 1)
    after = await asyncio.to_thread(_figures, port)
    await talk
    process.terminate()
    await asyncio.to_thread(process.wait)
    written, spent = (after[name] - before[name] for name in (WRITTEN, SPENT))
    refused = sum(value for name, value in after.items() if name in BOUNDS)
    return {
        "per_cpu_s": written / spent,
        "per_s": written / (SECONDS - JOINED_S - 1),
        "cores": spent / (SECONDS - JOINED_S - 1),
        "refused": refused,
    }


async def _measure(report: Report, services: Stack) -> None:
    async with open_database(services.redis.url) as db:
        for players, hz, moves, tick_hz in LOADS:
            name = f"{players} players, {hz} datagrams/s of {moves} moves each, ticks at {tick_hz} Hz"
            say(name)
            runs = [await _run(services, db, players, hz, moves, tick_hz) for _ in range(ROUNDS)]
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            report.figure(f"{name}: interactions for a CPU-second", middle["per_cpu_s"], "1/s", at_least=50_000)
            report.figure(f"{name}: interactions in the log", middle["per_s"], "1/s")
            report.figure(f"{name}: share of a core", middle["cores"], "cores")
            report.figure(f"{name}: commands over a bound", middle["refused"], "")


def main(report: Report) -> None:
    with stack() as services:
        uvloop.run(_measure(report, services))
