"""Each event counts once, from the logs in Redis and from Kafka, whoever is killed; what cannot be right is flagged."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from core import keys
from core.analytics import streams, worker
from core.analytics.metrics import Metrics
from core.analytics.settings import Settings
from core.analytics.source import Source, Superseded
from core.analytics.streams import Streams
from core.analytics.topics import Topics
from core.analytics.worker import Analyst
from core.clock import now_ms
from core.interactions import Action, Attack, Interaction, Move, pack
from core.redis.client import Database
from core.redis.logreader import entry
from core.sinks import metrics as sink_metrics
from core.sinks.catalogue import ANALYTICS, COMMON, KINDS
from core.sinks.kafka import Kafka
from core.sinks.reading import messages
from core.sinks.ship import Shipper
from tests.sinks.brokers import Broker
from tests.stack import ROOT
from tests.support import eventually

pytestmark = pytest.mark.slow

KEPT = 10_000
METRE = 1 / 111_320


@pytest.fixture
async def game(db: Database) -> str:
    """A game there is, which no other test has: what a broker keeps of earlier ones is not ours."""
    made = f"g-{os.urandom(4).hex()}"
    await db.do("SADD", keys.GAMES, made)
    return made


@pytest.fixture(params=["redis", "kafka"])
def kafka(request: pytest.FixtureRequest) -> Broker | None:
    """Where events are read from: None is Redis."""
    return None if request.param == "redis" else request.getfixturevalue("one_kafka")


def source_of(db: Database, kafka: Broker | None) -> Source:
    return Streams(db) if kafka is None else Topics(db, kafka.address)


def analyst(db: Database, kafka: Broker | None, owner: str = "one") -> Analyst:
    return Analyst(db, source_of(db, kafka), owner, Settings(lease_s=2.0), Metrics(CollectorRegistry()))


@asynccontextmanager
async def working(*workers: Any) -> AsyncIterator[None]:
    """These run during the block."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for one in workers:
            group.create_task(one.run(stop))
        try:
            yield
        finally:
            stop.set()


@asynccontextmanager
async def carried(db: Database, kafka: Broker | None) -> AsyncIterator[None]:
    """What is in the logs arrives in Kafka, where that is the source."""
    async with AsyncExitStack() as stack:
        if kafka is not None:
            metrics = sink_metrics.Metrics(CollectorRegistry())
            shipper = Shipper(db, Kafka(kafka.address), f"s-{os.urandom(4).hex()}", 1.0, metrics)
            await stack.enter_async_context(working(shipper))
        yield


async def counted(db: Database, game: str) -> Counter[str]:
    """All that was counted of a game."""
    found: Counter[str] = Counter()
    base = keys.counted_base(game)
    async for key in db.scan(f"{base}:counted:*", 100):
        for field, amount in (await db.do("HGETALL", key)).items():
            found[field.partition(":")[2]] += float(amount)
    return found


async def begun(db: Database, game: str, *analysts: Analyst) -> None:
    """What came before the first start is not counted: wait until it is over."""

    async def there() -> bool:
        return bool(await db.do("EXISTS", f"{keys.counted_base('')}:epoch"))

    await eventually(there, within_s=60)
    await asyncio.sleep(0.01)


async def append(db: Database, game: str, match: str, number: int, rows: list[Interaction]) -> None:
    """Append one batch as a server does."""
    base = keys.shard(game, match)
    assert (await db.call("log_append", base, match, number, len(rows), pack(rows), KEPT))[0] == "ok"


async def play(db: Database, game: str, match: str, number: int, wanted: Counter[str]) -> None:
    """A batch of honest play, and what it should come to."""
    at, rows = now_ms(), list[Interaction]()
    for i in range(8):
        rows += [Move(f"{match}-{number}-{3 * i}", at, f"p{i}", 1.0, 1.0)]
        rows += [Attack(f"{match}-{number}-{3 * i + 1}", at, f"p{i}", "b", 0.5)]
        rows += [Action(f"{match}-{number}-{3 * i + 2}", at, "b", "jump")]
    await append(db, game, match, number, rows)
    wanted.update({"tank_moved": 8, "tank_took_damage": 8, "game_action": 8, "damage": 4})


async def arena(db: Database, game: str, match: str) -> None:
    """A match of the built-in arena with its default settings."""
    await db.do("HSET", keys.match(game, match), "doc", json.dumps({"server": {"arena": {}}}))


async def all_counted(db: Database, game: str, wanted: Counter[str]) -> None:
    async def same() -> bool:
        found = await counted(db, game)
        assert all(found[name] <= wanted[name] for name in wanted), (found, wanted)
        return all(found[name] == wanted[name] for name in wanted)

    await eventually(same, within_s=120)


