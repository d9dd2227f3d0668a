"""An evening in a minute, on a Redis Cluster of three: does a running Muster cost what core/capacity.py says?

Arrivals of a day (quiet at night, a peak in the evening) are replayed at random moments, for six games at once, against
two webapi replicas and two matchmakers that share the queues, with servers that are ready at once; beside them forty
matches write interactions. CPU of each role is held against the model's figure for the same load: above 1 the model is
too hopeful. Thousands of pods on fake nodes are bench/fleet.py: `make bench B="scale fleet"` is both.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import uvloop

from bench.harness import ROOT, Report, Stack, percentile, say, stack
from bench.interaction_load import TICK_HZ, Plan, argv
from bench.players import Held, guests, start_times, wait_for_match
from core.capacity import Costs, Load, need
from core.cli.rest import Rest
from core.redis.embedded import EmbeddedRedis
from tests.redis.backends import cluster_nodes
from tests.support import free_port

GAMES = 6
DAY_S = 48.0  # an hour in two seconds
NIGHT_PER_S, EVENING_PER_S = 20.0, 160.0
WRITERS, WRITER_PLAYERS = 40, 10
IDLE_S = 10.0
LEAD_S = 3.0  # before what is measured
FLUSH_HZ = 30.0
TRIES = 5
TOO_HOPEFUL = 1.5  # measured / model


def arrivals(chance: random.Random) -> list[float]:
    """Seconds after the beginning at which somebody comes."""
    at, times = 0.0, []
    while True:
        hour = at / DAY_S * 24
        evening = max(0.0, math.sin((hour - 9) / 15 * math.pi)) ** 2
        at += chance.expovariate(NIGHT_PER_S + (EVENING_PER_S - NIGHT_PER_S) * evening)
        if at >= DAY_S:
            return times
        times.append(at)


@dataclass
class Day:
    """Who came. `again` counts requests that were told to come again, as a busy machine may have to."""

    held: list[Held] = field(default_factory=list)
    again: int = 0

    async def player(self, port: int, game: str, token: str) -> None:
        """Queue, and be matched. Raises RuntimeError for any other answer, or after TRIES."""
        for number in range(TRIES):
            try:
                self.held.append(await wait_for_match(port, game, token))
                return
            except RuntimeError as error:
                if " 503 " not in str(error) or number == TRIES - 1:
                    raise
                self.again += 1
                await asyncio.sleep(1)


async def _replay(ports: list[int], tokens: list[str], times: list[float]) -> Day:
    day = Day()
    start, tasks = time.perf_counter(), []
    for number, (at, token) in enumerate(zip(times, tokens, strict=True)):
        await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
        game = f"bench{number // 2 % GAMES}"  # two after each other meet
        tasks.append(asyncio.create_task(day.player(ports[number % len(ports)], game, token)))
    await asyncio.gather(*tasks)
    return day


@contextmanager
def _writers(url: str, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Matches that write interactions to the cluster meanwhile."""
    begin_s = time.monotonic() + LEAD_S
    ids = [f"m-{number:026}" for number in range(WRITERS)]
    plan = Plan(
        "write", url, "bench0", ids, players=WRITER_PLAYERS, begin_s=begin_s, end_s=begin_s + seconds, reads_hz=0
    )
    process = subprocess.Popen(argv(plan), cwd=ROOT, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _cpu_s(services: Stack, nodes: list[EmbeddedRedis]) -> dict[str, float]:
    found = {"webapi": 0.0, "matchmaker": 0.0, "Redis": 0.0}
    for name, process in services.processes.items():
        found[name.partition("-")[0]] += sum(psutil.Process(process.pid).cpu_times()[:2])
    for node in nodes:
        assert node.process is not None
        found["Redis"] += sum(psutil.Process(node.process.pid).cpu_times()[:2])
    return found


def _model(tickets_s: float) -> dict[str, float]:
    """Cores that the model says: of so many tickets a second, nobody in the lobby, no pods, and the writers beside."""
    cycle_s = 1000.0
    tickets = Load(
        players=round(tickets_s * cycle_s), per_match=2, match_s=cycle_s, wait_s=0, lobby_s=0, actions_hz=0,
        new_hour=0,
    )  # fmt: skip
    writing = Load(
        players=WRITERS * WRITER_PLAYERS, per_match=WRITER_PLAYERS, match_s=1e9, wait_s=0, lobby_s=0,
        actions_hz=TICK_HZ, flush_hz=FLUSH_HZ, new_hour=0,
    )  # fmt: skip
    costs = Costs(matchmaker_start=0.0, matchmaker_match=0.0)
    cores = {part.name: part.cores for part in need(tickets, costs)}
    cores["Redis"] += next(part.cores for part in need(writing, costs) if part.name == "Redis")
    return cores


async def _bench(report: Report, services: Stack, ports: list[int], url: str, nodes: list[EmbeddedRedis]) -> None:
    rest = Rest(services.url)
    who = {"name": "bench", "password": "bench password", "role": "developer"}
    rest.token = rest.call("POST", "/v1/accounts", who)["access_token"]
    for number in range(GAMES):
        game = {"id": f"bench{number}", "players_per_match": 2, "server": {"arena": {}}, "limits": {"servers": 10_000}}
        rest.call("POST", "/v1/games", game)
    idle = _cpu_s(services, nodes)
    await asyncio.sleep(IDLE_S)
    idle = {name: (used - idle[name]) / IDLE_S for name, used in _cpu_s(services, nodes).items()}
    times = arrivals(random.Random(20261121))
    tokens = await guests(ports[0], len(times))
    say(f"a day in {DAY_S:g} s: {len(times)} players of {GAMES} games, {WRITERS} matches that write")
    with _writers(url, DAY_S) as writing:
        await asyncio.sleep(LEAD_S)
        before = _cpu_s(services, nodes)
        day = await _replay(ports, tokens, times)
        after = _cpu_s(services, nodes)
        written: dict[str, Any] = json.loads((await asyncio.to_thread(writing.communicate))[0])
    took = start_times(day.held)
    report.figure("players who came; all have a match", len(day.held), "players", at_least=len(times))
    report.figure("... told to come again", day.again, "requests")
    report.figure("tickets a second: mean, over the day", len(times) / DAY_S, "1/s")
    report.figure("interactions durable meanwhile", written["written"] / written["wall_s"], "1/s")
    report.figure("... dropped", written["dropped"], "interactions", at_most=0)
    report.figure("last ticket -> both hold the address, p50", percentile(took, 0.5), "ms")
    report.figure("last ticket -> both hold the address, p99", percentile(took, 0.99), "ms")
    model = _model(len(times) / DAY_S)
    for name in before:
        cores = (after[name] - before[name]) / DAY_S
        report.figure(f"{name}: cores when nobody is there", idle[name], "cores")
        report.figure(f"{name}: cores used", cores, "cores")
        report.figure(f"{name}: cores the model says", model[name], "cores")
        report.figure(f"{name}: used / model", cores / model[name], "ratio", at_most=TOO_HOPEFUL)


def main(report: Report) -> None:
    """Replay the day."""
    with tempfile.TemporaryDirectory(prefix="muster-scale-") as folder, cluster_nodes(Path(folder)) as nodes:
        url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
        with stack() as services:
            services.env["REDIS_URL"] = url
            services.webapi()
            second = free_port()
            names = ("MUSTER_WEBAPI_AUTH_PORT", "MUSTER_WEBAPI_METRICS_PORT", "MUSTER_MATCHMAKER_METRICS_PORT")
            more = {name: str(free_port()) for name in names}
            services.start("webapi-2", "-m", "webapi", MUSTER_WEBAPI_PORT=str(second), **more)
            for number in (1, 2):
                metrics = {"MUSTER_MATCHMAKER_METRICS_PORT": str(free_port())}
                services.start(f"matchmaker-{number}", "-m", "matchmaker", MUSTER_LAUNCHER="instant", **metrics)
            time.sleep(LEAD_S)
            uvloop.run(_bench(report, services, [services.port, second], url, nodes))
