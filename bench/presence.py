"""Presence: a million players tracked, heartbeats beside it, and 30,000 who fall due in the same second.

Everything is the product's: heartbeats go through `core.beats.Beats`, as webapi's do; who is offline is reported by
matchmaker processes, one of which is killed amid its work. In the same run, on the same Redis, as many keys expire, and
a subscriber waits for their events, which is the plain way of doing it.

Sizes are environment variables, for a look on a busy machine: `PRESENCE_TRACKED`, `PRESENCE_RATE`, `PRESENCE_DUE`.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import msgspec
import psutil
import uvloop
from redis.asyncio import Redis

from bench.harness import Report, Stack, percentile, say, stack
from bench.load import load, request
from core import events, keys
from core.beats import Beats
from core.clock import now_ms
from core.errors import MusterError
from core.ids import make_id
from core.model import Game, GameSpec, Server
from core.presence import by_shard
from core.redis.batch import Batch
from core.redis.client import Database, open_database

TRACKED: Final = int(os.environ.get("PRESENCE_TRACKED", "1000000"))
RATE: Final = int(os.environ.get("PRESENCE_RATE", "16667"))  # a million, each once a minute
DUE: Final = int(os.environ.get("PRESENCE_DUE", "30000"))
TIMEOUT_S: Final = 180.0
LATE_MS: Final = 250
BEFORE_S: Final = 6.0  # how long heartbeats run before anybody falls due
TICK_S: Final = 0.01
GUESTS: Final = 500
REQUESTS: Final = 10_000
GAME: Final = "duel"
FILL: Final = 4000  # players put in at once
TIMEOUT_MS: Final = int(TIMEOUT_S * 1000)


@dataclass
class Load:
    """Heartbeats as they were sent and as they landed."""

    sent: int = 0
    failed: int = 0
    took_ms: list[float] = field(default_factory=list)


def player(number: int) -> str:
    """The id of a player, the same in each run."""
    return make_id("player", number, number.to_bytes(10, "big"))


@lru_cache(maxsize=1)
def stayers() -> list[str]:
    """Those who are heard all the while."""
    return [player(number) for number in range(TRACKED - 2 * DUE)]


async def fill(db: Database, first: int, count: int, heard_ms: int, spread_ms: int) -> None:
    """Track players as if heard within `spread_ms` from `heard_ms` on; their sessions began a minute before."""
    for start in range(first, first + count, FILL):
        numbers = range(start, min(first + count, start + FILL))
        commands: list[tuple[Any, ...]] = []
        for number, members in by_shard((GAME, player(it)) for it in numbers).items():
            base = keys.presence(number)
            step = max(1, spread_ms) / max(1, len(members))
            scores = [it for i, name in enumerate(members) for it in (int(heard_ms + i * step), name)]
            commands.append(("ZADD", f"{base}:heard", *scores))
            commands.append(("HSET", f"{base}:since", *(it for name in members for it in (name, heard_ms - 60_000))))
            commands.append(("HINCRBY", f"{base}:online", GAME, len(members)))
        await db.do_many(commands)


async def heartbeats(beats: Beats, sent: Load, stop: asyncio.Event) -> None:
    """So many heartbeats a second through the path that REST heartbeats and streams share; in each tick one of them is
    waited for, as a request waits.
    """
    loop = asyncio.get_running_loop()
    names, count = stayers(), TRACKED - 2 * DUE
    under_way = set[asyncio.Task[None]]()
    lost_before, began = beats.lost, loop.time()

    async def one(name: str) -> None:
        began_s = loop.time()
        try:
            await beats.beat(GAME, name)
        except MusterError:
            return  # counted as lost, or refused
        sent.took_ms.append((loop.time() - began_s) * 1000)

    while not stop.is_set():
        due = int((loop.time() - began) * RATE)
        if sent.sent < due:
            task = asyncio.create_task(one(names[sent.sent % count]))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            for number in range(sent.sent + 1, due):
                beats.sign(GAME, names[number % count])
            sent.sent = due
        await asyncio.sleep(TICK_S)
    await asyncio.gather(*under_way)
    sent.failed = beats.lost - lost_before


async def offline(db: Database) -> dict[str, int]:
    """When each was reported, ms of Redis' clock; fails where somebody was reported twice."""
    found: dict[str, int] = {}
    for number in range(keys.PRESENCE_SHARDS):
        place = "-"
        stream = f"{keys.presence(number)}:events"
        while rows := events.entries(await db.do("XRANGE", stream, place, "+", "COUNT", 5000)):
            for entry, fields in rows:
                event = events.read_presence(entry, fields)
                if isinstance(event, events.PlayerOffline):
                    assert event.player not in found, f"{event.player} was reported twice"
                    found[event.player] = event.at_ms - event.heard_ms - TIMEOUT_MS
            place = f"({rows[-1][0]}"
    return found


