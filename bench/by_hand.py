"""The same server process as a launcher starts, started by hand: its match is written into Redis, and nobody helps."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.harness import ROOT, Stack
from core import keys
from core.clock import new_id, now_ms
from core.jointoken import JoinClaims, match_key, mint
from core.model import Connection, Match, MatchPlayer, Server, TicketPlayer, Timers
from core.redis.client import Database, open_database

GAME = "byhand"  # nobody holds its lease but this bench
LEASE_MS = 3_600_000
POLL_S = 0.001


@dataclass(slots=True)
class HandMade:
    """A match that waits for its server, and how to start that."""

    match: Match
    env: dict[str, str]

    def start(self, *, metrics_port: int = 0) -> subprocess.Popen[bytes]:
        command, env = [sys.executable, "-m", "gamepod"], self.env | {"MUSTER_METRICS_PORT": str(metrics_port)}
        return subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def make_match(
    services: Stack,
    db: Database,
    players: int = 2,
    arena: dict[str, Any] | None = None,
    server: Server | None = None,
) -> HandMade:
    """Write a PLACING match of `players` into Redis, as webapi and matchmaker would."""
    base, now = keys.game(GAME), now_ms()
    await db.do("SET", keys.registration(GAME), '{"version": 1, "spec": {"accepting": true}}')
    token = (await db.call("lease_take", base, "bench", LEASE_MS, 0))[0]
    seats = []
    for number in range(players):
        ticket, player = new_id("ticket"), TicketPlayer(new_id("player"), name=f"bot{number}")
        await db.call("ticket_create", base, ticket, now, 10_000, msgspec.json.encode([player]), "", player.id)
        seats.append(MatchPlayer(player.id, player.name, "players", ticket))
    server = server or Server(arena=arena if arena is not None else {})
    match = Match(new_id("match"), GAME, 1, now, seats, server, Timers(), 3, 30)
    claim = (token, now, now + 60_000, 10_000, match.id, msgspec.json.encode(match), *match.tickets)
    assert await db.call("match_claim", base, *claim) == ["ok"]
    env = services.env | {
        "MUSTER_GAME": GAME,
        "MUSTER_MATCH": match.id,
        "MUSTER_JOIN_KEY": match_key(services.env["MUSTER_SECRET"], match.id),
        "MUSTER_ADDRESS": "127.0.0.1",
        "MUSTER_SDK_PORT": "0",
        "MUSTER_SDK_GRPC_PORT": "0",
        "MALLOC_TRIM_THRESHOLD_": "131072",  # as the launcher has it
    }
    del env["MUSTER_SECRET"]
    return HandMade(match, env)


async def ready(db: Database, match: str) -> dict[str, str]:
    """The match's hash once it is RUNNING."""
    while True:
        found: dict[str, str] = await db.do("HGETALL", keys.match(GAME, match))
        if found["state"] == "RUNNING":
            return found
        assert found["state"] == "PLACING", found
        await asyncio.sleep(POLL_S)


def udp_port(found: dict[str, str]) -> int:
    """Where the arena of a match that `ready` found takes datagrams."""
    connection = msgspec.json.decode(found["connection"], type=Connection)
    return next(port.port for port in connection.ports if port.protocol == "udp")


def tokens(services: Stack, match: Match) -> str:
    """Join tokens of all players, one a line."""
    key = match_key(services.env["MUSTER_SECRET"], match.id)
    until = int(time.time()) + 300
    return "\n".join(mint(key, JoinClaims(p.id, match.id, p.name, p.team, until)) for p in match.players)


async def start_by_hand(services: Stack) -> float:
    """Milliseconds from starting the process to its match being RUNNING. The process is stopped again."""
    async with open_database(services.redis.url) as db:
        made = await make_match(services, db)
        start = time.perf_counter()
        process = made.start()
        await ready(db, made.match.id)
        took = (time.perf_counter() - start) * 1000
        process.terminate()
        await asyncio.to_thread(process.wait)
        return took
