"""A million active players on every board: pages, ranks, neighbours and expiry, each at its p99 while writes go on.

The worst day for expiry: everybody played in the same ten minutes (a group event), and in a while of his own besides.
That bucket falls due now: a minute of it, 100,000 entries, is taken out at the pace of the matchmaker. The writer and
the expiry are processes of their own; reads are timed where a service would make them, client included.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.harness import Report, Stack, percentile, say, stack
from core import keys
from core.boards import BoardStore
from core.clock import now_ms
from core.leaderboard import (
    BUCKET_S,
    EXPIRE_STEP,
    MAX_PLAYERS_A_CALL,
    SLOT_S,
    WINDOW_S,
    bucket_of,
    rest_s,
    slot_of,
)
from core.redis.client import Database, open_database

GAME: Final = "bench"
BASE: Final = keys.boards(GAME)
PLAYERS: Final = 1_000_000
OWN_BUCKETS: Final = 3  # half an hour of play of a player's own, beside the event
MEASURED_S: Final = 60.0
WRITES: Final = 20_000  # of players' counts, a second
BATCH: Final = MAX_PLAYERS_A_CALL  # players of one write
READ_GAP_S: Final = 0.01
ALONE: Final = 500  # calls of each kind whose work is measured
CHUNK: Final = 2_000  # members of one variadic command of the load
EVENT: Final = 1_800_000_000  # the first second of the ten minutes that everybody played in
DUE_S: Final = EVENT + BUCKET_S + WINDOW_S  # when the first of it are due


def _player(i: int) -> str:
    return f"p-{i:026d}"


def _chunks(count: int, size: int) -> Iterator[range]:
    for start in range(0, count, size):
        yield range(start, min(count, start + size))


async def _used(db: Database) -> int:
    text = await db.do("MEMORY", "STATS")
    found = text if isinstance(text, dict) else dict(zip(text[::2], text[1::2], strict=True))
    return int(found["total.allocated"])


async def _load_activity(db: Database) -> None:
    """What boards_add would have left, by variadic commands: a board of a million in seconds."""
    chance = random.Random(1)
    buckets: dict[int, list[str | int]] = {}
    for part in _chunks(PLAYERS, CHUNK):
        totals: list[str | int] = []
        for i in part:
            player = _player(i)
            first = bucket_of(
                slot_of((EVENT + chance.randrange(2 * BUCKET_S, WINDOW_S - OWN_BUCKETS * BUCKET_S)) * 1000), player
            )
            own = [bucket_of(EVENT + BUCKET_S - SLOT_S, player), *(first + n * BUCKET_S for n in range(OWN_BUCKETS))]
            counts = [1 + int(chance.random() * 500) for _ in own]
            for bucket, n in zip(own, counts, strict=True):
                buckets.setdefault(bucket, []).extend((player, n))
            totals += (sum(counts), player)
        await db.do("ZADD", f"{BASE}:activity", *totals)
    commands: list[tuple[str | int, ...]] = []
    for bucket, flat in buckets.items():
        commands.append(("ZADD", f"{BASE}:buckets", bucket, bucket))
        for part in _chunks(len(flat), CHUNK):
            commands.append(("HSET", f"{BASE}:counts:{bucket}", *flat[part.start : part.stop]))
            if len(commands) >= 20:
                await db.do_many(commands)
                commands = []
    await db.do_many(commands)


async def _load_scores(db: Database) -> None:
    """The same for scores; of few values, so that most are tied."""
    now = now_ms()
    for part in _chunks(PLAYERS, CHUNK):
        members: list[str | int] = []
        since: list[str] = []
        for i in part:
            tie = f"{2**44 - 1 - now + i % 10**6:011x}"
            members += (i * 7919 % 1000, tie + _player(i))
            since += (_player(i), tie)
        await db.do_many([("ZADD", f"{BASE}:score", *members), ("HSET", f"{BASE}:since:score", *since)])


async def _measure(report: Report, services: Stack) -> None:
    async with open_database(services.redis.url) as db:
        await db.load()
        await db.do("SET", keys.registration(GAME), "{}")
        started, loading, used = time.perf_counter(), services.cpu_s()["redis"], await _used(db)
        say("loading activity")
        await _load_activity(db)
        activity = await _used(db)
        report.figure(
            f"activity: memory a player, {OWN_BUCKETS + 1} buckets each", (activity - used) / PLAYERS, "bytes"
        )
        say("loading scores")
        await _load_scores(db)
        report.figure("score or rating: memory a player", (await _used(db) - activity) / PLAYERS, "bytes")
        report.figure("loading a million players", time.perf_counter() - started, "s")
        before = services.cpu_s()
        report.figure("... of it, processor time of Redis", before["redis"] - loading, "s")
        writer = services.start("writer", "-m", "bench.leaderboard", "write", services.redis.url)
        expiry = services.start("expiry", "-m", "bench.leaderboard", "expire", services.redis.url)
        say(f"reading for {MEASURED_S:.0f} s")
        await _read(report, db, "activity")
        await _read(report, db, "score")
        for process in (writer, expiry):
            assert await asyncio.to_thread(process.wait, 60) == 0, (services.folder / "expiry.log").read_text()
        spent = services.cpu_s()["redis"] - before["redis"]
        _told(report, services, spent)
        await _alone(Work(report, services), db)


READS: Final[dict[str, dict[str, Any]]] = {
    "top 100": {"count": 100},
    "rank": {},
    "neighbours, 10 on each side": {"around": 10},
}


async def _look(db: Database, chance: random.Random, board: str, what: str) -> None:
    view = await BoardStore(db, GAME).view(board, player=_player(chance.randrange(PLAYERS)), **READS[what])
    assert view.own is not None


async def _read(report: Report, db: Database, board: str) -> None:
    chance, until = random.Random(2), time.perf_counter() + MEASURED_S / 2
    asked: dict[str, Callable[[], Awaitable[Any]]] = {
        "nothing (PING, to compare with)": partial(db.do, "PING"),
        **{name: partial(_look, db, chance, board, name) for name in READS},
    }
    took: dict[str, list[float]] = {name: [] for name in asked}
    while time.perf_counter() < until:
        for name, ask in asked.items():
            began = time.perf_counter()
            await ask()
            took[name].append(time.perf_counter() - began)
            await asyncio.sleep(READ_GAP_S)
    for name, seconds in took.items():
        bound = 10 if name in READS else None
        report.figure(f"{board}, {name}: p99 while writes go on", percentile(seconds, 0.99) * 1000, "ms", at_most=bound)
        report.figure(f"{board}, {name}: p50", percentile(seconds, 0.5) * 1000, "ms")


def _told(report: Report, services: Stack, spent: float) -> None:
    """What the writer and the expiry found."""
    written = json.loads((services.folder / "writer.log").read_text().splitlines()[-1])
    report.figure("counts written meanwhile", written["rows"] / MEASURED_S, "1/s")
    report.figure(f"a write of {BATCH} players: p99", percentile(written["took"], 0.99) * 1000, "ms")
    expired = json.loads((services.folder / "expiry.log").read_text().splitlines()[-1])
    steps = expired["took"]
    report.figure("a minute of expiry: entries taken out", expired["taken"], "entries")
    report.figure("... not yet taken out at its end", expired["left"], "entries", at_most=0)
    report.figure(f"... a step of {EXPIRE_STEP}: p99", percentile(steps, 0.99) * 1000, "ms", at_most=10)
    report.figure("... a step: p50", percentile(steps, 0.5) * 1000, "ms")
    report.figure(
        "... most entries in one second, of the mean", max(expired["seconds"]) * MEASURED_S / expired["taken"], "ratio"
    )
    report.figure("Redis: share of a core meanwhile", spent / MEASURED_S, "cores")


class Work:
    """How long Redis works on one call, by the processor time of its thread: what others wait for it, where nothing
    else takes the processor away.
    """

    def __init__(self, report: Report, services: Stack) -> None:
        assert services.redis.process is not None
        self._report, self._clock = report, Path(f"/proc/{services.redis.process.pid}/schedstat")

    async def measure(self, name: str, ask: Callable[[], Awaitable[Any]], times: int = ALONE) -> None:
        took = []
        for _ in range(times):
            await asyncio.sleep(0.002)
            before = self._read()
            await ask()
            took.append((self._read() - before) / 1e6)
        p99 = percentile(took, 0.99) if times > 1 else took[0]
        self._report.figure(f"{name}: Redis' work{', p99' * (times > 1)}", p99, "ms", at_most=10)
        if times > 1:
            self._report.figure(f"{name}: Redis' work, p50", percentile(took, 0.5), "ms")

    def _read(self) -> int:
        return int(self._clock.read_text().split()[0])


async def _alone(work: Work, db: Database) -> None:
    chance = random.Random(4)
    for board, what in itertools.product(("activity", "score"), READS):
        await work.measure(f"{board}, {what}", partial(_look, db, chance, board, what))
    expire = partial(db.call, "boards_expire", BASE, EVENT + BUCKET_S, EXPIRE_STEP)
    await work.measure(f"a step of expiry, {EXPIRE_STEP} entries", expire)
    add = partial(_add, db, chance, DUE_S, MAX_PLAYERS_A_CALL)
    await work.measure(f"a write of {MAX_PLAYERS_A_CALL} players", add)
    # A season of a million players ends; the next one ends empty, and the first one's archive goes.
    for season, name in ((1, "a season ends, a million players"), (2, "an archive of a million players is dropped")):
        await work.measure(name, partial(db.call, "season_end", BASE, season, now_ms(), 1, 2 - season), times=1)
    assert (await BoardStore(db, GAME).seasons()).running == 3


async def _add(db: Database, chance: random.Random, at_s: float, players: int) -> None:
    slot = slot_of(int(at_s * 1000))
    names = [_player(chance.randrange(PLAYERS)) for _ in range(players)]
    await db.call("boards_add", BASE, "", 0, 0, *(v for name in names for v in (name, bucket_of(slot, name), 3, "")))


async def _write(url: str) -> None:
    """Counts of players who are active now, in batches, as evenly as they come."""
    chance = random.Random(3)
    rows = 0
    took: list[float] = []
    async with open_database(url) as db:
        began = time.perf_counter()
        for number in range(int(MEASURED_S * WRITES / BATCH)):
            await asyncio.sleep(max(0.0, began + number * BATCH / WRITES - time.perf_counter()))
            asked = time.perf_counter()
            await _add(db, chance, DUE_S + number * BATCH / WRITES, BATCH)
            took.append(time.perf_counter() - asked)
            rows += BATCH
            if time.perf_counter() > began + MEASURED_S:
                break
        print(json.dumps({"rows": rows, "took": took}))


async def _expire(url: str) -> None:
    """A minute of expiry, at the pace of the matchmaker; the clock stands at the moment the event falls due."""
    taken, left = 0, 0
    seconds: dict[int, int] = {}
    took: list[float] = []
    async with open_database(url) as db:
        began = time.perf_counter()
        while (since := time.perf_counter() - began) < MEASURED_S:
            slot = int(since) // SLOT_S * SLOT_S
            asked = time.perf_counter()
            some, left = await db.call("boards_expire", BASE, EVENT + slot + SLOT_S, EXPIRE_STEP)
            if some:
                took.append(time.perf_counter() - asked)
            taken += some
            seconds[int(since)] = seconds.get(int(since), 0) + some
            next_slot = began + slot + SLOT_S - time.perf_counter()
            await asyncio.sleep(min(rest_s(left, next_slot), max(0.0, next_slot)))
        print(json.dumps({"taken": taken, "left": left, "took": took, "seconds": list(seconds.values())}))


def main(report: Report) -> None:
    with stack() as services:
        uvloop.run(_measure(report, services))


if __name__ == "__main__":
    uvloop.run({"write": _write, "expire": _expire}[sys.argv[1]](sys.argv[2]))
