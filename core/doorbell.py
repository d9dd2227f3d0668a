"""Doorbells: ZeroMQ tells a service that there is something to look at. The only import of zmq.

A ring carries a topic and an id, never a fact: facts are in Redis, and whoever misses a ring finds them there
within a second. So rings may be lost, doubled or forged; a forged one costs a read. Each listener binds a SUB socket
and registers it in Redis with an end date; each ringer connects a PUB socket to all registered ones. ZeroMQ filters
by topic at the ringer, so nobody is woken in vain. A socket's send, and waking somebody by it, cost more than all else
here, so rings share them, each id once: who rings after a silence is heard at once, all who ring within the next
milliseconds leave together. What nobody can act upon (`ring_later`) waits for what it would be followed by.

Topics: `queue` (a game: a ticket came or went), `match` (a game: a match changed), `ticket` (ticket ids whose
status changed), `asked` (a game: somebody wants to know why a ticket waits), `told` (ticket ids: it was answered),
`feed` (a game: something is new in its feed), `party` (player ids whose party changed),
`commands` (shards of games, `game.N`: packs came), `packs` (players: their packs were worked on).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

import zmq

from core import keys
from core.clock import now_ms
from core.errors import MusterError

Topic = Literal["queue", "match", "ticket", "asked", "told", "feed", "party", "commands", "packs"]

REFRESH_S: Final = 1.0  # how late a ringer learns of a new listener
EXPIRY_S: Final = 5.0  # a listener not heard of for so long is dropped from the registry
HIGH_WATER: Final = 10_000  # rings held for a slow peer; further ones are lost, as rings may be
MAX_RING_BYTES: Final = 4096
MAX_LISTENERS: Final = 256
IDS_IN_A_RING: Final = 64
PACE_S: Final = 0.004  # between two rounds of rings
LATER_S: Final = 0.025
READ_AT_ONCE: Final = 100  # rings; then others have their turn


_Ids: TypeAlias = dict[Topic, dict[str, None]]  # by topic, in order


class Plain(Protocol):
    """What the registry needs of a Redis client; both clients have it."""

    async def do(self, *command: Any) -> Any: ...


class Doorbell:
    """Rings, and hears rings. Make one with `open_doorbell`."""

    def __init__(self, db: Plain) -> None:
        self._db = db
        self._context = zmq.Context(io_threads=1)
        self._pub = self._context.socket(zmq.PUB)
        for option, value in ((zmq.LINGER, 0), (zmq.SNDHWM, HIGH_WATER), (zmq.RECONNECT_IVL_MAX, 1000)):
            self._pub.setsockopt(option, value)
        self._connected: set[str] = set()
        self._rings: _Ids = {}
        self._left_s = float("-inf")  # when the last ones left, by the loop's clock
        self._later: _Ids = {}

    def ring(self, topic: Topic, ids: Iterable[str]) -> None:
        """Tell whoever listens for `topic`, within `PACE_S`. Never waits, never fails."""
        if not self._rings:
            loop = asyncio.get_running_loop()
            if (pause_s := self._left_s + PACE_S - loop.time()) > 0:
                loop.call_later(pause_s, self._leave)
            else:
                loop.call_soon(self._leave)
        self._rings.setdefault(topic, {}).update(dict.fromkeys(ids))

    def ring_later(self, topic: Topic, ids: Iterable[str]) -> None:
        """As `ring`, within `LATER_S`; an id that is rung for meanwhile is not told twice."""
        if not self._later:
            asyncio.get_running_loop().call_later(LATER_S, self._leave_later)
        self._later.setdefault(topic, {}).update(dict.fromkeys(ids))

    def _leave_later(self) -> None:
        later, self._later = self._later, {}
        for topic, ids in later.items():
            if ids:
                self.ring(topic, ids)

    def _leave(self) -> None:
        rings, self._rings = self._rings, {}
        self._left_s = asyncio.get_running_loop().time()
        for topic, ids in rings.items():
            later = self._later.get(topic, {})
            names = list(ids)
            for name in names:
                later.pop(name, None)
            for i in range(0, len(names), IDS_IN_A_RING):
                message = f"{topic} {' '.join(names[i : i + IDS_IN_A_RING])}".encode()
                with suppress(zmq.ZMQError):
                    self._pub.send(message, zmq.DONTWAIT)

    async def _follow(self) -> None:
        """Keep the PUB socket connected to every registered listener."""
        while True:
            with suppress(MusterError):
                await self.refresh()
            await asyncio.sleep(REFRESH_S)

    async def refresh(self) -> None:
        """Read the registry once and connect accordingly. Raises Unavailable."""
        found = await self._db.do("HGETALL", keys.DOORBELLS)
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        now = now_ms()
        live = {endpoint for endpoint, entry in pairs if json.loads(entry)["until_ms"] > now}
        for endpoint in sorted(live - self._connected)[: MAX_LISTENERS - len(self._connected)]:
            self._pub.connect(endpoint)
            self._connected.add(endpoint)
        for endpoint in self._connected - live:
            with suppress(zmq.ZMQError):
                self._pub.disconnect(endpoint)
        self._connected &= live

    def _listen(self, sub: zmq.Socket[bytes], heard: Callable[[str, list[str]], None]) -> Callable[[], object]:
        """Hear rings from now on, until what is returned is called. `zmq.asyncio` makes futures for each ring."""
        loop, descriptor = asyncio.get_running_loop(), int(sub.getsockopt(zmq.FD))

        def read() -> None:
            for _ in range(READ_AT_ONCE):
                try:
                    topic, *ids = sub.recv(zmq.DONTWAIT).decode(errors="replace").split(" ")
                except zmq.ZMQError:  # all is read; or closed meanwhile
                    return
                heard(topic, ids)
            loop.call_soon(read)  # the descriptor tells when something comes, and not that there is more

        loop.add_reader(descriptor, read)
        loop.call_soon(read)
        return partial(loop.remove_reader, descriptor)

    async def _register(self, endpoint: str, topics: list[Topic]) -> None:
        while True:
            entry = json.dumps({"topics": topics, "until_ms": now_ms() + int(EXPIRY_S * 1000), "pid": os.getpid()})
            with suppress(MusterError):
                await self._db.do("HSET", keys.DOORBELLS, endpoint, entry)
                await self._sweep()
            await asyncio.sleep(REFRESH_S)

    async def _sweep(self) -> None:
        now = now_ms()
        found = await self._db.do("HGETALL", keys.DOORBELLS)
        for endpoint, entry in found.items():
            if json.loads(entry)["until_ms"] + EXPIRY_S * 1000 < now:
                await self._db.do("HDEL", keys.DOORBELLS, endpoint)

    def _bind(self, bind: str, host: str, topics: list[Topic]) -> tuple[zmq.Socket[bytes], str]:
        sub = self._context.socket(zmq.SUB)
        for option, value in ((zmq.LINGER, 0), (zmq.RCVHWM, HIGH_WATER), (zmq.MAXMSGSIZE, MAX_RING_BYTES)):
            sub.setsockopt(option, value)
        for topic in topics:
            sub.setsockopt_string(zmq.SUBSCRIBE, topic + " ")
        sub.bind(bind)
        bound = sub.getsockopt_string(zmq.LAST_ENDPOINT)
        parts = urlsplit(bound)
        return sub, f"tcp://{host}:{parts.port}" if host else bound


@asynccontextmanager
async def open_doorbell(
    db: Plain,
    *,
    topics: list[Topic] | None = None,
    heard: Callable[[str, list[str]], None] | None = None,
    bind: str = "tcp://127.0.0.1:*",
    host: str = "",
) -> AsyncIterator[Doorbell]:
    """A doorbell for the length of the block; with `topics`, rings for them reach `heard(topic, ids)`."""
    bell = Doorbell(db)
    endpoint, sub, deaf = "", None, None
    work: list[Awaitable[None]] = [bell._follow()]
    if topics and heard:
        sub, endpoint = bell._bind(bind, host, topics)
        deaf = bell._listen(sub, heard)
        work.append(bell._register(endpoint, topics))
    tasks = [asyncio.ensure_future(w) for w in work]
    try:
        yield bell
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if endpoint:
            with suppress(MusterError):
                await db.do("HDEL", keys.DOORBELLS, endpoint)
        if sub is not None and deaf is not None:
            deaf()
            sub.close()
        bell._leave_later()
        bell._leave()
        bell._pub.close()
        bell._context.term()
