"""Makes a game's views and activity counts again from its log, which is the truth: after a wipe, a defect, a doubt.

It reads the logs of all shards in order of time, ten minutes of each at once, a page of batches at a time; what it
holds is one page and the counts of three buckets by player. Nothing is taken away first; stopped, it is run again.

**Views** may be rebuilt while matches write: `views_write` leaves a newer view alone, so both together write what the
log says. A view gets what is left of its time to live since Redis took its batch in; without any it is not written.

**Counts** are set, so they must not be counted by a server at the same moment. A bucket that ended SETTLED_S ago is set
whatever plays. One that is younger is set only while the game is quiet: no batch came since QUIET_S before the start,
asked once more after the board was read, so every server's counts are in what was read; else it is left as it is, and
the report says so. A server that was cut off from Redis for longer, and comes back in the middle, can be counted twice
in the buckets of that time: run it again, then.
Where a log was trimmed, a bucket from before its beginning is only ever raised to what is left of the log, without what
was logged more than a bucket's time late: whether the board has that already cannot be known.

Scores and ratings are no interactions: they are not in this log, and not touched.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from core import keys
from core.clock import new_id
from core.errors import Invalid, MusterError
from core.interactions import Columns, read_batch
from core.leaderboard import BUCKET_S, bucket_of, count_args, oldest_bucket
from core.redis.client import Database
from core.redis.logreader import Entry, entry, entry_ms
from core.views import VIEW_TTL_S, Views, round_trips, view_calls

PAGE: Final = 32  # batches read at a time: 2 MB where all are full, a few milliseconds of Redis
QUIET_S: Final = 5.0  # counts follow the log within a second or two
SETTLED_S: Final = 120  # also more than clocks of servers and Redis differ by
MEMBERS: Final = 500  # of a bucket, looked at in one call


@dataclass(slots=True)
class Rebuilt:
    """What was read and written."""

    batches: int = 0
    interactions: int = 0
    broken: int = 0  # entries that are no batches of this version: passed over
    views: int = 0  # written; those with a newer one, or whose time is over, are not
    counts: int = 0  # players' counts that were wrong, over all buckets
    set: int = 0  # buckets that are now what the log says
    raised: int = 0  # buckets from before the beginning of a log that was trimmed: not lowered
    left: int = 0  # buckets in which servers may be counting at this moment: not touched
    at_ms: int = 0  # how far it has come


class _Shard(NamedTuple):
    base: str
    first_ms: int
    last_ms: int
    trimmed: bool


async def rebuild(db: Database, game: str, told: Callable[[Rebuilt], None] = lambda _: None) -> Rebuilt:
    """Rebuild one game; `told` hears how far it is after each page. Raises Unavailable: run it again, then."""
    now_ms = await _redis_ms(db)
    shards = await _shards(db, game)
    work = _Work(db, game, now_ms, shards)
    if shards:
        await work.look()
        oldest = oldest_bucket(now_ms)
        first = min(shard.first_ms for shard in shards) // 1000
        for start in range(max(oldest, first - first % BUCKET_S), now_ms // 1000 + 1, BUCKET_S):
            for shard in shards:
                async for page in _pages(db, shard, start * 1000, min(now_ms, (start + BUCKET_S) * 1000 - 1)):
                    await work.take(page)
                    told(work.done)
            await work.set_counts(before=start - BUCKET_S + 1)  # over for a bucket's time: what comes late has come
        await work.set_counts(before=now_ms)
    return work.done


async def _redis_ms(db: Database) -> int:
    found = await db.do("TIME")
    if isinstance(found, dict):  # of a cluster, by node
        found = next(iter(found.values()))
    return int(found[0]) * 1000 + int(found[1]) // 1000


async def _shards(db: Database, game: str) -> list[_Shard]:
    bases = keys.shards(game)
    found = []
    for base, info in zip(
        bases, await db.run_many([("XINFO", "STREAM", f"{base}:log") for base in bases]), strict=True
    ):
        if isinstance(info, MusterError):
            if "no such key" in info.detail:
                continue
            raise info
        if not isinstance(info, dict):
            info = dict(zip(info[::2], info[1::2], strict=True))
        if info["length"]:
            first, last = info["first-entry"][0], info["last-generated-id"]
            trimmed = info["entries-added"] != info["length"]
            found.append(_Shard(base, entry_ms(first), entry_ms(last), trimmed))
    return found


async def _pages(db: Database, shard: _Shard, first_ms: int, last_ms: int) -> Any:
    if shard.last_ms < first_ms:
        return
    start = f"{first_ms}-0"
    while rows := await db.do("XRANGE", f"{shard.base}:log", start, str(last_ms), "COUNT", PAGE):
        yield [entry(shard.base, row) for row in rows]
        start = f"({rows[-1][0]}"


class _Work:
    """What is under way."""

    def __init__(self, db: Database, game: str, now_ms: int, shards: list[_Shard]) -> None:
        self.done = Rebuilt()
        self._db = db
        self._game = game
        self._now_ms = now_ms  # on Redis' clock, at the beginning
        self._since_s = time.monotonic()
        self._writer = new_id("session")  # a correction that is sent again after a lost reply counts once
        self._number = 0
        self._boards = keys.boards(game)
        trimmed = [shard.first_ms for shard in shards if shard.trimmed]
        self._whole_from_s = max(trimmed) / 1000 + SETTLED_S if trimmed else 0
        self._quiet = self._is_quiet(shards)
        self._counts: dict[int, Counter[str]] = {}
        self._set: set[int] = set()  # buckets: what comes now is added to them
        self._raised: set[int] = set()  # ... and to these not
        self._left: set[int] = set()
        self._on_board: set[int] = set()  # buckets that the board has and that were not looked at

    async def look(self) -> None:
        """Find the buckets that the board has: some may have nothing in the log."""
        self._on_board = {int(bucket) for bucket in await self._db.do("ZRANGE", f"{self._boards}:buckets", 0, -1)}

    async def take(self, page: list[Entry]) -> None:
        """Write the views of a page, and count it."""
        for age_ms, ttl_ms, views in self._folded(page):
            if ttl_ms <= age_ms:
                views.moves.clear()
            calls = list(
                view_calls(self._game, views, move_ttl_ms=max(1, ttl_ms - age_ms), keep_ms=VIEW_TTL_S * 1000 - age_ms)
            )
            for some in round_trips(calls):
                replies = await self._db.call_many([("views_write", base, args) for base, args in some])
                self.done.views += sum(map(int, replies))

    def _folded(self, page: list[Entry]) -> Iterator[tuple[int, int, Views]]:
        """Views of the page, with their age and a position's time to live: those of a second together."""
        views, group = Views(), (-1, 0)
        age_ms = 0
        now_ms = self._now_ms + round((time.monotonic() - self._since_s) * 1000)
        for one in page:
            at_ms = entry_ms(one.id)
            self.done.at_ms = max(self.done.at_ms, at_ms)
            try:
                batch = read_batch(one.payload)
            except Invalid:
                self.done.broken += 1
                continue
            if (at_ms // 1000, batch.move_ttl_s) != group:
                if views:
                    yield age_ms, group[1] * 1000, views
                views, group = Views(), (at_ms // 1000, batch.move_ttl_s)
            age_ms = now_ms - at_ms
            self.done.batches += 1
            self.done.interactions += len(batch.interactions)
            columns = Columns(batch.interactions)
            for slot, who in columns.counts():
                for player, n in Counter(who).items():
                    self._counts.setdefault(bucket_of(slot, player), Counter())[player] += n
            if age_ms >= VIEW_TTL_S * 1000:
                continue
            fresh = Views()
            fresh.add(columns)
            for states in batch.states:
                fresh.add_states(states, one.match)
            views.follow(fresh)
        if views:
            yield age_ms, group[1] * 1000, views

    async def set_counts(self, *, before: int) -> None:
        """Write the counts of buckets that began before `before`, a UNIX time."""
        for bucket in sorted(found for found in {*self._counts, *self._on_board} if found < before):
            self._on_board.discard(bucket)
            counts = self._counts.pop(bucket, Counter())
            if bucket < oldest_bucket(self._now_ms) or bucket in self._left or bucket in self._raised:
                continue
            if bucket in self._set:
                await self._add(bucket, counts)
            elif not await self._set_bucket(bucket, counts, whole=bucket >= self._whole_from_s):
                self._left.add(bucket)
                self.done.left += 1

    async def _set_bucket(self, bucket: int, counts: Counter[str], *, whole: bool) -> bool:
        """Returns whether it was set; not while servers may be counting in it."""
        young = (bucket + BUCKET_S + SETTLED_S) * 1000 >= self._now_ms
        if young and not self._quiet:
            return False
        name = f"{self._boards}:counts:{bucket}"
        wrong = await self._missing(name, counts, whole=whole)
        if whole:
            wrong |= await self._excess(name, counts)
        if young:
            # Counts come after their batch: where there is none by now, none was in what we read.
            self._quiet = self._is_quiet(await _shards(self._db, self._game))
            if not self._quiet:
                return False
        (self._set if whole else self._raised).add(bucket)
        await self._add(bucket, wrong)
        self.done.set += whole
        self.done.raised += not whole and bool(counts)
        return True

    def _is_quiet(self, shards: list[_Shard]) -> bool:
        return all(shard.last_ms < self._now_ms - QUIET_S * 1000 for shard in shards)

    async def _missing(self, name: str, counts: Counter[str], *, whole: bool) -> dict[str, int]:
        """What the board's bucket differs from the log by, of players in the log."""
        found: dict[str, int] = {}
        players = list(counts)
        for start in range(0, len(players), MEMBERS):
            chunk = players[start : start + MEMBERS]
            for player, n in zip(chunk, await self._db.do("HMGET", name, *chunk), strict=True):
                found[player] = counts[player] - int(n or 0)
        return {player: n for player, n in found.items() if n > 0 or (n and whole)}

    async def _excess(self, name: str, counts: Counter[str]) -> dict[str, int]:
        """What players have on the board who are not in the log at all."""
        cursor, found = 0, dict[str, int]()
        while True:
            cursor, rows = await self._db.do("HSCAN", name, cursor, "COUNT", MEMBERS)
            pairs = rows.items() if isinstance(rows, dict) else zip(rows[::2], rows[1::2], strict=True)
            found |= {player: -int(n) for player, n in pairs if player not in counts}
            cursor = int(cursor)
            if not cursor:
                return {player: n for player, n in found.items() if n}

    async def _add(self, bucket: int, counts: dict[str, int]) -> None:
        self.done.counts += len(counts)
        for args in count_args({(bucket, player): n for player, n in counts.items()}):
            self._number += 1
            await self._db.call("boards_add", self._boards, self._writer, self._number, *args)
