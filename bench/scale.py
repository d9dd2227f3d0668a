"""An evening in half a minute, on a Redis Cluster of three: does a running Muster cost what core/capacity.py says?

Arrivals of a day (quiet at night, a peak in the evening) are replayed at random moments, for six games at once, against
two webapi replicas and two matchmakers that share the queues, with servers that are ready at once; beside them forty
matches write interactions. Twice: on a day with few players and on one with many, for a ticket costs the less the more
come. CPU of each role is held against the model's figure for the same load: above 1 the model is too hopeful.
MUSTER_BENCH_RATES ("8,128") are the days' tickets a second in the mean. Thousands of pods on fake nodes are
bench/fleet.py: `make bench B="scale fleet"` is both.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import uvloop

from bench.harness import ROOT, Report, Stack, percentile, say, stack
from bench.interaction_load import TICK_HZ, Plan, argv
from bench.players import Held, guests, start_times, wait_for_match
from core.capacity import Costs, Least, Load, need
from core.cli.rest import Rest
from core.redis.embedded import EmbeddedRedis
from tests.redis.backends import cluster_nodes
from tests.support import free_port

GAMES = 6
DAY_S = 30.0
RATES = [float(rate) for rate in os.environ.get("MUSTER_BENCH_RATES", "8,128").split(",")]
NIGHT = 0.3  # of the mean rate; the evening's peak is at 2.5 of it
WRITERS, WRITER_PLAYERS = 40, 10
IDLE_S = 10.0
LEAD_S = 3.0  # before what is measured
START_S = 10.0  # until services that start have come to rest
OVER_S = 1.5  # until the last match is over, which is a ticket's cost too
FLUSH_HZ = 30.0
TRIES = 5
WAIT_S = 20.0
TOO_CAREFUL, TOO_HOPEFUL = 0.5, 1.5  # measured / model
REPLICAS, NODES = 2, 3


def arrivals(chance: random.Random, per_s: float) -> list[float]:
    """Seconds after the beginning at which somebody comes, `per_s` in the mean over the day; an even number."""
    at = 0.0
    times: list[float] = []
    evening_mean = 15 / 24 / 2
    while True:
        hour = at / DAY_S * 24
        evening = max(0.0, math.sin((hour - 9) / 15 * math.pi)) ** 2
        at += chance.expovariate(per_s * (NIGHT + (1 - NIGHT) / evening_mean * evening))
        if at >= DAY_S:
            return times[: len(times) // 2 * 2]
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
                # Where the machine stands still, an instant match may be over before its player has looked.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(WAIT_S):
                        self.held.append(await wait_for_match(port, game, token))
                return
            except RuntimeError as error:
                if " 503 " not in str(error) or number == TRIES - 1:
                    raise
                self.again += 1
                await asyncio.sleep(1)


@dataclass
class Meter:
    """CPU of each role, over a while."""

    services: Stack
    nodes: list[EmbeddedRedis]
    _used: dict[str, float] = field(default_factory=dict)
    _since_s: float = 0.0

    def begin(self) -> None:
        self._used, self._since_s = self._cpu_s(), time.perf_counter()

    def cores(self) -> dict[str, float]:
        """Used since `begin`, by role."""
        seconds = time.perf_counter() - self._since_s
        return {name: (used - self._used[name]) / seconds for name, used in self._cpu_s().items()}

    def _cpu_s(self) -> dict[str, float]:
        found = {"webapi": 0.0, "matchmaker": 0.0, "Redis": 0.0}
        for name, process in self.services.processes.items():
            found[name.partition("-")[0]] += sum(psutil.Process(process.pid).cpu_times()[:2])
        for node in self.nodes:
            assert node.process is not None
            found["Redis"] += sum(psutil.Process(node.process.pid).cpu_times()[:2])
        return found


async def _replay(
    ports: list[int], tokens: list[str], times: list[float], meter: Meter
) -> tuple[Day, dict[str, float]]:
    """The day, and cores used in it by role, until those who came last have played."""
    day = Day()
    meter.begin()
    start, tasks = time.perf_counter(), []
    for number, (at, token) in enumerate(zip(times, tokens, strict=True)):
        await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
        game = f"bench{number // 2 % GAMES}"  # two after each other meet
        tasks.append(asyncio.create_task(day.player(ports[number % len(ports)], game, token)))
    await asyncio.sleep(max(0.0, start + DAY_S + OVER_S - time.perf_counter()))
    used = meter.cores()
    await asyncio.gather(*tasks)
    return day, used


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


def _model(tickets_s: float, *, games: int = GAMES, writers: int = WRITERS) -> dict[str, float]:
    """Cores that the model says: of so many tickets a second, nobody in the lobby, no pods, and the writers beside."""
    cycle_s = 1000.0
    tickets = Load(
        players=round(tickets_s * cycle_s), per_match=2, match_s=cycle_s, wait_s=0, lobby_s=0, actions_hz=0,
        new_hour=0, games=games,
    )  # fmt: skip
    writing = Load(
        players=writers * WRITER_PLAYERS, per_match=WRITER_PLAYERS, match_s=1e9, wait_s=0, lobby_s=0,
        actions_hz=TICK_HZ, flush_hz=FLUSH_HZ, new_hour=0, games=0,
    )  # fmt: skip
    costs = Costs(matchmaker_start=0.0, matchmaker_match=0.0)
    least = Least(webapi=REPLICAS, matchmaker=REPLICAS, redis=NODES)
    cores = {part.name: part.cores for part in need(tickets, costs, least=least)}
    without = replace(costs, redis_base=0.0)
    cores["Redis"] += next(part.cores for part in need(writing, without) if part.name == "Redis")
    return cores


def _compare(report: Report, when: str, used: Mapping[str, float], model: Mapping[str, float]) -> None:
    for name, cores in used.items():
        report.figure(f"{when}, {name}: cores used", cores, "cores")
        report.figure(f"{when}, {name}: cores the model says", model[name], "cores")
        ratio = cores / model[name]
        report.figure(f"{when}, {name}: used / model", ratio, "ratio", at_most=TOO_HOPEFUL)
        report.figure(f"{when}, {name}: the same", ratio, "ratio", at_least=TOO_CAREFUL)


async def _day(report: Report, ports: list[int], url: str, meter: Meter, rate: float) -> None:
    times = arrivals(random.Random(20261121), rate)
    tokens = await guests(ports[0], len(times))
    when = f"{rate:g} tickets/s"
    say(f"a day in {DAY_S:g} s: {len(times)} players of {GAMES} games, {WRITERS} matches that write")
    with _writers(url, DAY_S + OVER_S) as writing:
        await asyncio.sleep(LEAD_S)
        day, used = await _replay(ports, tokens, times, meter)
        written: dict[str, Any] = json.loads((await asyncio.to_thread(writing.communicate))[0])
    took = start_times(day.held)
    report.figure(f"{when}: players who came; all have a match", len(day.held), "players", at_least=len(times))
    report.figure(f"{when}: told to come again", day.again, "requests")
    report.figure(f"{when}: interactions durable meanwhile", written["written"] / written["wall_s"], "1/s")
    report.figure(f"{when}: interactions dropped", written["dropped"], "interactions", at_most=0)
    report.figure(f"{when}: last ticket -> both hold the address, p50", percentile(took, 0.5), "ms")
    report.figure(f"{when}: last ticket -> both hold the address, p99", percentile(took, 0.99), "ms")
    _compare(report, when, used, _model(len(times) / (DAY_S + OVER_S)))


async def _idle(report: Report, meter: Meter, games: int) -> None:
    await asyncio.sleep(LEAD_S)
    meter.begin()
    await asyncio.sleep(IDLE_S)
    _compare(report, f"nobody there, {games} games", meter.cores(), _model(0.0, games=games, writers=0))


async def _bench(report: Report, services: Stack, ports: list[int], url: str, nodes: list[EmbeddedRedis]) -> None:
    meter = Meter(services, nodes)
    await _idle(report, meter, 0)
    rest = Rest(services.url)
    who = {"name": "bench", "password": "bench password", "role": "developer"}
    rest.token = rest.call("POST", "/v1/accounts", who)["access_token"]
    for number in range(GAMES):
        game = {"id": f"bench{number}", "players_per_match": 2, "server": {"arena": {}}, "limits": {"servers": 10_000}}
        rest.call("POST", "/v1/games", game)
    await _idle(report, meter, GAMES)
    for rate in RATES:
        await _day(report, ports, url, meter, rate)


def main(report: Report) -> None:
    """Replay the days."""
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
            time.sleep(START_S)
            uvloop.run(_bench(report, services, [services.port, second], url, nodes))
