"""Reads pages of events and adds what they come to, each once.

Each unit of a source is read by whoever holds its lease. A page becomes one step per game (`analytics_add`), in which
its counts, its flags and the place up to which it was read are written together, if the place is still the one that was
read from. So whoever dies at any line, stalls and wakes up, or hears no answer leaves counts that another goes on from.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import orjson
from structlog.typing import FilteringBoundLogger

from core import keys
from core.analytics.fold import START, TEN, Event, Folded, Place, fold, place_of
from core.analytics.judge import MINUTE_MS, Judge, Limits, arena_limits
from core.analytics.metrics import Metrics
from core.analytics.settings import Settings
from core.analytics.source import HANDOVER_MS, READER, Book, Epoch, Moved, Page, Reading, Source, Superseded
from core.errors import MusterError
from core.log import get
from core.redis.client import Arg, Database
from core.sinks.catalogue import KINDS, VERSION

POLL_S: Final = 0.5  # between rounds that found nothing
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
UNITS_S: Final = 2.0  # how late a new game is seen
MATCHES_MOST: Final = 10_000  # whose limits are remembered
OTHER_SOURCE: Final = "events are counted from another source: is KAFKA_BOOTSTRAP_SERVERS the same everywhere?"


class _Runs(msgspec.Struct):
    arena: dict[str, Any] | None = None


class _What(msgspec.Struct):
    """Of a match document, what runs."""

    server: _Runs


_what: Final = msgspec.json.Decoder(_What)


@dataclass(slots=True)
class _Unit:
    reading: Reading
    judge: Judge
    seen: dict[str, Place] = field(default_factory=dict)
    lost: int = 0  # told in the metric
    behind_s: float = 0.0  # of its last page


@dataclass(slots=True)
class Analyst:
    """Counts from one source."""

    db: Database
    source: Source
    owner: str
    settings: Settings
    metrics: Metrics
    log: FilteringBoundLogger = field(default_factory=lambda: get("analytics"))
    _epoch: Epoch | None = None
    _sure_ms: int = 0  # nothing before that, on Redis' clock, is of a later epoch
    _units: dict[str, _Unit] = field(default_factory=dict)
    _held: list[str] = field(default_factory=list)
    _looked_s: float = float("-inf")
    _limits: OrderedDict[str, Limits | None] = field(default_factory=OrderedDict)

    async def run(self, stop: asyncio.Event) -> None:
        """Count until `stop`, and end the page that is under way; begin again after whatever went wrong."""
        pause_s, name = FIRST_PAUSE_S, self.source.name
        while not stop.is_set():
            try:
                while not stop.is_set():
                    counted = await self.turn()
                    self.metrics.connected.labels(name).set(1)
                    pause_s = FIRST_PAUSE_S
                    if not counted:
                        await _sleep(stop, POLL_S)
            except Superseded:
                self.log.error("counting rests", why=OTHER_SOURCE)
                pause_s = LONGEST_PAUSE_S
            except MusterError as error:
                self.log.warning("events wait to be counted", source=name, error=error.detail, again_s=pause_s)
            await self._close_all()
            if not stop.is_set():
                self.metrics.connected.labels(name).set(0)
                await _sleep(stop, pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        with suppress(MusterError):
            await self._leave()
        await self.source.close()

    async def turn(self) -> int:
        """One page of each unit that is ours; how many events it counted. Raises Unavailable, Superseded."""
        epoch = self._epoch or await self._begin()
        await self._lease(epoch)
        counted = 0
        for name in self._held:
            try:
                if name not in self._units:
                    judge = Judge(self.settings.logins_address, self.settings.logins_name)
                    self._units[name] = _Unit(await self.source.open(name, epoch), judge)
                counted += await self._page(self._units[name], epoch)
            except Moved:
                self.log.info("a unit is opened again", unit=name)
                await self._close(name)
        behind_s = max((unit.behind_s for unit in self._units.values()), default=0.0)
        self.metrics.lag_s.labels(self.source.name).set(behind_s)
        return counted

    async def _begin(self) -> Epoch:
        number, since_ms = await self.db.call("analytics_begin", keys.counted_base(""), self.source.name, HANDOVER_MS)
        self._epoch = Epoch(int(number), int(since_ms))
        return self._epoch

    async def _page(self, unit: _Unit, epoch: Epoch) -> int:
        reading = unit.reading
        page = await reading.read()
        self._show(unit, page)
        if not page.ends:
            return 0
        if max(place_of(at)[0] for ends in page.ends.values() for at in ends.values()) >= self._sure_ms:
            await self._look(epoch)  # we were held up: what we have read may be somebody else's to count
        limits = await self._limits_of(one for events in page.events.values() for one in events)
        counted = 0
        for game, events in page.events.items():
            book, ends = reading.books[game], page.ends[game]
            # A page may end before the floor, and a cursor is then stored that is.
            stored = book.done
            done = {cursor: max(reading.floor(cursor), stored.get(cursor, START)) for cursor in ends}
            folded = fold(events, done, unit.seen, limits, unit.judge, KINDS)
            await self._add(game, book, ends, folded, epoch)
            counted += folded.events
        await reading.counted(page)
        self.metrics.events.labels(self.source.name).inc(counted)
        return counted

    async def _add(self, game: str, book: Book, ends: Mapping[str, str], folded: Folded, epoch: Epoch) -> None:
        stored, done = book.stored, book.done
        moves = {name: at for name, at in ends.items() if place_of(at) > done.get(name, START)}
        if not moves:  # only what came before was read again
            return
        args: list[Arg] = [epoch.number, self.settings.kept_h * 3600, len(moves), len(folded.counts)]
        for name, at in moves.items():
            args += [name, stored.get(name, ""), at]
        for (minute, name), amount in folded.counts.items():
            args += [minute - minute % TEN, f"{minute % TEN}:{name}", repr(round(amount, 3))]
        for flag in folded.flags:
            place = {"game": game, "match": flag.match} if game else {}
            document = orjson.dumps(
                {"event": flag.event, "id": flag.id, "at_ms": flag.at_ms, "version": VERSION, **place, **flag.about}
            )
            args += [flag.id, flag.at_ms // MINUTE_MS, flag.match or flag.about["who"], document]
        outcome, value = await self.db.call("analytics_add", keys.counted_base(game), *args)
        if outcome == "epoch":
            raise Superseded
        if outcome == "moved":
            raise Moved
        stored.update(moves)
        for flag in folded.flags if value else ():
            self.metrics.flags.labels(flag.event).inc()
            self.log.warning(flag.event, game=game, match=flag.match, **flag.about)

    async def _limits_of(self, events: Iterable[Event]) -> dict[str, Limits | None]:
        """The limits of the matches of these events, as far as any are known."""
        wanted: dict[str, str] = {}
        for one in events:
            match = one.body.get("match", "")
            if match and one.body["event"] in ("tank_moved", "tank_took_damage"):
                wanted[match] = one.body["game"]
        unknown = [(game, match) for match, game in wanted.items() if match not in self._limits]
        docs = await self.db.do_many([("HGET", keys.match(game, match), "doc") for game, match in unknown])
        for (_, match), doc in zip(unknown, docs, strict=True):
            self._limits[match] = _limits(doc)
        found = {match: self._limits[match] for match in wanted}
        for match in wanted:
            self._limits.move_to_end(match)
        while len(self._limits) > MATCHES_MOST:
            self._limits.popitem(last=False)
        return found

    def _show(self, unit: _Unit, page: Page) -> None:
        name = self.source.name
        self.metrics.unreadable.labels(name).inc(page.broken)
        unit.behind_s = page.behind_s
        if unit.reading.lost > unit.lost:
            self.metrics.lost.labels(name).inc(unit.reading.lost - unit.lost)
            self.log.error("events were gone before they were counted", count=unit.reading.lost - unit.lost)
            unit.lost = unit.reading.lost

    async def _lease(self, epoch: Epoch) -> None:
        """Renew, and take what is free. Raises Superseded."""
        now = time.monotonic()
        if now - self._looked_s < min(UNITS_S, self.settings.lease_s / 3):
            return
        await self._look(epoch)
        units = await self.source.units()
        args = (self.owner, int(self.settings.lease_s * 1000), 0)
        replies = await self.db.call_many([("lease_take", keys.sink(READER, unit), args) for unit in units])
        self._held = [unit for unit, (token, *_) in zip(units, replies, strict=True) if token]
        for unit in [unit for unit in self._units if unit not in self._held]:
            await self._close(unit)
        self._looked_s = now

    async def _look(self, epoch: Epoch) -> None:
        """See that no later epoch is made: one that will be begins after `_sure_ms`. Raises Superseded."""
        seconds, micros = await self.db.do("TIME")
        if int(await self.db.do("HGET", f"{keys.counted_base('')}:epoch", "number") or 0) > epoch.number:
            raise Superseded
        self._sure_ms = int(seconds) * 1000 + int(micros) // 1000 + HANDOVER_MS

    async def _close(self, name: str) -> None:
        unit = self._units.pop(name, None)
        if unit is not None:
            await unit.reading.close()

    async def _close_all(self) -> None:
        for name in list(self._units):
            await self._close(name)

    async def _leave(self) -> None:
        """Give the leases back, so that another goes on at once. Raises Unavailable: then they run out."""
        await self.db.call_many([("lease_drop", keys.sink(READER, unit), (self.owner,)) for unit in self._held])


def _limits(doc: str | None) -> Limits | None:
    """Of a match document; None where there is none, or where no arena runs."""
    if not doc:
        return None
    try:
        arena = _what.decode(doc).server.arena
    except msgspec.DecodeError:
        return None
    return None if arena is None else arena_limits(arena)


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
