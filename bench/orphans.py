"""kill -9 of the matchmaker at random moments under load: pods without a live match 30 s later, matches with two pods.

MUSTER_BENCH_SEED repeats the moments of a run, MUSTER_BENCH_KILLS says how many.
"""

from __future__ import annotations

import json
import os
import secrets

import uvloop

from bench.harness import Report, say
from bench.kube import ground
from tests.kube.unrest import Unrest, endure

KILLS = int(os.environ.get("MUSTER_BENCH_KILLS", "50"))


async def _bench(report: Report) -> None:
    seed = int(os.environ.get("MUSTER_BENCH_SEED") or secrets.randbelow(1_000_000))
    unrest = Unrest(KILLS, seed)
    say(f"{KILLS} kills of {unrest.replicas} matchmakers, seed {seed}: {KILLS * unrest.gap_s + unrest.settle_s:g} s")
    async with ground() as here:
        verdict = await endure(here, unrest)
    if verdict.faults:
        say(json.dumps(verdict.faults))
    report.figure("kills", verdict.kills, "kills")
    report.figure("matches made meanwhile", verdict.matches, "matches")
    report.figure("matches still played at the end", verdict.alive, "matches")
    for what, found in (
        ("pods without a live match", verdict.no_match),
        ("matches with two pods, ever", verdict.no_single_pod),
        ("live matches without a pod", verdict.no_pod),
        ("matches neither played nor over", verdict.no_end),
        ("tickets without a match", verdict.no_place),
        ("tickets in two matches", verdict.no_single_place),
    ):
        report.figure(f"{what}, {unrest.settle_s:g} s after the last kill", len(found), "", at_most=0)
    report.figure("matches failed or cut short by it", sum(verdict.no_success.values()), "matches", at_most=0)


def main(report: Report) -> None:
    uvloop.run(_bench(report))
