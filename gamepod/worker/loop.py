"""A worker: takes players' packs from Redis, has them executed, writes states and acknowledgements.

Shards in which something may wait are `marked`, by a ring of the doorbell or by the sweep that looks at all of them
once a second; lanes work them off, side by side. Killed at any line, it leaves players under a lease that ends, rows
and states as they were; what it still computes after that is refused by its token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from zlib import crc32

from core import keys, packstore
from core.clock import now_ms
from core.doorbell import Doorbell
from core.errors import MusterError, Unavailable
from core.log import get
from core.outbound import signing_key
from core.packs import Failure
from core.packstore import Taken
from core.redis.client import Database
from gamepod.worker.calls import Calls
from gamepod.worker.execute import Done, Failed, Job
from gamepod.worker.games import Games
from gamepod.worker.metrics import Metrics
from gamepod.worker.pythons import Pythons
from gamepod.worker.settings import WorkerSettings

log = get("worker.loop")

URL_PLAYERS: Final = 16  # of one call
FIRST_PAUSE_S: Final = 0.5  # before a handler that could not be asked is asked again; doubled each time
LONGEST_PAUSE_S: Final = 30.0
SWEEP: Final = 512  # shards looked at in one round trip
AWAY_S: Final = 0.3  # between tries while Redis is away
MARKED_MOST: Final = 200_000  # shards; more are found by the sweep

Shard = tuple[str, str]  # game, base


class Worker:
    """See the module. `run` it; `hear` may be called at any time."""

    def __init__(
        self, db: Database, bell: Doorbell, settings: WorkerSettings, secret: str, owner: str, calls: Calls,
        pythons: Pythons, metrics: Metrics,
    ) -> None:  # fmt: skip
        self._db, self._bell, self._settings, self._secret, self._owner = db, bell, settings, secret, owner
        self._calls, self._pythons, self._metrics = calls, pythons, metrics
        self._games = Games(db, settings.modules)
        self._marked: dict[Shard, None] = {}
        self._some = asyncio.Event()

    def hear(self, topic: str, ids: list[str]) -> None:
        """A doorbell rang: packs came to these shards, `game.number` each."""
        for name in ids:
            game, _, number = name.rpartition(".")
            if game and number.isdigit() and int(number) < keys.SHARDS:
                self._mark((game, f"muster:{{{name}}}"))

    def _mark(self, shard: Shard) -> None:
        if len(self._marked) < MARKED_MOST:
            self._marked[shard] = None
            self._some.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then finish what is at work."""
        lanes = [asyncio.create_task(self._lane(stop)) for _ in range(self._settings.lanes)]
        sweep = asyncio.create_task(self._sweep())
        try:
            await stop.wait()
        finally:
            sweep.cancel()
            self._some.set()
            await asyncio.gather(sweep, *lanes, return_exceptions=True)
            await self._pythons.close()

    async def _lane(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if not self._marked:
                self._some.clear()
                await self._some.wait()
                continue
            shard = next(iter(self._marked))
            del self._marked[shard]
            try:
                if await self.turn(shard):
                    self._mark(shard)
            except Unavailable as error:
                log.warning("redis cannot be reached", error=error.detail)
                self._mark(shard)
                await asyncio.sleep(AWAY_S)
            except Exception:
                self._metrics.errors.inc()
                log.exception("a turn failed", shard=shard)
                await asyncio.sleep(AWAY_S)

    async def turn(self, shard: Shard) -> bool:
        """Take from a shard, execute, write. Returns whether there may be more. Raises Unavailable."""
        game, base = shard
        spec = await self._games.spec(game)
        if spec is None:
            return False
        started = time.monotonic()
        most = self._settings.players if spec.python else min(URL_PLAYERS, self._settings.players)
        name, base, args = packstore.take_call(base, self._owner, self._settings.lease_s, most)
        work = packstore.taken(base, await self._db.call(name, base, *args))
        if not work:
            return False
        try:
            done = await self._execute(game, work)
        except BaseException:
            with suppress(MusterError):
                await self._db.call_many([packstore.return_call(one, 0, "") for one in work])
            raise
        await self._write(game, work, done)
        self._metrics.seconds.labels(self._metrics.name(game)).observe(time.monotonic() - started)
        return True

    async def _execute(self, game: str, work: Sequence[Taken]) -> list[Done]:
        spec = await self._games.spec(game)
        assert spec is not None
        initial = packstore.initial_text(spec)
        if spec.python is not None:
            balances = {game: await self._games.balances(game)}
            jobs = [Job(game, spec.python, one.state or initial, one.packs) for one in work]
            before = self._pythons.deaths
            done = await self._pythons.run(jobs, balances)
            done = await self._with_news(game, jobs, done)
            self._metrics.deaths.inc(self._pythons.deaths - before)
            return done
        assert spec.url is not None
        key = signing_key(self._secret, f"commands:{game}")
        jobs = [Job(game, "", one.state or initial, one.packs) for one in work]
        # Who made a call fail before is asked about alone, so that nobody else waits for his sake.
        groups = [[i for i, one in enumerate(work) if not one.tries]] + [[i] for i, one in enumerate(work) if one.tries]
        found: dict[int, Done] = {}
        for group, answers in zip(
            groups,
            await asyncio.gather(
                *(
                    self._calls.run(game, spec.url, key, [work[i].player for i in group], [jobs[i] for i in group])
                    for group in groups
                )
            ),
            strict=True,
        ):
            found.update(zip(group, answers, strict=True))
        return [found[i] for i in range(len(work))]

    async def _with_news(self, game: str, jobs: Sequence[Job], done: list[Done]) -> list[Done]:
        """The same once more for jobs that missed a version of the balance: it may be younger than our last look."""
        missed = [i for i, came in enumerate(done) if came.failed is not None and came.failed.code == "balance-gone"]
        if missed:
            self._games.forget_balances(game)
            balances = {game: await self._games.balances(game)}
            for i, came in zip(missed, await self._pythons.run([jobs[i] for i in missed], balances), strict=True):
                done[i] = came
        return done

    async def _write(self, game: str, work: Sequence[Taken], done: Sequence[Done]) -> None:
        """Write all results in one round trip, again and again until Redis answers: each is recognised."""
        calls: list[tuple[str, str, Sequence[Any]]] = []
        for one, came in zip(work, done, strict=True):
            if came.trouble:
                calls.append(packstore.return_call(one, pause_s(one.tries), came.trouble))
            elif came.ran or came.failed:
                failure = _failure(one, came)
                calls.append(packstore.done_call(one, came.ran, came.commands, came.state, came.last_ms, failure))
            else:
                calls.append(packstore.return_call(one, 0, ""))
        until = time.monotonic() + self._settings.lease_s
        while True:
            try:
                replies = await self._db.call_many(calls)
                break
            except Unavailable:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(AWAY_S)
        self._count(game, work, done, replies)
        self._bell.ring("packs", [one.player for one in work])

    def _count(self, game: str, work: Sequence[Taken], done: Sequence[Done], replies: list[Any]) -> None:
        name = self._metrics.name(game)
        for one, came, reply in zip(work, done, replies, strict=True):
            if came.trouble:
                self._metrics.troubles.labels(name).inc()
                log.warning("a handler could not be asked", game=game, player=one.player, why=came.trouble)
            elif isinstance(reply, list) and reply[0] == "fenced":
                self._metrics.fenced.inc()
                log.warning("another worker has this player", game=game, player=one.player)
            else:
                self._metrics.packs.labels(name, "executed").inc(came.ran)
                self._metrics.commands.labels(name).inc(came.commands)
                if came.failed is not None:
                    self._metrics.packs.labels(name, "failed").inc()
                    self._metrics.failures.labels(name, _code(came.failed)).inc()

    async def _sweep(self) -> None:
        """Look at all shards once in a while: rings may be lost, leases end, and what was put off is due."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("redis cannot be reached", error=error.detail)
            except Exception:
                self._metrics.errors.inc()
                log.exception("the sweep failed")
            await asyncio.sleep(self._settings.poll_s)

    async def look(self) -> None:
        """Mark every shard in which somebody is due, and tell how much waits. Raises Unavailable."""
        games = await self._games.every()
        shards = [(game, base) for game in games for base in keys.shards(game)]
        # Workers prefer different shards, so that they rarely want the same one.
        shards.sort(key=lambda shard: crc32(f"{self._owner} {shard[1]}".encode()))
        waiting: dict[str, int] = {}
        oldest: dict[str, float] = {}
        now = now_ms()
        for i in range(0, len(shards), SWEEP):
            part = shards[i : i + SWEEP]
            found = await self._db.do_many([command for _, base in part for command in _asked(base)])
            for (game, base), (due, since, stats) in zip(part, zip(*[iter(found)] * 3, strict=True), strict=True):
                if due and due[0][1] <= now + self._settings.poll_s * 1000:
                    self._mark((game, base))
                name = self._metrics.name(game)
                age_s = (now - since[0][1]) / 1000 if since else 0.0
                oldest[name] = max(oldest.get(name, 0.0), age_s)
                waiting[name] = waiting.get(name, 0) + packstore.waiting_of(stats)
        for name, count in waiting.items():
            self._metrics.waiting.labels(name).set(count)
            self._metrics.oldest.labels(name).set(oldest[name])


def _asked(base: str) -> list[tuple[str | int, ...]]:
    return [
        ("ZRANGE", f"{base}:packs-due", 0, 0, "WITHSCORES"),
        ("ZRANGE", f"{base}:packs-since", 0, 0, "WITHSCORES"),
        ("HMGET", f"{base}:packs-stats", *packstore.STATS),
    ]


def _failure(one: Taken, came: Done) -> Failure | None:
    failed = came.failed
    if failed is None:
        return None
    return Failure(one.done + came.ran + 1, failed.index, failed.command, failed.code, failed.detail)


def _code(failed: Failed) -> str:
    """The label for a failure; a URL may make up codes of its own."""
    known = ("refused", "handler-failed", "handler-too-slow", "handler-died", "bad-state", "state-too-large")
    return failed.code if failed.code in known else "other"


def pause_s(tries: int) -> float:
    """How long to wait after so many failed tries before this one."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries, 10))
