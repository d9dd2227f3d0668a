"""What gamepod says to Redis, without a game: the program of pods on fake nodes.

Attach, Ready, a beat each 2 s, finish, by gamepod's own `Store` and with the doorbell that it rings. What differs: all
servers of a test share one process, one connection and one doorbell, so that thousands of them fit a small machine.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec

from core.clock import new_id
from core.doorbell import Doorbell, open_doorbell
from core.errors import Unavailable
from core.lifecycle import ServerState
from core.model import Connection, GivenPort, Match, OpenPort
from core.redis.lean import LeanRedis
from gamepod.loop import EXIT_NOT_OURS, EXIT_OVER
from gamepod.outcome import Outcome
from gamepod.store import BEAT_S, NotOurs, Store, until_answered
from matchmaker.launch.pod import GAMEPOD

Document = dict[str, Any]

FOR_EVER: Final = float("inf")


class FakeServers:
    """The servers of one Redis. `life_s` says how long each plays, unless `finish` ends it before.

    Call it with a pod to play its server; it returns the exit code. Cancelled it says `stopped`, as on SIGTERM.
    """

    def __init__(self, redis: LeanRedis, bell: Doorbell, life_s: Callable[[], float]) -> None:
        self._redis, self._bell, self._life_s = redis, bell, life_s
        self._over: dict[str, asyncio.Event] = {}  # by match, of those that are Ready, oldest first

    @property
    def ready(self) -> int:
        """Servers that play now."""
        return len(self._over)

    def finish(self) -> None:
        """End the match that has played longest."""
        self._over.pop(next(iter(self._over))).set()

    async def __call__(self, pod: Document) -> int:
        env = environment(pod)
        store = Store(self._redis, env["MUSTER_GAME"], env["MUSTER_MATCH"], new_id("server"))
        try:
            match, _ = await until_answered(lambda: store.attach({"host": pod["spec"]["nodeName"], "pid": 0}))
            await self._play(store, match, connection(env["MUSTER_PORTS"]))
        except NotOurs:
            return EXIT_NOT_OURS
        return EXIT_OVER

    async def _play(self, store: Store, match: Match, where: Connection) -> None:
        await until_answered(lambda: store.ready(where))
        over = self._over[match.id] = asyncio.Event()
        self._ring(match)
        reason = "stopped"
        try:
            await self._beat(store, over)
            reason = "finished"
        finally:
            self._over.pop(match.id, None)
            await until_answered(lambda: store.end(Outcome("finish", reason), match.tries))
            self._ring(match)

    async def _beat(self, store: Store, over: asyncio.Event) -> None:
        """Beat until the match is over."""
        life_s = self._life_s()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if life_s == FOR_EVER else life_s):
                while not over.is_set():
                    with suppress(Unavailable):
                        await store.beat(ServerState.ALLOCATED, {}, [], 0, running=True)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(BEAT_S):
                            await over.wait()

    def _ring(self, match: Match) -> None:
        self._bell.ring("match", [match.game])
        self._bell.ring("ticket", match.tickets)


def environment(pod: Document) -> dict[str, str]:
    """What gamepod's container is given in plain words."""
    containers = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]
    gamepod = next(container for container in containers if container["name"] == GAMEPOD)
    return {entry["name"]: entry["value"] for entry in gamepod["env"] if "value" in entry}


def connection(ports: str) -> Connection:
    """Where players would find it."""
    given = msgspec.convert(json.loads(ports), list[GivenPort])
    return Connection("203.0.113.1", [OpenPort(port.name, port.protocol, port.port) for port in given])


@asynccontextmanager
async def fake_servers(redis_url: str, life_s: Callable[[], float] = lambda: FOR_EVER) -> AsyncIterator[FakeServers]:
    """Servers for the length of the block."""
    redis = LeanRedis(redis_url)
    try:
        async with open_doorbell(redis) as bell:
            yield FakeServers(redis, bell, life_s)
    finally:
        redis.close()
