"""Thousands of matches on the real API server, with fake nodes.

First the launcher alone, beside raw creates. Both make the same pods: raw is one connection that makes one after the
other, as fast as the API server answers it; the launcher builds, creates, and takes in what the watch tells meanwhile.

Then a whole matchmaker process, with servers that attach, become ready, beat and finish through Redis as real ones do.
From a ticket's entry in the queue to its match Ready is the control plane's time: no container starts on fake nodes.
Everything shares the machine with the API server, etcd and the scheduler, which take most of it.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace

import psutil
import uvloop

from bench.harness import Report, percentile, say
from bench.kube import PLAYERS, Pods, ground
from core import keys
from core.doorbell import Doorbell, open_doorbell
from core.jointoken import match_key
from core.model import ports_of
from core.redis.client import Database
from matchmaker.launch import host_ports
from matchmaker.launch.kubernetes import KubernetesLauncher
from matchmaker.launch.pod import Given, pod_document
from tests.cluster.fake_nodes import FakeNodes
from tests.kube.fake_servers import FakeServers, fake_servers
from tests.kube.fleet import fleet_env, fleet_game, fleet_settings
from tests.kube.ground import GAME, SECRET, Ground, a_match
from tests.matchmaker.support import queue, register
from tests.support import eventually

SERVERS = int(os.environ.get("MUSTER_BENCH_SERVERS", "2000"))
PROBE = 100  # pods of each way for a ratio
ROUNDS = 15  # ... in turn, after one that does not count
NODES = 20
RAMP_PER_S = 40.0  # the scheduler itself binds 50 a second
PER_S = 20.0  # starts and ends per second at the full number
STEADY_S = 30
IDLE_S = 10.0
REPORTED = 20_000  # characters of what matchmakers and pods say where not all came up


async def _raw(here: Ground, pods: Pods) -> float:
    """Creates per second of one connection."""
    settings = replace(here.settings, **fleet_settings())
    matches = [a_match() for _ in range(PROBE)]
    start = time.perf_counter()
    for number, match in enumerate(matches):
        ports = host_ports.inside(ports_of(match.server), 20_000 + number)
        await pods.create(pod_document(match, settings, Given("raw", match_key(SECRET, match.id), ports)))
    spent = time.perf_counter() - start
    for match in matches:
        await pods.delete(match.id)
    return PROBE / spent


async def _launched(launcher: KubernetesLauncher) -> float:
    """Starts per second through the launcher, one after the other. All are ended again."""
    matches = [a_match() for _ in range(PROBE)]
    start = time.perf_counter()
    for match in matches:
        await launcher.start(match)
    spent = time.perf_counter() - start
    for match in matches:
        await launcher.stop(match.id, 1.0)
    return PROBE / spent


class Load:
    """Tickets and ends at a given pace."""

    def __init__(self, db: Database, bell: Doorbell, servers: FakeServers) -> None:
        self._db, self._bell, self._servers = db, bell, servers

    async def start(self, count: int, per_s: float, *, end: bool) -> list[str]:
        """Queue so many tickets, a match each; with `end` the oldest match ends for each. Returns the tickets."""
        start, tickets = time.perf_counter(), []
        for number in range(count):
            await asyncio.sleep(max(0.0, start + number / per_s - time.perf_counter()))
            tickets.append(await queue(self._db, GAME, players=PLAYERS))
            self._bell.ring("queue", [GAME])
            if end:
                self._servers.finish()
        return tickets

    async def waited_s(self, tickets: list[str]) -> list[float]:
        """Seconds from each ticket's entry to its match Ready, once all are."""
        rows = await eventually(lambda: self._ready(tickets), within_s=120.0, every_s=0.5)
        return [(int(ready) - int(since)) / 1000 for since, ready in rows]

    async def _ready(self, tickets: list[str]) -> list[tuple[str, str]]:
        found = await self._db.do_many([("HMGET", keys.ticket(GAME, name), "since_ms", "match") for name in tickets])
        if not all(match for _, match in found):
            return []
        ready = await self._db.do_many([("HGET", keys.match(GAME, match), "ready_ms") for _, match in found])
        return [(since, at) for (since, _), at in zip(found, ready, strict=True)] if all(ready) else []


