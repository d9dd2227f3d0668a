"""What watching costs: metrics, traces and log lines of each request and each ticket, and a scrape of every service.

One process (`bench.quiet`) does the same work in short turns: without any of the three, with all, and with one of them
twenty times over, of which a nineteenth of what it is more is told as its cost. CPU time is the scheduler's, in ns; of
each way the cheapest quarter of its turns counts, as neighbours on the machine can only add to them.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from bench.by_hand import make_match, ready
from bench.harness import Report, Stack, say, stack
from bench.load import load, request
from bench.players import guests, register
from bench.quiet import PARTS, SIGNALS, TIMES, WAYS
from core import keys
from core.redis.client import Database, open_database
from tests.support import free_port

ROUNDS = 100
REQUESTS = 50  # of a turn
TICKETS = 160  # of a turn of the matchmaker
MATCH_ROUNDS = 20
SWITCH_S = 0.01  # for the process to notice
GAMES = 100
SCRAPES = 30
WAIT_S = 60.0
INTERVAL_S = 15.0  # between scrapes, by the chart


def cpu_ns(process: subprocess.Popen[bytes]) -> int:
    """CPU time of all threads of a process."""
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


Spent = dict[str, list[float]]  # CPU ns of each turn, by way


async def in_turns(process: subprocess.Popen[bytes], rounds: int, work: Callable[[int], Awaitable[None]]) -> Spent:
    """CPU ns of `work` (given the number of the turn) each way, round by round; which way is first changes."""
    spent: Spent = {way: [] for way in WAYS}
    ways, number = list(WAYS), 0
    for turn in range(-1, rounds):  # the first warms up
        first = turn % len(ways)
        for way in (ways[first:] + ways[:first])[:: 1 if turn % 2 else -1]:
            process.send_signal(SIGNALS[way])
            await asyncio.sleep(SWITCH_S)
            before = cpu_ns(process)
            await work(number)
            number += 1
            if turn >= 0:
                spent[way].append(cpu_ns(process) - before)
    process.send_signal(SIGNALS["once"])
    return spent


def cheapest(values: list[float]) -> float:
    """The mean of the cheapest quarter."""
    return statistics.mean(sorted(values)[: max(1, len(values) // 4)])


def _show(report: Report, name: str, spent: Spent, items: int) -> None:
    quiet, once = cheapest(spent["quiet"]), cheapest(spent["once"])
    report.figure(f"{name}: CPU, watched", once / items / 1000, "us")
    for part in PARTS:
        alone = (cheapest(spent[part]) - once) / (TIMES - 1)
        report.figure(f"{name}: {part}", alone / quiet * 100, "%", at_most=2 if part == "metrics" else None)
    report.figure(f"{name}: all three, with and without", (once / quiet - 1) * 100, "%")


async def _requests(report: Report, services: Stack) -> None:
    say("guests")
    tokens = await guests(services.port, len(WAYS) * REQUESTS * (ROUNDS + 1))

    async def create(number: int) -> None:
        mine = tokens[number * REQUESTS : (number + 1) * REQUESTS]
        make = lambda i: request("POST", "/v1/tickets", token=mine[i], body={"game": "bench"})  # noqa: E731
        answers = await load(services.port, make, REQUESTS)
        assert set(answers.statuses) == {201}, answers.statuses

    async def read(number: int) -> None:
        mine = tokens[number * REQUESTS : (number + 1) * REQUESTS]
        make = lambda i: request("GET", "/v1/tickets/bench/current", token=mine[i])  # noqa: E731
        answers = await load(services.port, make, REQUESTS)
        assert set(answers.statuses) == {200}, answers.statuses

    for name, work in (("ticket create", create), ("ticket read", read)):
        say(name)
        _show(report, name, await in_turns(services.processes["webapi"], ROUNDS, work), REQUESTS)


async def _answers(port: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                await load(port, lambda _: request("GET", "/status"), 1, connections=1)
                return
            except OSError:
                await asyncio.sleep(0.05)


async def _placed(db: Database, game: str) -> int:
    return int(await db.do("HGET", f"{keys.game(game)}:stats", "tickets_placed") or 0)


async def _matchmaker(report: Report, services: Stack, db: Database) -> None:
    say("matchmaker")
    process = services.start("matchmaker", "-m", "bench.quiet", "matchmaker", MUSTER_LAUNCHER="instant")
    async with asyncio.timeout(WAIT_S):
        while await db.do("ZCARD", f"{keys.game('bench')}:queue"):  # those of before
            await asyncio.sleep(0.1)
    tokens = await guests(services.port, TICKETS)

    async def match(_: int) -> None:
        make = lambda i: request("POST", "/v1/tickets", token=tokens[i], body={"game": "made"})  # noqa: E731
        answers = await load(services.port, make, TICKETS)
        assert set(answers.statuses) == {201}, answers.statuses
        async with asyncio.timeout(WAIT_S):
            while await db.do("HLEN", f"{keys.game('made')}:open"):  # who waits, or is placed
                await asyncio.sleep(0.005)

    _show(report, "matchmaker, per ticket", await in_turns(process, MATCH_ROUNDS, match), TICKETS)


async def _scrapes(report: Report, services: Stack, db: Database) -> None:
    say(f"scrapes with {GAMES} games")
    game_port = free_port()
    made = await make_match(services, db, 2)
    server = made.start(metrics_port=game_port)
    try:
        await ready(db, made.match.id)
        tokens = await guests(services.port, 2)
        for number in range(GAMES):
            game = f"game-{number}"
            body = {"game": game}
            await load(services.port, lambda i, b=body: request("POST", "/v1/tickets", token=tokens[i], body=b), 2)  # type: ignore[misc]
        async with asyncio.timeout(WAIT_S):
            while await _placed(db, f"game-{GAMES - 1}") < 2:
                await asyncio.sleep(0.05)
        for name, process, port in (
            ("webapi", services.processes["webapi"], int(services.env["MUSTER_WEBAPI_METRICS_PORT"])),
            ("matchmaker", services.processes["matchmaker"], int(services.env["MUSTER_MATCHMAKER_METRICS_PORT"])),
            ("a game server", server, game_port),
        ):
            await asyncio.to_thread(_scrape, report, name, process, port)
    finally:
        server.terminate()
        server.wait()


def _scrape(report: Report, name: str, process: subprocess.Popen[bytes], port: int) -> None:
    size, walls, before = 0, [], cpu_ns(process)
    for _ in range(SCRAPES):
        began = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            size = len(answer.read())
        walls.append(time.perf_counter() - began)
    cpu_s = (cpu_ns(process) - before) / 1e9 / SCRAPES
    report.figure(f"a scrape of {name}: bytes", size, "B")
    report.figure(f"a scrape of {name}: until all is read", statistics.median(walls) * 1000, "ms")
    report.figure(f"a scrape of {name}: CPU, its work of meanwhile included", cpu_s * 1000, "ms")
    report.figure(f"{name}, scraped each {INTERVAL_S:.0f} s", cpu_s / INTERVAL_S * 100, "% of a core", at_most=1)


async def _bench(report: Report, services: Stack) -> None:
    await _answers(services.port)
    await register(services.port, _game("bench"))
    owner = await _owner(services.port)
    for game in ("made", *(f"game-{number}" for number in range(GAMES))):
        data = request("POST", "/v1/games", token=owner, body=_game(game))
        made = await load(services.port, lambda _, data=data: data, 1, connections=1)  # type: ignore[misc]
        assert set(made.statuses) == {201}, made.statuses
    async with open_database(services.env["REDIS_URL"]) as db:
        await _requests(report, services)
        await _matchmaker(report, services, db)
        await _scrapes(report, services, db)


def _game(game: str) -> dict[str, Any]:
    return {
        "id": game,
        "players_per_match": 2,
        "server": {"arena": {}},
        "limits": {"servers": 10_000, "queued_tickets": 100_000},
    }


async def _owner(port: int) -> str:
    """Access token of a developer."""
    body = {"name": "watcher", "password": "a long password", "role": "developer"}
    made = await load(port, lambda _: request("POST", "/v1/accounts", body=body), 1, connections=1, keep_bodies=True)
    return str(json.loads(made.bodies[0])["access_token"])


def main(report: Report) -> None:
    with stack() as services:
        services.start("webapi", "-m", "bench.quiet", "webapi")
        uvloop.run(_bench(report, services))