async def test_whoever_counts_may_be_killed(db: Database, game: str, redis_url: str, kafka: Broker | None) -> None:
    """kill -9 again and again, of who counts and of who carries, while matches go on: nothing is lost or doubled."""
    settings = {
        "REDIS_URL": redis_url, "MUSTER_ANALYTICS_METRICS_PORT": "0", "MUSTER_ANALYTICS_LEASE_S": "1",
        "MUSTER_SINKS_METRICS_PORT": "0", "MUSTER_SINKS_LEASE_S": "1",
    }  # fmt: skip
    if kafka is not None:
        settings["KAFKA_BOOTSTRAP_SERVERS"] = kafka.address
    modules = ["core.analytics", *(["core.sinks"] if kafka is not None else [])]
    wanted: Counter[str] = Counter()
    for number in (0, 20):
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, cwd=ROOT, env=os.environ | settings, stderr=subprocess.DEVNULL
            )
            for module in modules
        ]
        try:
            await begun(db, game)
            before = (await counted(db, game))["tank_moved"]
            for n in range(number, number + 20):
                for match in ("m-1", "m-2", "m-3"):
                    await play(db, game, match, n + 1, wanted)
                await asyncio.sleep(0.01)

            async def goes_on(before: float = before) -> bool:
                return (await counted(db, game))["tank_moved"] > before

            await eventually(goes_on, within_s=120)
        finally:
            for process in processes:
                process.send_signal(signal.SIGKILL)
                await process.wait()
    async with carried(db, kafka), working(analyst(db, kafka)):
        await all_counted(db, game, wanted)
        await play(db, game, "m-1", 100, wanted)
        await all_counted(db, game, wanted)


async def test_two_count_at_once_and_add_nothing_twice(db: Database, game: str, kafka: Broker | None) -> None:
    """One that lost its lease without knowing it adds nothing; it opens the unit again and finds its place."""
    one, two = analyst(db, kafka, "one"), analyst(db, kafka, "two")
    wanted: Counter[str] = Counter()
    await one._begin()
    await asyncio.sleep(0.01)
    async with carried(db, kafka):
        for number in range(1, 7):
            await play(db, game, "m-1", number, wanted)
            for who in (one, two):  # both believe that they hold it
                who._held, who._looked_s = await who.source.units(), float("inf")
                await who.turn()

        async def done() -> bool:
            for who in (one, two):
                await who.turn()
            return (await counted(db, game))["damage"] >= wanted["damage"]

        await eventually(done, within_s=60)
        for who in (one, two):
            await who.turn()
            await who._close_all()
    await all_counted(db, game, wanted)


async def test_what_cannot_be_right_is_told_once(db: Database, game: str, kafka: Broker | None) -> None:
    """A jump and a hit too hard, in the log of the game as events of their own, across a change of who counts."""
    await arena(db, game, "m-1")
    at = now_ms()
    first, second, third = (Move(f"m-1-{n}", at + 100 * n, "fast", 1.0 + 500 * n * METRE, 1.0) for n in range(3))
    async with carried(db, kafka):
        async with working(analyst(db, kafka, "one")):
            await begun(db, game)
            await append(db, game, "m-1", 1, [first, Attack("m-1-9", at, "strong", "b", 5.0)])
            await all_counted(db, game, Counter(tank_moved=1, tank_took_damage=1))
        async with working(analyst(db, kafka, "two")):  # judges by what the other one read
            await append(db, game, "m-1", 2, [second, Attack("m-1-10", at + 1, "strong", "b", 99.0)])
            await append(db, game, "m-1", 3, [third])
            await all_counted(db, game, Counter(tank_moved=3, flags=2))
    flags = {
        one["event"]: one for one in map(json.loads, (await db.do("HGETALL", f"{keys.game(game)}:flags")).values())
    }
    assert (flags["impossible_speed"]["player"], flags["impossible_speed"]["metres"]) == ("fast", 500.0)
    assert (flags["impossible_damage"]["player"], flags["impossible_damage"]["damage"]) == ("strong", 99.0)
    rows = await db.do("XRANGE", f"{keys.game(game)}:log", "-", "+")
    assert sorted(json.loads(row[1]["data"])["id"] for row in rows) == sorted(one["id"] for one in flags.values())
    for row in rows:
        [told] = messages(game, entry(keys.game(game), row))
        assert (told.topic, told.key) == (ANALYTICS, "m-1")
        assert json.loads(told.body).keys() == COMMON.keys() | KINDS[told.event].fields.keys()