class Share:
    """Cores that a process takes between two looks."""

    def __init__(self, pid: int) -> None:
        self.process = psutil.Process(pid)
        self._at, self._used = time.perf_counter(), 0.0

    def cores(self) -> float:
        """Since the last look."""
        at, used = self._at, self._used
        self._at, self._used = time.perf_counter(), sum(self.process.cpu_times()[:2])
        return (self._used - used) / (self._at - at)


async def _whole(here: Ground, report: Report) -> None:
    url = here.matchmakers.env["REDIS_URL"]
    await register(here.db, GAME, fleet_game(SERVERS + 500))
    async with (
        fake_servers(url) as servers,
        FakeNodes(here.cluster.api, NODES, program=servers),
        open_doorbell(here.db) as bell,
    ):
        share = Share(here.matchmakers.start(**fleet_env(), MUSTER_POLL_S="1").pid)
        load = Load(here.db, bell, servers)
        say(f"bringing {SERVERS} matches up")
        await load.waited_s(await load.start(SERVERS, RAMP_PER_S, end=False))
        share.cores()
        await asyncio.sleep(IDLE_S)
        report.figure(f"matchmaker at {SERVERS} running matches, nothing starting", share.cores(), "cores")
        before, everybody = here.cluster.request_counts(), psutil.cpu_times()
        say(f"{PER_S:g} starts and ends a second for {STEADY_S} s")
        tickets = await load.start(int(PER_S * STEADY_S), PER_S, end=True)
        cores, busy = share.cores(), _busy(everybody)
        waited = await load.waited_s(tickets)
        writes = here.cluster.request_counts().since(before).writes(without=["events", "leases"]) / len(tickets)
        rss = share.process.memory_info().rss / 1e6
    report.figure(f"matchmaker at {SERVERS} matches, {PER_S:g} starts and ends a second", cores, "cores")
    report.figure("... the whole machine meanwhile, the share that was busy", busy, "share")
    report.figure("... memory of the matchmaker (RSS)", rss, "MB")
    report.figure("... ticket -> Ready, p50", percentile(waited, 0.5), "s")
    report.figure("... ticket -> Ready, p99", percentile(waited, 0.99), "s")
    report.figure("... ticket -> Ready, most", max(waited), "s")
    report.figure("... writes at the API server a match, 2 of them the matchmaker's", writes, "writes")


def _busy(before: object) -> float:
    """Share of all cores' time that was not idle since `before`."""
    spent = [now - then for now, then in zip(psutil.cpu_times(), before, strict=True)]  # type: ignore[call-overload]
    return 1.0 - spent[3] / sum(spent)


async def _ratio(here: Ground, report: Report) -> None:
    pairs = []
    async with (
        here.cluster.api.session() as session,
        FakeNodes(here.cluster.api, NODES),
        here.launcher(**fleet_settings()) as launcher,
    ):
        ways = {"raw": lambda: _raw(here, Pods(session)), "launcher": lambda: _launched(launcher)}
        for number in range(ROUNDS + 1):
            spent = {}
            for way in sorted(ways, reverse=number % 2 == 0):  # who comes first is not always the same
                spent[way] = await ways[way]()
                await here.gone()
            pairs.append((spent["raw"], spent["launcher"]))
    del pairs[0]  # an API server that has just started is slower
    # Of each round by itself: what else the machine does changes between them.
    ratios = [launched / raw for raw, launched in pairs]
    report.figure("raw pod creates, one connection", percentile([raw for raw, _ in pairs], 0.5), "per s")
    report.figure("starts through the launcher, one at a time", percentile([it for _, it in pairs], 0.5), "per s")
    report.figure("launcher / raw, median of rounds", percentile(ratios, 0.5), "ratio", at_least=0.9)
    report.figure("... lower quartile", percentile(ratios, 0.25), "ratio")
    report.figure("... upper quartile", percentile(ratios, 0.75), "ratio")


async def _bench(report: Report) -> None:
    async with ground() as here:
        await _ratio(here, report)
        try:
            await _whole(here, report)
        except AssertionError:
            say(here.report()[-REPORTED:])
            raise


def main(report: Report) -> None:
    uvloop.run(_bench(report))