async def reported(db: Database) -> int:
    """How many were, cheaply."""
    commands = [("XLEN", f"{keys.presence(number)}:events") for number in range(keys.PRESENCE_SHARDS)]
    return sum(await db.do_many(commands))


async def until(check: Any, wanted: int, within_s: float) -> float:
    """Wait until `check` gives `wanted`; the seconds it took."""
    began = time.monotonic()
    while (found := await check()) < wanted:
        if time.monotonic() - began > within_s:
            raise RuntimeError(f"{found} of {wanted} after {within_s:g} s")
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def sessions(db: Database, first: int, count: int) -> list[int]:
    """How many sessions each of these has that are stored, and that they are what happened."""
    found = []
    for start in range(first, first + count, FILL):
        names = [player(it) for it in range(start, min(first + count, start + FILL))]
        commands = [("LRANGE", f"{keys.presence(keys.presence_number(it))}:sessions:{it}", 0, -1) for it in names]
        for texts in await db.do_many(commands):
            found.append(len(texts))
            assert all(json.loads(text)[0] == GAME for text in texts)
    return found


@asynccontextmanager
async def listening(db: Database) -> AsyncIterator[Beats]:
    """What webapi does with heartbeats."""
    beats = Beats(Batch(db).call, TIMEOUT_MS)
    task = asyncio.create_task(beats.run())
    try:
        yield beats
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await beats.close()


def start_reporters(services: Stack) -> None:
    for number in range(2):
        services.start(
            f"matchmaker-{number}", "-m", "matchmaker", MUSTER_LAUNCHER="instant", MUSTER_LEASE_S="0.6",
            MUSTER_PRESENCE_TIMEOUT_S=str(TIMEOUT_S), MUSTER_MATCHMAKER_METRICS_PORT="0", MUSTER_LOG_LEVEL="warning",
        )  # fmt: skip


async def memory(report: Report, db: Database) -> None:
    """Track everybody who stays; what each of them takes."""
    before = int((await db.do("INFO", "memory"))["used_memory"])
    began = time.monotonic()
    await fill(db, 0, TRACKED - 2 * DUE, now_ms(), 0)
    after = int((await db.do("INFO", "memory"))["used_memory"])
    stayers()
    say(f"{TRACKED - 2 * DUE} players tracked in {time.monotonic() - began:.1f} s")
    report.figure("memory per tracked player", (after - before) / max(1, TRACKED - 2 * DUE), "bytes")


async def unhold(db: Database) -> None:
    """A shard that nobody listened to before holds everybody back for a time-out, for which we will not wait."""
    await asyncio.sleep(1.5)
    await db.do_many([("HSET", f"{keys.presence(it)}:watch", "hold", 0) for it in range(keys.PRESENCE_SHARDS)])


async def expire(report: Report, db: Database, beats: Beats, services: Stack, first: int, *, kill: bool) -> None:
    """`DUE` players who fall due within one second, a few seconds from now, with heartbeats of all others beside it."""
    what = ", a reporter killed amid it" if kill else ""
    await asyncio.sleep(1.0)  # for the last phase's work to be over
    told_before = await reported(db)
    due_ms = now_ms() + int(BEFORE_S * 1000)
    await fill(db, first, DUE, due_ms - TIMEOUT_MS, 1000)
    sent, stop = Load(), asyncio.Event()
    cpu, began = services.cpu_s(), time.monotonic()
    own = psutil.Process()
    own_cpu = sum(own.cpu_times()[:2])
    beating = asyncio.create_task(heartbeats(beats, sent, stop))
    await asyncio.sleep(max(0.0, (due_ms - now_ms()) / 1000 + (0.5 if kill else 0)))
    if kill:
        services.processes["matchmaker-0"].kill()
    await until(lambda: reported(db), told_before + DUE, 60)
    await asyncio.sleep(1.0)
    stop.set()
    await beating
    seconds = time.monotonic() - began
    spent = {name: after - cpu[name] for name, after in services.cpu_s().items() if name in cpu}
    own_cpu = sum(own.cpu_times()[:2]) - own_cpu
    late = await offline(db)
    mine = [late[player(it)] for it in range(first, first + DUE)]
    cores = ", ".join(f"{name} {cpu_s / seconds:.2f}" for name, cpu_s in spent.items())
    say(f"{sent.sent / seconds:.0f} heartbeats/s; cores: {cores}, sender {own_cpu / seconds:.2f}")
    report.figure(f"heartbeats beside it{what}", sent.sent / seconds, "/s", at_least=RATE * 0.97)
    report.figure(f"heartbeats that failed{what}", sent.failed, "", at_most=0)
    report.figure(f"a heartbeat lands, p99{what}", percentile(sent.took_ms, 0.99), "ms")
    report.figure(f"heartbeats per CPU second of the batching path{what}", sent.sent / own_cpu, "/s")
    report.figure(f"reported of those due{what}", len(mine), "players", at_least=DUE)
    report.figure(f"reported late, p50{what}", percentile(mine, 0.5), "ms")
    # With a reporter killed its lease has to end first (0.6 s here, 3 s by default).
    report.figure(f"reported late, the last{what}", max(mine), "ms", at_most=None if kill else LATE_MS)
    report.figure(f"reported before their time{what}", sum(it < 0 for it in mine), "players", at_most=0)

    async def stored() -> int:
        return sum(it > 0 for it in await sessions(db, first, DUE))

    took = await until(stored, DUE, 120)
    counts = await sessions(db, first, DUE)
    report.figure(f"sessions stored once{what}", sum(it == 1 for it in counts), "players", at_least=DUE)
    say(f"all settled {took:.1f} s after the last report")


