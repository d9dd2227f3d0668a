"""Events from the logs in Redis. A unit is a game; '' is the installation, which has the logins."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import orjson

from core import keys
from core.analytics.fold import Event, Place, place_of, place_text
from core.analytics.source import LOGINS_BACK_MS, PLAY_BACK_MS, READER, Book, Epoch, Moved, Page, Reading, book_of
from core.errors import Invalid, NotFound
from core.redis.client import Database
from core.redis.logreader import Entry, LogReader, entry_ms
from core.sinks.catalogue import ANALYTICS
from core.sinks.reading import messages

PAGE: Final = 340  # entries of one round of a game: ten of each of its logs


class Streams:
    """See `core.analytics.source`."""

    name = "redis"

    def __init__(self, db: Database) -> None:
        self._db = db

    async def units(self) -> list[str]:
        return ["", *sorted(await self._db.do("SMEMBERS", keys.GAMES))]

    async def open(self, unit: str, epoch: Epoch) -> Reading:
        reader = LogReader(self._db, unit, READER, facts=True)
        await reader.register(start="oldest")
        return LogReading(reader, await book_of(self._db, unit, epoch), epoch)

    async def close(self) -> None:
        """There is nothing of its own to close."""


class LogReading:
    """The logs of one game."""

    def __init__(self, reader: LogReader, book: Book, epoch: Epoch) -> None:
        self._reader = reader
        self.books = {reader.game: book}
        # A game that nothing was counted of for a month has no cursors any more; its reader has.
        self._floor: dict[str, Place] = {
            base: max((epoch.since_ms, 0), place_of(at)) for base, at in reader.cursors.items()
        }
        back_ms = PLAY_BACK_MS if reader.game else LOGINS_BACK_MS
        done = book.done
        for base, floor in self._floor.items():
            ms, n = done.get(base, floor)[:2]
            self._reader.cursors[base] = place_text((max(0, ms - back_ms), n))

    def floor(self, cursor: str) -> Place:
        return self._floor[cursor]

    @property
    def lost(self) -> int:
        return self._reader.lost

    async def read(self) -> Page:
        try:
            entries = await self._reader.read(PAGE)
        except NotFound:  # it was silent for too long, and is dropped
            raise Moved from None
        page, game = Page(), self._reader.game
        if not entries:
            return page
        page.behind_s = max(0.0, time.time() - min(entry_ms(entry.id) for entry in entries) / 1000)
        events, ends = page.events.setdefault(game, []), page.ends.setdefault(game, {})
        for entry in entries:
            self._reader.cursors[entry.shard] = entry.id  # the next page begins here
            before = len(events)
            try:
                events.extend(_events(game, entry))
            except Invalid:
                page.broken += 1
            ends[entry.shard] = f"{entry.id}-{len(events) - before}"
        return page

    async def counted(self, page: Page) -> None:
        try:
            ends = page.ends[self._reader.game]
            await self._reader.commit([Entry(base, _id(at), "", 0, 0, "") for base, at in ends.items()])
        except NotFound:
            raise Moved from None

    async def close(self) -> None:
        """Its place stays: another reads on."""


def _events(game: str, entry: Entry) -> Iterator[Event]:
    arrived, place = entry_ms(entry.id), place_of(entry.id)
    for n, message in enumerate(messages(game, entry)):
        if message.topic != ANALYTICS:
            yield Event(orjson.loads(message.body), arrived, entry.shard, (*place, n))


def _id(at: str) -> str:
    return at.rpartition("-")[0]
