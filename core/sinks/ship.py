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
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from structlog.typing import FilteringBoundLogger

from core import keys
from core.errors import Invalid, MusterError, NotFound
from core.log import get
from core.redis.client import Database
from core.redis.logreader import MAX_READ, MOST_READ, Entry, LogReader, entry_ms
from core.sinks.catalogue import TOPICS, Message
from core.sinks.merge import by_stream, first, in_order
from core.sinks.metrics import Metrics
from core.sinks.outlet import Outlet
from core.sinks.reading import messages

POLL_S: Final = 0.2  # between rounds that left nothing behind
OVERREAD: Final = 4  # times what fits into a send; what does not is read again
INSTALLATION: Final = ""  # its own log, beside those of games
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
    left: int = 0  # entries that could go out, and have to wait for the next round
    more: bool = False  # there are such, or there may be


@dataclass(slots=True)
class Shipper:
    """Carries to one outlet."""

    db: Database
    outlet: Outlet
    owner: str
    lease_s: float
    metrics: Metrics
    packs: bool = False  # of delayed commands, too
    topics: Set[str] = TOPICS
    log: FilteringBoundLogger = field(default_factory=lambda: get("sinks"))
    _readers: dict[str, LogReader] = field(default_factory=dict)
    _most: dict[str, int] = field(default_factory=dict)  # batches of a game that a round reads
    _held_until_s: dict[str, float] = field(default_factory=dict)
    _looked_s: float = float("-inf")
    _more: bool = False  # the last round left something behind
    _oldest_s: float | None = None  # monotonic: when the oldest event of the last round happened

    def __post_init__(self) -> None:
        self.metrics.begin(self.outlet.name)

    async def run(self, stop: asyncio.Event) -> None:
        """Carry on until `stop`, and end the round that is under way; connect again after whatever went wrong."""
        pause_s = FIRST_PAUSE_S
        self.metrics.lag_s.labels(self.outlet.name).set_function(self.lag_s)
        while not stop.is_set():
            try:
                await self.outlet.open()
                self.metrics.connected.labels(self.outlet.name).set(1)
                pause_s = FIRST_PAUSE_S
                while not stop.is_set():
                    await self.turn()
                    if not self._more:
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

    def lag_s(self) -> float:
        """Age of the oldest event of the last round; grows while the broker does not take it. 0 if all are through."""
        return 0.0 if self._oldest_s is None else time.monotonic() - self._oldest_s

    async def turn(self) -> int:
        """One round over all games that are ours; how many messages were sent. Raises Unavailable.

        A send has as many as its broker takes in time, and an entry more a game at most.
        """
        await self._lease()
        sent = left = 0
        self._more = False
        games = sorted(self._held_until_s)
        for start in range(0, len(games), GAMES_AT_ONCE):
            now_ms = await self._redis_ms()
            some = games[start : start + GAMES_AT_ONCE]
            rounds = [await self._read(game, now_ms, self.outlet.most // len(some)) for game in some]
            todo = [one for one in rounds if one.entries]
            batch = [message for one in todo for message in one.messages]
            left += sum(one.left for one in todo)
            self._more = self._more or any(one.more for one in rounds)
            self._follow(todo, now_ms)
            if batch:
                began = time.perf_counter()
                await self.outlet.send(batch)
                self.metrics.send_s.labels(self.outlet.name).observe(time.perf_counter() - began)
                self._count(batch)
            for one in todo:
                await self._commit(one)
            sent += len(batch)
        self.metrics.waiting.labels(self.outlet.name).set(left)
        if not sent:
            self._oldest_s = None
        return sent

    def _follow(self, rounds: Sequence[_Round], now_ms: int) -> None:
        if rounds:
            oldest_ms = min(entry_ms(one.entries[0].id) for one in rounds)
            self._oldest_s = time.monotonic() - max(0, now_ms - oldest_ms) / 1000

    async def _read(self, game: str, now_ms: int, room: int) -> _Round:
        reader = self._readers[game]
        try:
            if not reader.cursors:
                await reader.register(start="oldest")
            most = self._most.get(game, MAX_READ)
            found = await reader.read(most)
        except NotFound:  # it was silent for too long, and is dropped: what was trimmed meanwhile is counted as lost
            reader.cursors = {}
            return _Round(reader, [], [])
        pages = by_stream(found)
        ordered = in_order(pages, now_ms=now_ms, full=lambda stream: reader.page(stream, most))
        self._most[game] = worth_reading(found, room)
        entries = first(ordered, room)
        made: list[Message] = []
        for entry in entries:
            try:
                made.extend(messages(game, entry, self.topics))
            except Invalid as error:  # of a newer version, or damaged: to wait for it would hold up all that follow
                self.metrics.unreadable.labels(self.outlet.name).inc()
                self.log.error("an entry is left out", game=game, entry=entry.id, shard=entry.shard, error=error.detail)
        left = len(ordered) - len(entries)
        full = any(len(page) >= reader.page(stream, most) for stream, page in pages.items())
        return _Round(reader, entries, made, left, more=bool(left) or full)

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
        games = [INSTALLATION, *sorted(await self.db.do("SMEMBERS", keys.GAMES))]
        args = (self.owner, int(self.lease_s * 1000), 0)
        replies = await self.db.call_many([("lease_take", keys.sink(self.outlet.name, game), args) for game in games])
        self._held_until_s = {
            game: now + self.lease_s for game, (token, *_) in zip(games, replies, strict=True) if token
        }
        self._readers = {
            game: self._readers.get(game) or LogReader(self.db, game, self.outlet.name, facts=True, packs=self.packs)
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


def worth_reading(entries: Sequence[Entry], room: int) -> int:
    """How many batches the next round reads of a game, from how large these are in the mean: what fills `room`.

    A broker that takes long to answer is so given more at once, and not left behind by games of many small batches.
    OVERREAD as many, for a read is shared by all shards evenly, and few may be busy.
    """
    sizes = [entry.size for entry in entries if entry.batch]
    return max(MAX_READ, min(MOST_READ, OVERREAD * room * len(sizes) // max(1, sum(sizes)))) if sizes else MAX_READ


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