async def key_events(report: Report, beats: Beats, url: str) -> None:
    """The plain way: a key a player that expires, and a subscriber to key-expiry events; with the same heartbeats."""
    client = Redis.from_url(url, decode_responses=True)
    await client.config_set("notify-keyspace-events", "Ex")
    pubsub = client.pubsub()
    await pubsub.psubscribe("__keyevent@*__:expired")
    due_ms = now_ms() + int(BEFORE_S * 1000)
    for start in range(0, DUE, FILL):
        pipe = client.pipeline(transaction=False)
        for number in range(start, min(DUE, start + FILL)):
            pipe.set(f"plain:{player(number)}:{due_ms + number * 1000 // DUE}", "", pxat=due_ms + number * 1000 // DUE)
        await pipe.execute()
    late: list[int] = []
    sent, stop = Load(), asyncio.Event()
    beating = asyncio.create_task(heartbeats(beats, sent, stop))
    until_s = time.monotonic() + BEFORE_S + 60
    while len(late) < DUE and time.monotonic() < until_s:
        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
        if message is not None and str(message["data"]).startswith("plain:"):
            late.append(now_ms() - int(message["data"].rpartition(":")[2]))
    stop.set()
    await beating
    await client.config_set("notify-keyspace-events", "")
    await pubsub.aclose()  # type: ignore[no-untyped-call]
    await client.aclose()
    report.figure("by key-expiry events: told of those due", len(late), "players")
    report.figure("by key-expiry events: told late, p50", percentile(late, 0.5), "ms")
    report.figure("by key-expiry events: told late, the last", max(late), "ms")


async def rest(report: Report, services: Stack) -> None:
    """REST heartbeats that a core of webapi takes."""
    process = psutil.Process(services.webapi().pid)
    guests = await load(
        services.port, lambda i: request("POST", "/v1/guests", body={"name": f"g{i}"}), GUESTS, keep_bodies=True
    )
    tokens = [json.loads(body)["access_token"] for body in guests.bodies]
    body = {"game": GAME}
    before = process.cpu_times()
    answers = await load(
        services.port,
        lambda i: request("POST", "/v1/heartbeat", token=tokens[i % GUESTS], body=body),
        REQUESTS,
        connections=64,
    )
    after = process.cpu_times()
    assert set(answers.statuses) == {200}, answers.statuses
    spent = after.user + after.system - before.user - before.system
    report.figure("REST heartbeats per CPU second of webapi", REQUESTS / spent, "/s")
    report.figure("REST heartbeat, p99, a full core of them", percentile(answers.seconds, 0.99) * 1000, "ms")


async def run(report: Report) -> None:
    with stack() as services:
        async with open_database(services.redis.url) as db:
            now = now_ms()
            game = Game(GAME, "p-dev", 1, now, now, GameSpec(server=Server(arena={}), players_per_match=2))
            await db.do("SET", keys.registration(GAME), msgspec.json.encode(game))
            await db.do("SADD", keys.GAMES, GAME)
            await memory(report, db)
            start_reporters(services)
            async with listening(db) as beats:
                await unhold(db)
                await expire(report, db, beats, services, TRACKED - 2 * DUE, kill=False)
                await key_events(report, beats, services.redis.url)
                await expire(report, db, beats, services, TRACKED - DUE, kill=True)
            services.processes["matchmaker-1"].terminate()
            await rest(report, services)


def main(report: Report) -> None:
    """Print the figures."""
    uvloop.run(run(report))
