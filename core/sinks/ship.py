"""Carries the events of games to one broker, at least once and in order.

Each round reads what is new in all streams of a game, puts it in order (`merge`), sends it, and moves the cursors
when the broker has acknowledged all of it. So whoever dies at any line, or sends to a broker that goes away, sends
again what was under way, and nothing is left out. A game is carried by who holds its lease; an owner that stalls and
wakes up sends some events a second time, which their ids tell. A broker that is away is tried again, ever more
slowly; the streams wait for it, within the bounds that `core.redis.logreader` states, and nobody who plays waits for
anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from structlog.typing import FilteringBoundLogger

from core import keys
from core.errors import Invalid, MusterError, NotFound
from core.log import get
from core.redis.client import Database
from core.redis.logreader import Entry, LogReader, entry_ms
from core.sinks.catalogue import Message, messages
from core.sinks.merge import by_stream, in_order
from core.sinks.metrics import Metrics
from core.sinks.outlet import Outlet

POLL_S: Final = 0.2  # between rounds that found nothing
PAGE: Final = 340  # entries of one round of a game: 20 of each of its streams, 1 MB where all are full
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
GAMES_S: Final = 2.0  # how late a new game is seen
GAMES_AT_ONCE: Final = 16  # of one round; they share a send


@dataclass(slots=True)
class _Round:
    """What one game gives to a round."""

    reader: LogReader
    entries: list[Entry]
    messages: list[Message]


@dataclass(slots=True)
class Shipper:
    """Carries to one outlet."""

    db: Database
    outlet: Outlet
    owner: str
    lease_s: float
    metrics: Metrics
    log: FilteringBoundLogger = field(default_factory=lambda: get("sinks"))
    _readers: dict[str, LogReader] = field(default_factory=dict)
    _held_until_s: dict[str, float] = field(default_factory=dict)
    _looked_s: float = float("-inf")

    def __post_init__(self) -> None:
        self.metrics.begin(self.outlet.name)

    async def run(self, stop: asyncio.Event) -> None:
        """Carry on until `stop`, and end the round that is under way; connect again after whatever went wrong."""
        pause_s = FIRST_PAUSE_S
        while not stop.is_set():
            try:
                await self.outlet.open()
                self.metrics.connected.labels(self.outlet.name).set(1)
                pause_s = FIRST_PAUSE_S
                while not stop.is_set():
                    if not await self.turn():
                        await _sleep(stop, POLL_S)
                await self._leave()
                return
            except MusterError as error:
                self.log.warning("events wait", sink=self.outlet.name, error=error.detail, again_s=pause_s)
            finally:
                self.metrics.connected.labels(self.outlet.name).set(0)
                await self.outlet.close()
            await _sleep(stop, pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def turn(self) -> int:
        """One round over all games that are ours; how many messages were sent. Raises Unavailable."""
        await self._lease()
        sent = 0
        games = sorted(self._held_until_s)
        for start in range(0, len(games), GAMES_AT_ONCE):
            now_ms = await self._redis_ms()
            rounds = [await self._read(game, now_ms) for game in games[start : start + GAMES_AT_ONCE]]
            todo = [one for one in rounds if one.entries]
            batch = [message for one in todo for message in one.messages]
            if batch:
                began = time.perf_counter()
                await self.outlet.send(batch)
                self.metrics.send_s.labels(self.outlet.name).observe(time.perf_counter() - began)
                self._count(batch)
            for one in todo:
                await self._commit(one)
            sent += len(batch)
        return sent

    async def _read(self, game: str, now_ms: int) -> _Round:
        reader = self._readers[game]
        try:
            if not reader.cursors:
                await reader.register(start="oldest")
            found = await reader.read(PAGE)
        except NotFound:  # it was silent for too long, and is dropped: what was trimmed meanwhile is counted as lost
            reader.cursors = {}
            return _Round(reader, [], [])
        full = max(1, PAGE // len(reader.cursors))
        pages = by_stream(found)
        entries = in_order(pages, now_ms=now_ms, full=full)
        made: list[Message] = []
        for entry in entries:
            try:
                made.extend(messages(game, entry))
            except Invalid as error:  # of a newer version, or damaged: to wait for it would hold up all that follow
                self.metrics.unreadable.labels(self.outlet.name).inc()
                self.log.error("an entry is left out", game=game, entry=entry.id, shard=entry.shard, error=error.detail)
        if any(len(page) >= full for page in pages.values()):
            self.metrics.full.labels(self.outlet.name).inc()
        if entries:
            self.metrics.lag_s.labels(self.outlet.name).set(max(0.0, (now_ms - entry_ms(entries[0].id)) / 1000))
        elif not found:
            self.metrics.lag_s.labels(self.outlet.name).set(0.0)
        return _Round(reader, entries, made)

    async def _commit(self, one: _Round) -> None:
        with suppress(NotFound):  # dropped meanwhile; the next round registers again
            before = one.reader.lost
            await one.reader.commit(one.entries)
            if one.reader.lost > before:
                self.metrics.lost.labels(self.outlet.name).inc(one.reader.lost - before)
                self.log.error("batches were trimmed unread", game=one.reader.game, batches=one.reader.lost - before)

    def _count(self, batch: Sequence[Message]) -> None:
        for message in batch:
            self.metrics.events.labels(self.outlet.name, message.event).inc()

    async def _lease(self) -> None:
        """Renew, and take what is free."""
        now = time.monotonic()
        if now - self._looked_s < min(GAMES_S, self.lease_s / 3):
            return
        games = sorted(await self.db.do("SMEMBERS", keys.GAMES))
        args = (self.owner, int(self.lease_s * 1000), 0)
        replies = await self.db.call_many([("lease_take", keys.sink(self.outlet.name, game), args) for game in games])
        self._held_until_s = {
            game: now + self.lease_s for game, (token, *_) in zip(games, replies, strict=True) if token
        }
        self._readers = {
            game: self._readers.get(game) or LogReader(self.db, game, self.outlet.name, facts=True)
            for game in self._held_until_s
        }
        self._looked_s = now

    async def _redis_ms(self) -> int:
        seconds, micros = await self.db.do("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def _leave(self) -> None:
        """Give the leases back, so that another goes on at once. Raises Unavailable: then they run out."""
        held, self._held_until_s = list(self._held_until_s), {}
        self._looked_s = float("-inf")
        await self.db.call_many([("lease_drop", keys.sink(self.outlet.name, game), (self.owner,)) for game in held])


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
