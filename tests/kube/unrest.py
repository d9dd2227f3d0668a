"""Matchmakers that are killed at random moments under a steady load, and what is true of pods and matches afterwards.

Real matchmaker processes, the real API server, scheduler and Redis; the pods are on fake nodes, where each says to
Redis what gamepod would (`fake_servers`), so that a small machine bears a load at which no moment is idle. Truth is
read from the API server and from Redis, never from a matchmaker. One seed gives the same moments and matches again.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import aiohttp
import msgspec
import orjson

from core import keys
from core.doorbell import Doorbell, open_doorbell
from core.lifecycle import LIVE_MATCH
from core.model import Match
from core.redis.client import Database
from tests.cluster.fake_nodes import FakeNodes
from tests.kube.fake_servers import FOR_EVER, FakeServers, fake_servers
from tests.kube.fleet import fleet_env, fleet_game
from tests.kube.ground import Ground
from tests.matchmaker.support import queue, register

Document = dict[str, Any]

GAMES: Final = ("alpha", "beta", "gamma")
LIFE_S: Final = (2.0, 8.0)  # of a match
LONG: Final = 0.1  # share of matches that are still played at the end
NODES: Final = 4
PODS_TAKE_S: Final = 0.2  # scheduled -> its server attaches, and deleted -> gone


@dataclass(frozen=True, slots=True)
class Unrest:
    """What happens."""

    kills: int
    seed: int
    gap_s: float = 3.0  # between two kills in the mean: the lease of the dead one is just over
    replicas: int = 2
    matches_per_s: float = 4.0
    both: float = 0.2  # share of kills that take all replicas at once
    settle_s: float = 30.0  # last kill -> verdict
    early: bool = False  # the verdict may come before, once the last match is over and nothing is amiss


@dataclass(slots=True)
class Verdict:
    """What was found. All that is named `no_...` are faults, and should be empty."""

    kills: int = 0
    tickets: int = 0
    matches: int = 0
    alive: int = 0  # matches that are still played
    no_match: list[str] = field(default_factory=list)  # pods that no live match needs
    no_pod: list[str] = field(default_factory=list)  # live matches without a pod
    no_single_pod: list[str] = field(default_factory=list)  # matches that ever had two
    no_witness: list[str] = field(default_factory=list)  # matches of which no pod was ever seen
    no_end: list[str] = field(default_factory=list)  # matches that are neither played nor over
    no_place: list[str] = field(default_factory=list)  # tickets that did not come to a match
    no_single_place: list[str] = field(default_factory=list)  # tickets that are in two matches
    no_success: dict[str, int] = field(default_factory=dict)  # reasons of matches that failed or were cut short

    @property
    def faults(self) -> dict[str, Any]:
        """Those that are not empty."""
        named = ((name, getattr(self, name)) for name in self.__dataclass_fields__ if name.startswith("no_"))
        return {name: value for name, value in named if value}


class Witness:
    """Sees every pod of the namespace that ever was there."""

    def __init__(self, session: aiohttp.ClientSession, namespace: str) -> None:
        self._session, self._path = session, f"/api/v1/namespaces/{namespace}/pods"
        self.uids: defaultdict[str, set[str]] = defaultdict(set)

    async def follow(self) -> None:
        """Watch from now on. The API server stays up, so one watch sees all; that it ends is an error."""
        query = {"watch": "1", "resourceVersion": "0"}
        no_limit = aiohttp.ClientTimeout(total=None)
        async with self._session.get(self._path, params=query, timeout=no_limit, read_bufsize=1 << 21) as answer:
            async for line in answer.content:
                meta = orjson.loads(line)["object"]["metadata"]
                self.uids[meta["name"]].add(meta["uid"])


class Replicas:
    """The matchmaker processes."""

    def __init__(self, ground: Ground, count: int) -> None:
        self._start = lambda: ground.matchmakers.start(**fleet_env(), MUSTER_POLL_S="1")
        self._running: list[subprocess.Popen[bytes]] = [self._start() for _ in range(count)]

    def kill(self, victims: list[int]) -> None:
        """Kill these with SIGKILL, and start others in their place."""
        for number in victims:
            self._running[number].kill()
        for number in victims:
            self._running[number].wait()
            self._running[number] = self._start()


async def endure(ground: Ground, unrest: Unrest) -> Verdict:
    """Let it happen, and tell what is true when it has settled. All matches are over when it returns."""
    chance = random.Random(unrest.seed)
    lives = random.Random(unrest.seed + 1)
    for game in GAMES:
        await register(ground.db, game, fleet_game(1000))
    async with world(ground, lives) as (servers, witness, bell):
        replicas, tickets = Replicas(ground, unrest.replicas), Tickets(ground.db, bell)
        load = asyncio.create_task(tickets.keep_coming(unrest.matches_per_s, random.Random(unrest.seed + 2)))
        for _ in range(unrest.kills):
            await asyncio.sleep(chance.uniform(0, 2 * unrest.gap_s))
            every = list(range(unrest.replicas))
            replicas.kill(every if chance.random() < unrest.both else [chance.choice(every)])
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
        deadline = time.monotonic() + unrest.settle_s
        await asyncio.sleep(LIFE_S[1] if unrest.early else unrest.settle_s)
        while (verdict := await judge(ground, witness, tickets.made)).faults and time.monotonic() < deadline:
            await asyncio.sleep(1)
        verdict = replace(verdict, kills=unrest.kills)
        while servers.ready:
            servers.finish()
        await ground.gone()
    return verdict


@asynccontextmanager
async def world(ground: Ground, lives: random.Random) -> AsyncIterator[tuple[FakeServers, Witness, Doorbell]]:
    """Nodes with servers, somebody who looks on, and the doorbell of a webapi."""

    def life_s() -> float:
        return FOR_EVER if lives.random() < LONG else lives.uniform(*LIFE_S)

    url = ground.matchmakers.env["REDIS_URL"]
    async with (
        fake_servers(url, life_s) as servers,
        FakeNodes(ground.cluster.api, NODES, start_s=PODS_TAKE_S, stop_s=PODS_TAKE_S, program=servers),
        ground.cluster.api.session() as session,
        open_doorbell(ground.db) as bell,
    ):
        witness = Witness(session, ground.namespace)
        following = asyncio.create_task(witness.follow())
        try:
            yield servers, witness, bell
            assert not following.done(), "the watch of pods ended"
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


class Tickets:
    """Players who come in pairs, each with a ticket of their own, so that every ticket will have a match."""

    def __init__(self, db: Database, bell: Doorbell) -> None:
        self._db, self._bell = db, bell
        self.made: list[tuple[str, str]] = []  # game, ticket

    async def keep_coming(self, per_s: float, chance: random.Random) -> None:
        """So many pairs a second, until cancelled."""
        start = time.monotonic()
        for number in range(1_000_000):
            await asyncio.sleep(max(0.0, start + number / per_s - time.monotonic()))
            await asyncio.shield(self._pair(chance.choice(GAMES)))

    async def _pair(self, game: str) -> None:
        for _ in range(2):
            self.made.append((game, await queue(self._db, game)))
            self._bell.ring("queue", [game])


async def judge(ground: Ground, witness: Witness, tickets: list[tuple[str, str]]) -> Verdict:
    """What is true now."""
    pods = ground.pods()
    verdict = Verdict(tickets=len(tickets))
    verdict.no_single_pod = sorted(name for name, uids in witness.uids.items() if len(uids) > 1)
    verdict.no_place = [f"{t} {s}" for t, s in await _states(ground.db, tickets) if s != "COMPLETED"]
    places: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    needed: set[str] = set()
    found: set[str] = set()
    for game in GAMES:
        listed = set(await ground.db.do("ZRANGE", f"{keys.game(game)}:live", 0, -1))
        for name, (state, reason, document) in (await _matches(ground.db, game)).items():
            found.add(name)
            live = state in LIVE_MATCH
            if state == "PLACING" or live != (name in listed):
                verdict.no_end.append(f"{name} {state}")
            if live:
                needed.add(name)
            elif (state, reason) != ("ENDED", "finished"):
                reasons[f"{state} {reason}"] += 1
            if state != "FAILED":
                places.update(msgspec.json.decode(document, type=Match).tickets)
    verdict.alive = len(needed)
    verdict.no_match, verdict.no_pod = sorted(pods.keys() - needed), sorted(needed - pods.keys())
    verdict.matches, verdict.no_witness = len(found), sorted(found - witness.uids.keys())
    verdict.no_single_place = sorted(ticket for ticket, count in places.items() if count > 1)
    verdict.no_success = dict(reasons)
    return verdict


async def _states(db: Database, tickets: list[tuple[str, str]]) -> list[tuple[str, str]]:
    states = await db.do_many([("HGET", keys.ticket(game, name), "state") for game, name in tickets])
    return [(name, state or "gone") for (_, name), state in zip(tickets, states, strict=True)]


async def _matches(db: Database, game: str) -> dict[str, tuple[str, str, str]]:
    """State, reason and document of every match of a game."""
    prefix = keys.match(game, "")
    names = [str(key).removeprefix(prefix) for key in await db.do("KEYS", f"{prefix}*")]
    rows = await db.do_many([("HMGET", keys.match(game, name), "state", "reason", "doc") for name in names])
    return {name: (row[0], row[1], row[2]) for name, row in zip(names, rows, strict=True)}
