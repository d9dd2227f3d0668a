"""Cold start on a real cluster: tickets complete -> server Ready, and result reported -> pod gone, beside bare pods.

Three are measured in turn, for a game with one port and for one with the arena's three, as each host port costs a
kubelet some calls of iptables:

- match: from the last ticket on, through the matchmaker, until Redis says COMPLETED, the moment at which the players
  have an address. Rings are sent as webapi and servers send them.
- by hand: the same server in a pod that was made by hand. Image, command, environment and ports are those of the
  match's pod; nothing else is: no bounds, no security settings, no placement. Its match is in Redis before it is
  created. It is Ready by the same sign. What Muster adds to a server's start is the difference to this one.
- asleep: a pod of the same image that only sleeps. It is Ready when the kubelet says so, which is when its container
  runs: nothing had to be loaded. The difference is what a server takes to be one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import uvloop

from bench.harness import Report, percentile, say
from bench.kube import PLAYERS, Document, Moments, Pods, arena, bare_pod, ground, moment
from core import keys
from core.clock import new_id, now_ms
from core.doorbell import Doorbell, open_doorbell
from core.jointoken import match_key
from core.model import ARENA_PORTS, Game, Port
from core.rules import rule_set
from matchmaker.launch import host_ports
from matchmaker.launch.pod import Given, pod_document
from matchmaker.matches import match_of
from matchmaker.mirror import Mirror
from matchmaker.rules import Pool, form
from matchmaker.store import GameStore
from tests.kube.ground import SECRET, Ground
from tests.matchmaker.support import queue, register

ROUNDS = 9
GAMES = {"one": [Port("game", "udp")], "three": list(ARENA_PORTS)}
BY_HAND = "by-hand"  # a game that no matchmaker knows of
KEPT = ("image", "imagePullPolicy", "command", "env", "ports")  # of the container of a match's pod
KINDS = ("asleep", "by hand", "match")
Life = tuple[float, float]  # seconds from create to Ready, and from the end to gone


@dataclass(slots=True)
class Lives:
    """Measures the lives of pods and of matches."""

    here: Ground
    pods: Pods
    moments: Moments
    bell: Doorbell
    number: int = 0

    async def asleep(self, ports: Sequence[Port]) -> Life:
        """From create to Ready, and from delete to gone."""
        self.number += 1
        name = f"bare-{self.number}"

        async def ready() -> float | None:
            return self.moments.ready.get(name)

        start = time.perf_counter()
        await self.pods.create(bare_pod(name, ports))
        up = await moment(ready) - start
        return up, await self._deleted(name)

    async def by_hand(self, ports: Sequence[Port]) -> Life:
        """The same, of a pod with a server whose match is there before."""
        name, ticket, document = await self._prepared(ports)
        start = time.perf_counter()
        await self.pods.create(document)
        up = await self._completed(BY_HAND, ticket) - start
        await self._finish(BY_HAND, name)
        return up, await self._deleted(name)

    async def match(self, game: str) -> Life:
        """From the last ticket to the players' address, and from the result to the pod gone."""
        ticket = await queue(self.here.db, game, players=PLAYERS)
        start = time.perf_counter()
        self.bell.ring("queue", [game])
        up = await self._completed(game, ticket) - start
        name = await self.here.db.do("HGET", keys.ticket(game, ticket), "match")
        start = time.perf_counter()
        await self._finish(game, name)
        self.bell.ring("match", [game])
        return up, await self._gone(name) - start

    async def _prepared(self, ports: Sequence[Port]) -> tuple[str, str, Document]:
        """A match in Redis, as a matchmaker makes it: its id, its ticket, and the bare pod for its server."""
        db, now = self.here.db, now_ms()
        game = Game(BY_HAND, "", 1, now, now, arena(600, ports))
        await db.do("SET", keys.registration(BY_HAND), msgspec.json.encode(game))
        ticket = await queue(db, BY_HAND, players=PLAYERS)
        token, *_ = await db.call("lease_take", keys.game(BY_HAND), "by hand", 600_000, 0)
        store = GameStore(db, BY_HAND, token)
        pool = Pool(rule_set(game.spec))
        mirror = Mirror(store, 10, pool.add, pool.remove)
        await mirror.read()
        (proposal,) = form(pool, pool.rules, now_ms(), seed=1).proposals
        match = match_of(proposal, mirror, game, new_id("match"), now)
        await store.claim([match], [], now_ms=now, live_most=1)
        given = Given("by-hand", match_key(SECRET, match.id), host_ports.inside(ports, 7000))
        whole = pod_document(match, self.here.settings, given)
        bare = bare_pod(match.id)
        kept = {field: whole["spec"]["containers"][0][field] for field in KEPT}
        bare["spec"]["containers"] = [{"name": "gamepod", **kept}]
        return match.id, ticket, bare

    async def _completed(self, game: str, ticket: str) -> float:
        async def completed() -> float | None:
            state = await self.here.db.do("HGET", keys.ticket(game, ticket), "state")
            return time.perf_counter() if state == "COMPLETED" else None

        return await moment(completed)

    async def _finish(self, game: str, name: str) -> None:
        """Report the result as its server would."""
        server = await self.here.db.do("HGET", keys.match(game, name), "server")
        told: list[Any] = [name, "finish", now_ms(), server, "finished", "{}", 0, 0]
        await self.here.db.call("match_step", keys.game(game), *told)

    async def _deleted(self, name: str) -> float:
        start = time.perf_counter()
        await self.pods.delete(name)
        return await self._gone(name) - start

    async def _gone(self, name: str) -> float:
        async def gone() -> float | None:
            return self.moments.gone.get(name)

        return await moment(gone)


async def _bench(report: Report) -> None:
    spent: defaultdict[tuple[str, str], list[Life]] = defaultdict(list)
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
                    for kind, life in (
                        ("asleep", await lives.asleep(ports)),
                        ("by hand", await lives.by_hand(ports)),
                        ("match", await lives.match(game)),
                    ):
                        if number:  # the first of anything is slower
                            spent[game, kind].append(life)
    for index, what in enumerate(("create -> Ready", "result -> gone")):
        for game, ports in GAMES.items():
            name = f"{what}, {len(ports)} host port{'s' * (len(ports) > 1)}"
            times = {kind: percentile([life[index] for life in spent[game, kind]], 0.5) for kind in KINDS}
            for kind in KINDS:
                report.figure(f"{name}, {kind}, p50", times[kind], "s")
            report.figure(f"{name}, match / by hand", times["match"] / times["by hand"], "ratio", at_most=1.1)
            report.figure(f"{name}, match / asleep", times["match"] / times["asleep"], "ratio")


def main(report: Report) -> None:
    uvloop.run(_bench(report))
