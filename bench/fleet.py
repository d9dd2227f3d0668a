"""Thousands of matches on the real API server with fake nodes: starts through the launcher beside raw creates.

Both make the same pods. Raw is one connection that makes one after the other, as fast as the API server answers it;
the launcher builds, creates, and takes in what the watch tells of them meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace

import psutil
import uvloop

from bench.harness import Report, say
from bench.kube import Pods, ground
from core.jointoken import match_key
from core.model import Match, ports_of
from matchmaker.launch import host_ports
from matchmaker.launch.kubernetes import KubernetesLauncher
from matchmaker.launch.pod import Given, pod_document
from tests.cluster.fake_nodes import FakeNodes
from tests.kube.fleet import fleet_settings
from tests.kube.ground import SECRET, Ground, a_match
from tests.support import eventually

SERVERS = int(os.environ.get("MUSTER_BENCH_SERVERS", "2000"))
PROBE = 300  # pods of each way for the ratio
PER_S = 20.0  # starts and ends per second at the full number
STEADY_S = 10


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


async def _start(launcher: KubernetesLauncher, count: int, width: int) -> tuple[list[Match], float]:
    """Start so many, `width` at once. Returns them, and starts per second."""
    matches = [a_match() for _ in range(count)]
    waiting = iter(matches)

    async def work() -> None:
        for match in waiting:
            await launcher.start(match)

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(width)))
    return matches, count / (time.perf_counter() - start)


async def _steady(launcher: KubernetesLauncher, matches: list[Match]) -> float:
    """Start and end PER_S each second; returns the share of a core that all of this process takes for it."""
    process = psutil.Process()
    before, start = sum(process.cpu_times()[:2]), time.perf_counter()
    for number in range(int(PER_S * STEADY_S)):
        await asyncio.sleep(max(0.0, start + number / PER_S - time.perf_counter()))
        await launcher.stop(matches[number].id, 1.0)
        await launcher.start(a_match())
        await launcher.seen()
    return (sum(process.cpu_times()[:2]) - before) / (time.perf_counter() - start)


async def _bench(report: Report) -> None:
    async with ground() as here, here.cluster.api.session() as session, FakeNodes(here.cluster.api, 20):
        await _raw(here, Pods(session))  # an API server that has just started is slower
        raw = await _raw(here, Pods(session))
        async with here.launcher(**fleet_settings()) as launcher:
            _, alone = await _start(launcher, PROBE, 1)
            say(f"starting {SERVERS} servers")
            matches, wide = await _start(launcher, SERVERS - PROBE, here.settings.writes)

            async def placed() -> bool:
                return launcher.pending == 0

            await eventually(placed, within_s=180.0, every_s=0.5)
            cores = await _steady(launcher, matches)
            rss = psutil.Process().memory_info().rss / 1e6
    report.figure("raw pod creates, one connection", raw, "per s")
    report.figure("starts through the launcher, one at a time", alone, "per s")
    report.figure("starts through the launcher, as many at once as it may", wide, "per s")
    report.figure("launcher / raw, both one at a time", alone / raw, "ratio", at_least=0.9)
    report.figure(
        f"cores at {SERVERS} servers, {PER_S:g} starts and ends a second, fake kubelets included", cores, "cores"
    )
    report.figure(f"memory at {SERVERS} servers, fake kubelets included", rss, "MB")


def main(report: Report) -> None:
    uvloop.run(_bench(report))
