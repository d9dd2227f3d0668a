"""Tickets end to end through REST, Redis and the rule engine, with a launcher that is ready at once.

Throughput counts the CPU seconds of webapi, matchmaker and Redis from the first ticket posted to the last COMPLETED, in
several rounds: a core of a shared machine may be half as fast as it was seconds ago. The promise is on their median.
What the ends of the matches cost, which come later, is a figure of its own.
Latency is what players see: the last ticket that a match needs sent -> its address held by all, at a steady rate.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from statistics import median

import uvloop

from bench.harness import Report, Stack, percentile, say, stack
from bench.load import load, request
from bench.players import Held, guests, register, start_times, until_over, wait_for_match
from core import keys
from core.redis.client import Database, open_database

ROUNDS = 5
TICKETS = 6_000  # a round
PER_S = 500
SECONDS = 20
WARM_S = 3
WAIT_S = 60.0
# Everybody suits everybody, so that the last ticket a match needs is known; the rules are judged all the same.
RULES = {
    "ruleLanguageVersion": "1.0",
    "playerAttributes": [{"name": "skill", "type": "number", "default": 1500}],
    "teams": [{"name": "side", "minPlayers": 1, "maxPlayers": 1, "quantity": 2}],
    "rules": [{"name": "Near", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": 100}],
}
GAME = {"id": "bench", "server": {"arena": {}}, "rules": RULES, "limits": {"servers": 10_000}, "ticket_timeout_s": 600}


async def _completed(db: Database) -> int:
    return int(await db.do("HGET", f"{keys.game('bench')}:stats", "tickets_placed") or 0)


@dataclass(frozen=True)
class Round:
    """Tickets completed a second, and the CPU time that each process spent on one, s: until then, and on the ends."""

    per_s: float
    spent: dict[str, float]
    ends: dict[str, float]


async def _round(services: Stack, db: Database) -> Round:
    tokens = await guests(services.port, TICKETS)
    before, start, done = services.cpu_s(), time.perf_counter(), await _completed(db)
    answers = await load(
        services.port, lambda i: request("POST", "/v1/tickets", token=tokens[i], body={"game": "bench"}), TICKETS
    )
    assert set(answers.statuses) == {201}, answers.statuses
    async with asyncio.timeout(WAIT_S):
        while await _completed(db) < done + TICKETS:
            await asyncio.sleep(0.02)
    seconds, after = time.perf_counter() - start, services.cpu_s()
    await until_over(db, "bench", WAIT_S)
    over = services.cpu_s()
    return Round(
        TICKETS / seconds,
        {name: (after[name] - before[name]) / TICKETS for name in after},
        {name: (over[name] - after[name]) / TICKETS for name in over},
    )


async def _throughput(report: Report, services: Stack, db: Database) -> None:
    say(f"{ROUNDS} times {TICKETS} tickets as fast as they are taken")
    rounds = [await _round(services, db) for _ in range(ROUNDS)]
    report.figure("tickets completed per second, generator beside it", median(it.per_s for it in rounds), "tickets/s")
    for name in rounds[0].spent:
        report.figure(f"CPU of {name} per ticket", median(it.spent[name] for it in rounds) * 1e6, "us")
    ends = median(sum(it.ends.values()) for it in rounds)
    report.figure("CPU of all for the end of a match, per ticket", ends * 1e6, "us")
    per_cpu_s = sorted(1 / sum(it.spent.values()) for it in rounds)
    report.figure("tickets per CPU second, slowest round", per_cpu_s[0], "tickets/s")
    report.figure("tickets per CPU second, fastest round", per_cpu_s[-1], "tickets/s")
    report.figure("tickets per CPU second, all processes", median(per_cpu_s), "tickets/s", at_least=2000)


async def _latency(report: Report, services: Stack) -> None:
    tokens = await guests(services.port, PER_S * (WARM_S + SECONDS))
    say(f"{PER_S} tickets/s for {SECONDS} s")

    async def steady(part: list[str]) -> list[Held]:
        start, tasks = time.perf_counter(), []
        for number, token in enumerate(part):
            await asyncio.sleep(max(0.0, start + number / PER_S - time.perf_counter()))
            tasks.append(asyncio.create_task(wait_for_match(services.port, "bench", token)))
        return list(await asyncio.gather(*tasks))

    await steady(tokens[: PER_S * WARM_S])
    before = services.cpu_s()
    times = start_times(await steady(tokens[PER_S * WARM_S :]))
    after = services.cpu_s()
    for name, used in after.items():
        spent_us = (used - before[name]) / (PER_S * SECONDS) * 1e6
        report.figure(f"CPU of {name} per ticket at {PER_S} tickets/s", spent_us, "us")
    report.figure("matches made at the steady rate", len(times), "matches", at_least=PER_S * SECONDS // 2)
    report.figure(f"last ticket -> COMPLETED at {PER_S} tickets/s, p50", percentile(times, 0.5), "ms")
    report.figure(f"last ticket -> COMPLETED at {PER_S} tickets/s, p99", percentile(times, 0.99), "ms", at_most=50)


async def _bench(report: Report, services: Stack) -> None:
    await register(services.port, GAME)
    async with open_database(services.env["REDIS_URL"]) as db:
        await _throughput(report, services, db)
    await _latency(report, services)


def main(report: Report) -> None:
    with stack() as services:
        services.webapi()
        services.start("matchmaker", "-m", "matchmaker", MUSTER_LAUNCHER="instant")
        uvloop.run(_bench(report, services))
