"""Cold start on a real cluster: tickets complete -> server Ready, and result reported -> pod gone, beside a bare pod.

The bare pod is of the same image and asks for as little as a pod can: one container that sleeps, no bounds, no security
settings, no secret, and as many host ports as the game of the round has (one, or the arena's three), because each costs
a kubelet some calls of iptables. It is Ready when the kubelet says so, which is soon after its container runs.

A match's server is Ready when Redis says COMPLETED, the moment at which its players have an address: from the last
ticket on, matchmaker, pod and the start of the program are all part of it. Rings are sent as webapi and servers do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop

from bench.harness import Report, percentile, say
from bench.kube import PLAYERS, Moments, Pods, arena, bare_pod, ground, moment
from core import keys
from core.clock import now_ms
from core.doorbell import Doorbell, open_doorbell
from core.model import ARENA_PORTS, Port
from tests.kube.ground import Ground
from tests.matchmaker.support import queue, register

ROUNDS = 12
GAMES = {"one": [Port("game", "udp")], "three": list(ARENA_PORTS)}
Life = tuple[float, float]  # seconds from create to Ready, and from the end to gone


@dataclass(slots=True)
class Lives:
    """Measures the lives of pods and of matches."""

    here: Ground
    pods: Pods
    moments: Moments
    bell: Doorbell
    number: int = 0

    async def bare(self, ports: Sequence[Port]) -> Life:
        """From create to Ready, and from delete to gone."""
        self.number += 1
        name = f"bare-{self.number}"

        async def ready() -> float | None:
            return self.moments.ready.get(name)

        start = time.perf_counter()
        await self.pods.create(bare_pod(name, ports))
        up = await moment(ready) - start
        start = time.perf_counter()
        await self.pods.delete(name)
        return up, await self._gone(name) - start

    async def match(self, game: str) -> Life:
        """From the last ticket to the players' address, and from the result to the pod gone."""
        db, name = self.here.db, ""
        ticket = await queue(db, game, players=PLAYERS)
        start = time.perf_counter()
        self.bell.ring("queue", [game])

        async def ready() -> float | None:
            nonlocal name
            state, name = await db.do("HMGET", keys.ticket(game, ticket), "state", "match")
            return time.perf_counter() if state == "COMPLETED" else None

        up = await moment(ready) - start
        server = await db.do("HGET", keys.match(game, name), "server")
        start = time.perf_counter()
        await db.call("match_step", keys.game(game), name, "finish", now_ms(), server, "finished", "{}", 0, 0)
        self.bell.ring("match", [game])
        return up, await self._gone(name) - start

    async def _gone(self, name: str) -> float:
        async def gone() -> float | None:
            return self.moments.gone.get(name)

        return await moment(gone)


async def _bench(report: Report) -> None:
    bare: dict[str, list[Life]] = {game: [] for game in GAMES}
    ours: dict[str, list[Life]] = {game: [] for game in GAMES}
    async with ground() as here, here.cluster.api.session() as session, open_doorbell(here.db) as bell:
        here.start(MUSTER_POLL_S="1")
        for game, ports in GAMES.items():
            await register(here.db, game, arena(600, ports))
        pods = Pods(session)
        async with pods.watch() as moments:
            lives = Lives(here, pods, moments, bell)
            for number in range(ROUNDS + 1):
                say(f"round {number} of {ROUNDS}")
                for game, ports in GAMES.items():
                    pair = await lives.bare(ports), await lives.match(game)
                    if number:  # the first of anything is slower
                        bare[game].append(pair[0])
                        ours[game].append(pair[1])
    for index, what in enumerate(("create -> Ready", "result -> gone")):
        for game, ports in GAMES.items():
            plain = percentile([life[index] for life in bare[game]], 0.5)
            mine = percentile([life[index] for life in ours[game]], 0.5)
            kind = f"{what}, {len(ports)} host port{'s' * (len(ports) > 1)}"
            report.figure(f"{kind}, bare pod, p50", plain, "s")
            report.figure(f"{kind}, match, p50", mine, "s")
            report.figure(f"{kind}, ratio", mine / plain, "ratio", at_most=1.1)


def main(report: Report) -> None:
    uvloop.run(_bench(report))
