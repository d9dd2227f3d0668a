"""What it costs to be able to say why: tickets explained a CPU second, and the share of a pass that statistics take.

The queue of `bench.grouping`, 10,000 tickets, and the first hundred of a day under each example rule set. A pass is a
matchmaker's, read and claimed through a real Redis; its statistics are the counts of rejections, its time, and waits
and quality of each match that was made. The two ways of a pass take turns, and the least of each counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Final, cast

import msgspec
import uvloop
from prometheus_client import CollectorRegistry

from bench.grouping import NOW_MS, RULES, tickets_of
from bench.harness import ROOT, Report, Stack, say, stack
from bench.quality import WORLDS, arrivals
from core import keys, log
from core.clock import now_ms
from core.doorbell import Doorbell, open_doorbell
from core.model import Game, GameSpec, Limits, Match, Server, Waiting
from core.redis.client import Database, function_call, open_database
from core.rules import RuleSet, parse
from matchmaker.insight import Insight
from matchmaker.launch.base import Launcher
from matchmaker.matching import Matching
from matchmaker.metrics import Metrics
from matchmaker.mirror import Mirror
from matchmaker.rules import Pool, form
from matchmaker.settings import Settings
from matchmaker.shared import Shared
from matchmaker.store import Changes, GameStore, Queued

TICKETS: Final = 10_000
FEW: Final = 100
TIMES: Final = 5


class _Queue:
    """What a mirror reads of Redis."""

    def __init__(self, tickets: Sequence[Waiting]) -> None:
        self._tickets = {ticket.id: ticket for ticket in tickets}

    async def queue_changes(self, place: str, most: int, whole_most: int) -> Changes:
        return Changes("1", more=False, whole=None if place else list(self._tickets))

    async def waiting(self, ids: Sequence[str]) -> list[Queued | str]:
        return [Queued(self._tickets[name], searched=True) for name in ids]


def _mirrored(rules: RuleSet, tickets: Sequence[Waiting]) -> tuple[Insight, Pool]:
    """What a matchmaker has of a queue once it has read it."""
    pool = Pool(rules)
    mirror = Mirror(cast(GameStore, _Queue(tickets)), len(tickets) + 1, pool.add, pool.remove)
    reading = mirror.read()
    try:
        reading.send(None)  # nothing in it waits for anybody
    except StopIteration:
        insight = Insight(Metrics(CollectorRegistry()), "bench", mirror)
        insight.follow(pool)
        return insight, pool
    raise AssertionError("the queue of this bench never waits")


class _Blind:
    """In the place of `Insight`: looks away."""

    held_up = detail = ""

    def nothing(self, *_: object) -> None:
        return

    follow = looked = spent = made = nothing


class _Room:
    """In the place of a launcher: there is always room."""

    def room(self) -> int:
        return TICKETS


async def _pass(db: Database, bell: Doorbell, game: str, *, blind: bool) -> float:
    """CPU seconds of a matchmaker's first pass over a queue of `TICKETS`, read and claimed through Redis."""
    spec = GameSpec(server=Server(arena={}), rules=RULES, limits=Limits(servers=TICKETS, queued_tickets=TICKETS))
    base, now = keys.game(game), now_ms()
    await db.do("SET", keys.registration(game), msgspec.json.encode(Game(game, "p", 1, now, now, spec)))
    calls = [
        function_call(
            "ticket_create", base, t.id, now, TICKETS, msgspec.json.encode(t.players), "", *(p.id for p in t.players)
        )
        for t in tickets_of(TICKETS)
    ]
    for first in range(0, TICKETS, 100):
        await db.do_many(calls[first : first + 100])
    token, _, _ = await db.call("lease_take", base, "bench", 600_000, 0)
    shared = Shared(db, bell, cast(Launcher, _Room()), Settings(), Metrics(CollectorRegistry()))
    made: list[Match] = []
    matching = Matching(shared, GameStore(db, game, token), made.append, lambda _: None)
    if blind:
        matching.insight = cast(Insight, _Blind())
    start = time.process_time()
    await matching.step()
    seconds = time.process_time() - start
    assert len(made) > TICKETS / 10
    return seconds / len(made)


async def _statistics(report: Report, services: Stack) -> None:
    async with open_database(services.env["REDIS_URL"]) as db, open_doorbell(db) as bell:
        with_, without = list[float](), list[float]()
        for turn in range(TIMES):
            for blind in (turn % 2 == 0, turn % 2 == 1):
                (without if blind else with_).append(await _pass(db, bell, f"{turn}-{blind}", blind=blind))
    whole, bare = min(with_), min(without)
    report.figure(f"{TICKETS} tickets: CPU of a pass, a match made", bare * 1e6, "us")
    report.figure(f"{TICKETS} tickets: ... with statistics", whole * 1e6, "us")
    report.figure(f"{TICKETS} tickets: share that statistics add", whole / bare - 1, "ratio", at_most=0.1)


def _explained(report: Report, name: str, rules: RuleSet, tickets: Sequence[Waiting], now_ms: int) -> None:
    """Explain everybody whom a pass over these leaves."""
    insight, pool = _mirrored(rules, tickets)
    found = form(pool, rules, now_ms, 0)
    insight.looked(found, now_ms)
    matched = {ticket for proposal in found.proposals for ticket in proposal.tickets}
    left = [ticket.id for ticket in tickets if ticket.id not in matched]
    start = time.process_time()
    answers = insight.why(left, len(left), now_ms)
    seconds = time.process_time() - start
    assert len(answers) == len(left)
    report.figure(f"{name}: tickets explained", len(left), "tickets")
    report.figure(f"{name}: ... each", seconds / max(1, len(left)) * 1e6, "us", at_most=1000)


def main(report: Report) -> None:
    log.setup("bench", form="json", level="error")  # the matchmaker in this process is not to talk between the figures
    say(f"{TICKETS} tickets")
    with stack() as services:
        uvloop.run(_statistics(report, services))
    _explained(report, f"{TICKETS} tickets", parse(RULES), tickets_of(TICKETS), NOW_MS)
    for world in WORLDS:
        rules = parse(json.loads((ROOT / "examples" / "rulesets" / f"{world.rules}.json").read_text()))
        few = arrivals(world, seed=1)[:FEW]
        _explained(report, world.rules, rules, few, few[-1].since_ms)
