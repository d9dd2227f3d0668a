"""Finished matches rated a second, through a real Redis: duels, and five against five.

Matches are put among the unrated ones by the function that ends them, a backlog as after a matchmaker was away; then
the part of a matchmaker that rates works it off. CPU counts this process and Redis.
"""

from __future__ import annotations

import json
import random
import time
from typing import Final, cast

import msgspec
import uvloop
from prometheus_client import CollectorRegistry

from bench.harness import Report, Stack, say, stack
from core import keys
from core.doorbell import Doorbell
from core.model import Match, MatchPlayer, Server, Timers
from core.redis.client import Database, function_call, open_database
from matchmaker.launch.base import Launcher
from matchmaker.metrics import Metrics
from matchmaker.ratings import AT_ONCE, Ratings
from matchmaker.settings import Settings
from matchmaker.shared import Shared

MATCHES: Final = 64 * AT_ONCE
PLAYERS: Final = 2_000  # who play them
ENOUGH: Final = 200  # matches a second of one game: 400 players in duels, 2,000 in fives, end one each second


async def _finish(db: Database, game: str, size: int) -> None:
    """Matches of two teams of `size`, one of which won."""
    dice, base = random.Random(1), keys.game(game)
    for first in range(0, MATCHES, AT_ONCE):
        writes, ends = [], []
        for number in range(first, first + AT_ONCE):
            drawn = dice.sample(range(PLAYERS), 2 * size)
            teams = {"red": drawn[:size], "blue": drawn[size:]}
            seats = [MatchPlayer(f"p{i}", "", team, f"t{i}") for team, part in teams.items() for i in part]
            document = Match(f"m{number}", game, 1, 1, seats, Server(arena={}), Timers(), 3, 30, rating_mode="")
            result = {
                "players": [{"player": seat.id} for seat in seats],
                "teams": [{"team": team, "rank": place} for place, team in enumerate(teams, 1)],
            }
            text = msgspec.json.encode(document).decode()
            writes.append(("HSET", keys.match(game, f"m{number}"), "state", "RUNNING", "server", "s", "doc", text))
            ends.append(
                function_call(
                    "match_step", base, f"m{number}", "finish", number, "s", "finished", json.dumps(result), 0, 0
                )
            )
        await db.do_many(writes)
        assert all(reply[0] == "ok" for reply in await db.do_many(ends))


async def _rate(report: Report, services: Stack, db: Database, game: str, size: int) -> None:
    say(f"{MATCHES} matches, {size} against {size}")
    await _finish(db, game, size)
    shared = Shared(db, cast(Doorbell, None), cast(Launcher, None), Settings(), Metrics(CollectorRegistry()))
    ratings, base = Ratings(shared, game), keys.game(game)
    start, own, redis = time.perf_counter(), time.process_time(), services.cpu_s()["redis"]
    while await db.do("ZCARD", f"{base}:unrated"):
        await ratings.step()
    seconds, used = time.perf_counter() - start, time.process_time() - own
    assert await db.do("HLEN", keys.ratings(game, "")) <= PLAYERS
    report.figure(f"{game}: matches rated per second", MATCHES / seconds, "matches/s")
    report.figure(f"{game}: CPU of a match, matchmaker", used / MATCHES * 1e6, "us")
    report.figure(f"{game}: CPU of a match, Redis", (services.cpu_s()["redis"] - redis) / MATCHES * 1e6, "us")
    report.figure(f"{game}: matches rated per CPU second", MATCHES / used, "matches/s", at_least=ENOUGH)


async def _bench(report: Report, services: Stack) -> None:
    async with open_database(services.env["REDIS_URL"]) as db:
        await _rate(report, services, db, "duel", 1)
        await _rate(report, services, db, "5v5", 5)


def main(report: Report) -> None:
    with stack() as services:
        uvloop.run(_bench(report, services))