async def test_a_storm_of_logins_is_told_once(db: Database, kafka: Broker | None) -> None:
    """By address over names; in the log of who tried to come in, of no game."""
    async with carried(db, kafka), working(analyst(db, kafka)):
        await begun(db, "")
        at = now_ms()
        for n in range(40):
            body = {
                "event": "user_login_failed", "id": f"e-{n}", "at_ms": at, "name": f"n{n}", "player": "", "by": "",
                "address": "192.0.2.1", "via": "rest", "role": "", "reason": "wrong-credentials",
            }  # fmt: skip
            await db.call("facts_append", keys.AUDIT, "w", n + 1, KEPT, 86_400, f"n{n}", json.dumps(body))
        await all_counted(db, "", Counter(user_login_failed=40))
    [row] = [row for row in await db.do("XRANGE", f"{keys.AUDIT}:log", "-", "+") if "login_storm" in row[1]["data"]]
    assert await db.do("HLEN", f"{keys.AUDIT}:flags") == 1
    [told] = messages("", entry(keys.AUDIT, row))
    assert (told.topic, told.key) == (ANALYTICS, "192.0.2.1")
    assert json.loads(told.body).keys() == COMMON.keys() | KINDS["login_storm"].fields.keys()


async def test_another_source_counts_nothing_again(db: Database, game: str, one_kafka: Broker) -> None:
    """Kafka is set where Redis was read: counting goes on from now, and who still reads Redis rests."""
    wanted: Counter[str] = Counter()
    old = analyst(db, None, "old")
    await old._begin()
    await asyncio.sleep(0.01)
    await play(db, game, "m-1", 1, wanted)
    async with carried(db, one_kafka):
        async with working(old):
            await all_counted(db, game, wanted)
            async with working(analyst(db, one_kafka, "new")):

                async def handed_over() -> bool:
                    number, since = await db.do("HMGET", f"{keys.counted_base('')}:epoch", "number", "since_ms")
                    return number == "2" and now_ms() > int(since)

                await eventually(handed_over, within_s=60)
                for number in (2, 3, 4):
                    await play(db, game, "m-1", number, wanted)
                await all_counted(db, game, wanted)
        assert await counted(db, game) == wanted


async def test_what_came_before_is_not_counted_wherever_a_page_ends(
    db: Database, game: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are read from a little before the start, and the first of them end there."""
    monkeypatch.setattr(streams, "PAGE", 1)
    for number in (1, 2, 3):
        await play(db, game, "m-1", number, Counter())
    await asyncio.sleep(0.01)
    who, wanted = analyst(db, None), Counter[str]()
    await who._begin()
    await asyncio.sleep(0.01)
    await play(db, game, "m-1", 4, wanted)
    for _ in range(6):
        await who.turn()
    assert await counted(db, game) == wanted


async def test_who_is_held_up_counts_nothing_of_a_later_epoch(
    db: Database, game: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another source was set while he could not look: he looks before he counts what may be another's."""
    monkeypatch.setattr(worker, "HANDOVER_MS", 300)
    wanted: Counter[str] = Counter()
    old = analyst(db, None)
    await old._begin()
    await asyncio.sleep(0.01)
    await play(db, game, "m-1", 1, wanted)
    assert await old.turn()
    assert await counted(db, game) == wanted
    old._looked_s = float("inf")
    number, since_ms = await db.call("analytics_begin", keys.counted_base(""), "kafka", 300)
    assert number == 2
    await eventually_past(since_ms)
    await play(db, game, "m-1", 2, Counter())
    with pytest.raises(Superseded):
        await old.turn()
    assert await counted(db, game) == wanted


async def eventually_past(at_ms: int) -> None:
    """Wait for a moment."""
    await asyncio.sleep(max(0.0, at_ms - now_ms()) / 1000 + 0.05)


async def test_a_hostile_game_fills_nothing(db: Database, game: str) -> None:
    """Times of other centuries, damage that is no number, a flag for every player: bounded, and play is counted on."""
    await arena(db, game, "m-1")
    at, wanted = now_ms(), Counter[str]()
    async with working(analyst(db, None)):
        await begun(db, game)
        odd: list[Interaction] = [Move(f"x-{n}", n * 10**10, f"p{n}", float("nan"), 1e308) for n in range(300)]
        odd += [Attack(f"y-{n}", at, f"p{n}", "b", float("inf")) for n in range(300)]
        await append(db, game, "m-1", 1, odd)
        await play(db, game, "m-2", 1, wanted)
        wanted.update({"tank_moved": 300, "tank_took_damage": 300, "flags": 300})
        await all_counted(db, game, wanted)
    assert await db.do("HLEN", f"{keys.game(game)}:flags") <= 200  # a hundred a minute, of one minute or two
    assert len([key async for key in db.scan(f"{keys.game(game)}:counted:*", 100)]) <= 2
