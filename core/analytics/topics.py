"""Events from Kafka's topics, all of which one process reads.

How far each partition was read is kept as an offset, behind which all is counted. It only says where to go on: what is
counted already is known by the place in Redis' logs that each record carries (header `origin`). In a partition, records
of one log come in its order, but for those that were sent again; so a cursor is of a partition and a log.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from core import keys
from core.analytics.fold import Event, Place, place_of
from core.analytics.source import KAFKA, LOGINS_BACK_MS, PLAY_BACK_MS, Book, Epoch, Moved, Page, Reading, book_of
from core.errors import Unavailable
from core.ids import is_game_id
from core.log import get
from core.redis.client import Database
from core.sinks.catalogue import ANALYTICS, AUTH, KINDS
from core.sinks.kafka import ORIGIN

UNIT: Final = KAFKA
TOPICS: Final = tuple(sorted({kind.topic for kind in KINDS.values()} - {ANALYTICS}))
CALL_S: Final = 20.0
RECORDS: Final = 2_000  # of one page
WAIT_MS: Final = 200  # for the first record
PARTITIONS_S: Final = 5.0  # how late a new topic or partition is seen


log = get("analytics")


class _At(NamedTuple):
    """Where a partition was read to, by all games: the offset and its record's time."""

    offset: int
    ms: int


class Topics:
    """See `core.analytics.source`."""

    name = KAFKA

    def __init__(self, db: Database, servers: str) -> None:
        self._db = db
        self._servers = servers

    async def units(self) -> list[str]:
        return [UNIT]

    async def open(self, unit: str, epoch: Epoch) -> Reading:
        reading = TopicReading(self._db, epoch, self._servers)
        try:
            await reading.start()
        except BaseException:
            await reading.close()
            raise
        return reading

    async def close(self) -> None:
        """Each reading has a connection of its own."""


class TopicReading:
    """All partitions of all topics."""

    def __init__(self, db: Database, epoch: Epoch, servers: str) -> None:
        self._db = db
        options = {"bootstrap_servers": servers, "request_timeout_ms": int(CALL_S * 1000)}
        self._admin = AIOKafkaAdminClient(**options)
        self._consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
        self._epoch = epoch
        self._servers = servers
        self._parts: set[TopicPartition] = set()
        self._read_to: dict[str, _At] = {}
        self._counted: dict[str, int] = {}
        self._looked_s = time.monotonic()
        self.books: dict[str, Book] = {}
        self.lost = 0

    async def start(self) -> None:
        """Connect, and go to where each partition was read to, and a little back."""
        async with _reached(self._servers):
            await self._admin.start()
            await self._consumer.start()
            self._parts = await self._partitions()
            if not self._parts:
                return
            self._consumer.assign(sorted(self._parts))
            first = await self._consumer.beginning_offsets(self._parts)
            end = await self._consumer.end_offsets(self._parts)
            since = await self._at_time(dict.fromkeys(self._parts, self._epoch.since_ms), end)
        stored = await self._stored()
        known = {part: stored[_name(part)] for part in self._parts if _name(part) in stored}
        for part in [part for part, at in known.items() if at.offset >= end[part]]:
            log.warning("offsets mean other records now: Kafka was made anew", partition=_name(part))
            del known[part]
        self.lost = sum(max(0, first[part] - at.offset - 1) for part, at in known.items())
        self._counted = {_name(part): at.offset for part, at in known.items()}
        async with _reached(self._servers):
            back = await self._at_time({part: at.ms - _back_ms(part) for part, at in known.items()}, end)
            for part in self._parts:
                begin = min(back[part], known[part].offset + 1) if part in known else since[part]
                self._consumer.seek(part, max(first[part], begin))

    def floor(self, cursor: str) -> Place:
        return (self._epoch.since_ms,)

    async def read(self) -> Page:
        async with _reached(self._servers):
            if time.monotonic() - self._looked_s >= PARTITIONS_S:
                self._looked_s = time.monotonic()
                if await self._partitions() != self._parts:
                    raise Moved
            if not self._parts:
                await asyncio.sleep(WAIT_MS / 1000)
                return Page()
            found = await self._consumer.getmany(timeout_ms=WAIT_MS, max_records=RECORDS)
        page = Page()
        if found:
            oldest_ms = min(records[0].timestamp for records in found.values())
            page.behind_s = max(0.0, time.time() - oldest_ms / 1000)
        for part, records in found.items():
            for record in records:
                await self._take(page, _name(part), record)
        return page

    async def _take(self, page: Page, part: str, record: Any) -> None:
        self._read_to[part] = _At(record.offset, record.timestamp)
        try:
            event, place = _event(part, record)
        except (ValueError, KeyError, TypeError, AttributeError):  # others may write to these topics
            page.broken += 1
            return
        game = event.body.get("game", "")
        if game not in self.books:
            self.books[game] = await book_of(self._db, game, self._epoch)
        page.events.setdefault(game, []).append(event)
        ends = page.ends.setdefault(game, {})
        if event.cursor not in ends or event.place > place_of(ends[event.cursor]):
            ends[event.cursor] = place

    async def counted(self, page: Page) -> None:
        further = {name: at for name, at in self._read_to.items() if at.offset > self._counted.get(name, -1)}
        if further:
            pairs = [text for name, at in further.items() for text in (name, f"{at.offset}-{at.ms}")]
            await self._db.do("HSET", self._key, *pairs)
            self._counted |= {name: at.offset for name, at in further.items()}

    async def close(self) -> None:
        try:
            async with asyncio.timeout(CALL_S):
                await self._consumer.stop()
                await self._admin.close()
        except (KafkaError, OSError):
            pass  # it is away, which is why we close

    @property
    def _key(self) -> str:
        return f"{keys.counted_base('')}:offsets:{self._epoch.number}"

    async def _stored(self) -> dict[str, _At]:
        found = await self._db.do("HGETALL", self._key)
        return {name: _At(*map(int, text.split("-"))) for name, text in found.items()}

    async def _partitions(self) -> set[TopicPartition]:
        return {
            TopicPartition(topic["topic"], part["partition"])
            for topic in await self._admin.describe_topics(list(TOPICS))
            if not topic["error_code"]  # nobody has written to it yet
            for part in topic["partitions"]
        }

    async def _at_time(
        self, times: dict[TopicPartition, int], end: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """The first offset of each partition at or after a moment; its end where there is none."""
        if not times:
            return {}
        found = await self._consumer.offsets_for_times({part: max(0, ms) for part, ms in times.items()})
        return {part: found[part].offset if found.get(part) else end[part] for part in times}


def _event(part: str, record: Any) -> tuple[Event, str]:
    """The event of a record, and its place as it is stored."""
    log_key, _, place = dict(record.headers)[ORIGIN].decode().partition(" ")
    body = orjson.loads(record.value)
    game = body.get("game", "")
    if game and not is_game_id(game):  # it becomes a part of a key
        raise ValueError(game)
    body["event"], int(body["at_ms"])
    return Event(body, record.timestamp, f"{part} {log_key}", place_of(place)), place


def _back_ms(part: TopicPartition) -> int:
    return LOGINS_BACK_MS if part.topic == AUTH else PLAY_BACK_MS


def _name(part: TopicPartition) -> str:
    return f"{part.topic}/{part.partition}"


@asynccontextmanager
async def _reached(servers: str) -> Any:
    """Whatever goes wrong with Kafka in the block is Unavailable."""
    try:
        async with asyncio.timeout(CALL_S):
            yield
    except (KafkaError, OSError) as error:  # a time-out is an OSError
        raise Unavailable(f"Kafka at {servers} does not answer: {error!r}") from error
