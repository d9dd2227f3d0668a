"""Two matchmakers, one of them killed (-9) every few seconds, under a steady stream of tickets.

No ticket may be lost or in two matches, and no kill may keep matches away for longer than the lease and a second.
Tickets are made with the Redis function that webapi calls; servers are ready at once, and outlive whoever started them.
MUSTER_BENCH_SECONDS shortens it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from dataclasses import dataclass

import msgspec
import uvloop

from bench.harness import Report, Stack, say, stack
from core import keys
from core.clock import new_id, now_ms
from core.doorbell import Doorbell, open_doorbell
from core.model import Game, GameSpec, Limits, Match, Server, TicketPlayer
from core.redis.client import Database, function_call, open_database
from matchmaker.settings import Settings

GAME = "bench"
SECONDS = float(os.environ.get("MUSTER_BENCH_SECONDS", "600"))
PER_S = 200
KILL_S = (2.0, 6.0)  # between two kills
ROUND = 20  # tickets of one round trip
PLAY_S = 2  # of a match
START_S = 60.0
SETTLE_S = 60.0
READ = 1000  # documents of one round trip
GAP_S = 0.5  # shorter ones are not listed


@dataclass
class Lateness:
    """How long this process itself was kept from its work, in s: on a busy machine that is part of a gap."""

    tickets: float = 0.0
    watcher: float = 0.0


async def _arrive(db: Database, bell: Doorbell, made: list[str], lateness: Lateness) -> None:
    """Tickets of one player each, at a steady rate."""
    start = time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        calls = []
        for _ in range(ROUND):
            ticket, player = new_id("ticket"), new_id("player")
            made.append(ticket)
            text = msgspec.json.encode([TicketPlayer(player)])
            calls.append(function_call("ticket_create", keys.game(GAME), ticket, now_ms(), 1_000_000, text, "", player))
        replies = await db.do_many(calls)
        assert all(reply[0] == "ok" for reply in replies), replies
        bell.ring("queue", [GAME])
        ahead = start + len(made) / PER_S - time.perf_counter()
        lateness.tickets = max(lateness.tickets, -ahead)
        await asyncio.sleep(max(0.0, ahead))


async def _up(services: Stack, name: str) -> None:
    """Start a matchmaker, and return when it says that it is ready."""
    services.start(name, "-m", "matchmaker", MUSTER_LAUNCHER="instant", MUSTER_MATCHMAKER_METRICS_PORT="0")
    log = services.folder / f"{name}.log"
    async with asyncio.timeout(START_S):
        while '"ready"' not in log.read_text():
            await asyncio.sleep(0.05)


async def _kill(services: Stack, stop: asyncio.Event) -> list[float]:
    """Kill one of two, start it again, and so on. Returns when one was killed."""
    dice, kills = random.Random(1), list[float]()
    while not stop.is_set():
        await asyncio.sleep(dice.uniform(*KILL_S))
        name = ("one", "two")[len(kills) % 2]
        services.processes[name].kill()
        kills.append(time.perf_counter())
        services.processes[name].wait()
        await _up(services, name)
    return kills


async def _play(db: Database, bell: Doorbell) -> None:
    """The servers: real ones outlive the matchmaker that started them, and say so themselves when a match is over."""
    base = keys.game(GAME)
    while True:
        await asyncio.sleep(PLAY_S / 4)
        live = list(await db.do("ZRANGE", f"{base}:live", 0, -1))
        rows = await db.do_many([("HMGET", keys.match(GAME, name), "state", "server", "ready_ms") for name in live])
        before = now_ms() - PLAY_S * 1000
        over = [
            function_call("match_step", base, name, "finish", now_ms(), server, "finished", "", 0, 0)
            for name, (state, server, ready_ms) in zip(live, rows, strict=True)
            if state == "RUNNING" and int(ready_ms) < before
        ]
        if over:
            await db.do_many(over)
            bell.ring("match", [GAME])


async def _gaps(db: Database, stop: asyncio.Event, lateness: Lateness) -> list[tuple[float, float]]:
    """(from, to) of every time of `GAP_S` and more in which no ticket was placed, from the first that was."""
    placed, since, found = 0, 0.0, list[tuple[float, float]]()
    while not stop.is_set():
        before = time.perf_counter()
        now = int(await db.do("HGET", f"{keys.game(GAME)}:stats", "tickets_placed") or 0)
        at = time.perf_counter()
        lateness.watcher = max(lateness.watcher, at - before)
        if now > placed:
            if since and at - since >= GAP_S:
                found.append((since, at))
            placed, since = now, at
        await asyncio.sleep(0.01)
    return found


def _report_gaps(report: Report, gaps: list[tuple[float, float]], kills: list[float], lateness: Lateness) -> None:
    """A kill may strike the successor before its first match: such a gap is two take-overs, and has twice the time."""
    most = Settings().lease_s + 1
    struck = [(end - since, sum(since - 0.1 <= kill <= end for kill in kills)) for since, end in gaps]
    single = [seconds for seconds, times in struck if times < 2]
    double = [seconds for seconds, times in struck if times > 1]
    report.figure("longest gap without a match, of one kill", max(single, default=0.0), "s", at_most=most)
    report.figure("gaps in which the successor was killed, too", len(double), "gaps")
    if double:
        per_kill = max(seconds / times for seconds, times in struck if times > 1)
        report.figure("... the longest", max(double), "s")
        report.figure("... the longest, a kill", per_kill, "s", at_most=most)
    report.figure("tickets came late by at most", lateness.tickets, "s")
    report.figure("the watcher of gaps was late by at most", lateness.watcher, "s")


async def _read(db: Database, commands: list[tuple[str, ...]]) -> list[object]:
    found: list[object] = []
    for i in range(0, len(commands), READ):
        found += await db.do_many(commands[i : i + READ])
    return found


async def _verdict(db: Database, made: list[str]) -> tuple[int, int]:
    """(tickets not COMPLETED, tickets in more than one match that was played)."""
    rows = await _read(db, [("HMGET", keys.ticket(GAME, ticket), "state", "match") for ticket in made])
    states = {ticket: row for ticket, row in zip(made, rows, strict=True) if isinstance(row, list)}
    lost = sum(row[0] != "COMPLETED" for row in states.values()) + len(made) - len(states)
    entries = await _read(db, [("HGETALL", keys.ticket(GAME, ticket)) for ticket in made])
    names = {json.loads(value)["match"] for entry in entries for key, value in _events(entry)} - {""}
    docs = await _read(db, [("HMGET", keys.match(GAME, name), "state", "doc") for name in sorted(names)])
    times: dict[str, int] = {}
    for row in docs:
        if isinstance(row, list) and row[0] in ("RUNNING", "ENDED"):
            for ticket in msgspec.json.decode(row[1], type=Match).tickets:
                times[ticket] = times.get(ticket, 0) + 1
    return lost, sum(count > 1 for count in times.values())


def _events(entry: object) -> list[tuple[str, str]]:
    assert isinstance(entry, dict)
    return [(key, value) for key, value in entry.items() if key[0] == "e" and key[1:].isdigit()]


async def _bench(report: Report, services: Stack) -> None:
    url = services.env["REDIS_URL"]
    async with open_database(url) as db, open_doorbell(db) as bell:
        limits = Limits(servers=10_000, queued_tickets=1_000_000, tries=10)
        spec = GameSpec(server=Server(arena={}), players_per_match=2, limits=limits)
        now = now_ms()
        await db.do("SET", keys.registration(GAME), msgspec.json.encode(Game(GAME, "p", 1, now, now, spec)))
        await db.do("SADD", keys.GAMES, GAME)
        stop, made = asyncio.Event(), list[str]()
        await asyncio.gather(_up(services, "one"), _up(services, "two"))
        playing = asyncio.create_task(_play(db, bell))
        killer = asyncio.create_task(_kill(services, stop))
        lateness = Lateness()
        watcher = asyncio.create_task(_gaps(db, stop, lateness))
        say(f"{SECONDS:g} s, {PER_S} tickets/s")
        await _arrive(db, bell, made, lateness)
        stop.set()
        kills, gaps = await killer, await watcher
        async with asyncio.timeout(SETTLE_S):
            while any([await db.do("ZCARD", f"{keys.game(GAME)}:{which}") for which in ("queue", "live")]):
                await asyncio.sleep(0.1)
        playing.cancel()
        lost, doubled = await _verdict(db, made)
    report.figure("tickets", len(made), "tickets")
    report.figure("matchmakers killed", len(kills), "kills")
    report.figure("tickets lost", lost, "tickets", at_most=0)
    report.figure("tickets in two matches", doubled, "tickets", at_most=0)
    _report_gaps(report, gaps, kills, lateness)


def main(report: Report) -> None:
    with stack() as services:
        uvloop.run(_bench(report, services))
