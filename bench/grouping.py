"""One full grouping pass over 1,000, 10,000 and 100,000 waiting tickets, on one core.

Tickets hold one to five players; skills are within 50 points, later 100 and 200, of each other; one region under 80 ms
is common to all ten players of a match; two teams of five. A pass counts from the pool to proposals with their regions,
in CPU seconds of this single-threaded process, so that neighbours on the machine do not count. Then, under each example
rule set, passes over those who wait while nobody can be matched.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import time

import numpy as np

from bench.harness import ROOT, Report, percentile, say
from bench.quality import WORLDS, World, arrivals
from core.model import TicketPlayer, Waiting
from core.rules import parse
from matchmaker.rules import Pass, Pool, form

SIZES = (1_000, 10_000, 100_000)
PASSES = 3  # the median counts
ARRIVALS = 600  # under each example rule set, one pass after each
NOW_MS = 1_000_000
RULES = {
    "ruleLanguageVersion": "1.0",
    "playerAttributes": [{"name": "skill", "type": "number"}],
    "teams": [{"name": name, "minPlayers": 5, "maxPlayers": 5} for name in ("red", "blue")],
    "rules": [
        {"name": "Skill", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": 50},
        {"name": "Ping", "type": "latency", "maxLatency": 80},
    ],
    "expansions": [
        {
            "target": "rules[Skill].maxDistance",
            "steps": [{"waitTimeSeconds": 10, "value": 100}, {"waitTimeSeconds": 20, "value": 200}],
        }
    ],
}


def tickets_of(number: int) -> list[Waiting]:
    """Normal skills, ages up to 30 s, four regions of which one or two are near."""
    dice = np.random.default_rng(number)
    sizes, waits = dice.integers(1, 6, number).tolist(), dice.integers(0, 30_000, number).tolist()
    skills, homes = dice.normal(1500, 350, number).tolist(), dice.integers(0, 4, number).tolist()
    pings = dice.uniform(15, 60, number).tolist()
    made = []
    for i in range(number):
        latencies = {f"r{r}": pings[i] + (30 + 20 * ((r - homes[i]) % 4) if r != homes[i] else 0) for r in range(4)}
        spread = dice.normal(skills[i], 10, sizes[i]).tolist()
        players = [TicketPlayer(f"{i}-{k}", "", {"skill": skill}, latencies) for k, skill in enumerate(spread)]
        made.append(Waiting(f"t{i}", NOW_MS - waits[i], players))
    return made


def _measure(report: Report, number: int) -> float:
    """Seconds of a pass over `number` tickets; prints what it achieved."""
    rules = parse(RULES)
    waiting = tickets_of(number)
    started = time.process_time()
    pool = Pool.of(rules, waiting)
    report.figure(f"{number} tickets: take one into the pool", (time.process_time() - started) / number * 1e6, "us")
    seconds: list[float] = []
    result: Pass | None = None
    for seed in range(PASSES):
        started = time.process_time()
        result = form(pool, rules, NOW_MS, seed)
        seconds.append(time.process_time() - started)
    assert result is not None
    report.figure(f"{number} tickets: matches of one pass", len(result.proposals), "matches")
    report.figure(f"{number} tickets: share matched in one pass", 1 - result.waiting / number, "ratio")
    for proposal in result.proposals:
        for ticket in proposal.tickets:
            pool.remove(ticket)
    started = time.process_time()
    form(pool, rules, NOW_MS, PASSES)
    report.figure(f"{number} tickets: a pass over those left over", (time.process_time() - started) * 1000, "ms")
    return sorted(seconds)[PASSES // 2]


def _in_vain(report: Report, world: World) -> None:
    """Passes over what waits under an example rule set while nobody can be matched: most passes of a quiet queue."""
    rules = parse(json.loads((ROOT / "examples" / "rulesets" / f"{world.rules}.json").read_text()))
    pool, seconds, waited = Pool(rules), list[float](), 0
    for ticket in arrivals(world, seed=1)[:ARRIVALS]:
        pool.add(ticket)
        started = time.process_time()
        result = form(pool, rules, ticket.since_ms, ticket.since_ms)
        if not result.proposals:
            seconds.append(time.process_time() - started)
            waited = max(waited, len(pool))
        for proposal in result.proposals:
            for name in proposal.tickets:
                pool.remove(name)
    report.figure(f"{world.rules}: most who waited in vain", waited, "tickets")
    report.figure(f"{world.rules}: a pass that matches nobody, p50", percentile(seconds, 0.5) * 1000, "ms")
    p90 = percentile(seconds, 0.9) * 1000
    report.figure(f"{world.rules}: ... p90", p90, "ms", at_most=20)
    report.figure(f"{world.rules}: ... worst", max(seconds) * 1000, "ms")


def main(report: Report) -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        taken = {}
        for number in SIZES:
            say(f"{number} tickets")
            taken[number] = _measure(report, number)
            bound = 1.0 if number == max(SIZES) else None
            report.figure(f"{number} tickets: one full pass on one core", taken[number], "s", at_most=bound)
        for fewer, more in itertools.pairwise(SIZES):
            most = more * math.log(more) / (fewer * math.log(fewer))
            growth = taken[more] / taken[fewer]
            report.figure(f"{fewer} to {more} tickets: growth, at most n log n", growth, "ratio", at_most=most)
        for world in WORLDS:
            say(f"{ARRIVALS} tickets of {world.rules}")
            _in_vain(report, world)
    finally:
        os.sched_setaffinity(0, cores)
