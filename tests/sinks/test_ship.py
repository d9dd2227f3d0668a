"""Events reach a broker at least once and in order, whoever dies in between."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from core import keys
from core.interactions import Action, Attack, Interaction, Move, pack
from core.redis.client import Database
from core.sinks.catalogue import KINDS
from core.sinks.metrics import Metrics
from core.sinks.ship import Shipper
from tests.sinks.brokers import Broker
from tests.sinks.listeners import Heard, Listener
from tests.stack import ROOT
from tests.support import eventually

pytestmark = pytest.mark.slow

KEPT = 10_000


@pytest.fixture
async def game(db: Database) -> str:
    """A game there is, which no other test has: what a broker keeps of earlier ones is not ours."""
    made = f"g-{os.urandom(4).hex()}"
    await db.do("SADD", keys.GAMES, made)
    return made


async def append(db: Database, game: str, match: str, number: int, rows: int = 20) -> list[str]:
    """Append one batch as a server does; the ids of its interactions."""
    made: list[Interaction] = []
    for i in range(rows):
        id_, at = f"{match}-{number * rows + i}", 1_700_000_000_000 + number
        kinds = (Move(id_, at, "a", 52.5, 13.4), Attack(id_, at, "a", "b", 7.0), Action(id_, at, "b", "jump"))
        made.append(kinds[i % 3])
    base = keys.shard(game, match)
    assert (await db.call("log_append", base, match, number + 1, rows, pack(made), KEPT))[0] == "ok"
    return [one.id for one in made]


@asynccontextmanager
async def shipping(db: Database, listener: Listener, owner: str = "one") -> AsyncIterator[Shipper]:
    """A shipper that works during the block. It keeps its lease while a broker is slow: else another sends it again."""
    shipper = Shipper(db, listener.outlet(), owner, 60.0, Metrics(CollectorRegistry()), packs=True)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(shipper.run(stop))
        try:
            yield shipper
        finally:
            stop.set()


def came(heard: list[Heard], ids: list[str]) -> Awaitable[bool]:
    """Wait until all these ids were heard."""

    async def all_there() -> bool:
        return set(ids) <= {one["id"] for one in heard}

    return eventually(all_there, within_s=120)


def ordered(heard: list[Heard], match: str, topic: str) -> list[str]:
    """Ids of a match's events in a topic, each at its first time."""
    return list(dict.fromkeys(one["id"] for one in heard if one["match"] == match and one["topic"] == topic))


def numbers(ids: list[str]) -> list[int]:
    """The numbers that ids end with."""
    return [int(one.rpartition("-")[2]) for one in ids]


async def test_what_is_in_the_log_arrives(db: Database, game: str, listener: Listener) -> None:
    """Each kind in its topic, in the order of its match, complete; and nothing again for who comes later."""
    async with listener.listening(game) as heard:
        ids = [id_ for match in ("m-1", "m-2") for number in range(5) for id_ in await append(db, game, match, number)]
        async with shipping(db, listener) as shipper:
            await came(heard, ids)
            assert len(heard) == len(ids)
            for one in heard:
                assert one["topic"] == KINDS[one["event"]].topic
                assert one["key"] == one["match"]
                assert one["game"] == game
                assert one["at_ms"] >= 1_700_000_000_000
            assert {one["event"] for one in heard} == {"tank_moved", "tank_took_damage", "game_action"}
            for match in ("m-1", "m-2"):
                for topic in {one["topic"] for one in heard}:
                    found = numbers(ordered(heard, match, topic))
                    assert found == sorted(found)

            async def counted() -> bool:  # once the broker has acknowledged what we have heard of already
                return bool(shipper.metrics.events.labels(shipper.outlet.name, "tank_moved")._value.get() > 0)

            await eventually(counted)
        async with shipping(db, listener, "two"):
            later = await append(db, game, "m-1", 5)
            await came(heard, later)
            assert len(heard) == len(ids) + len(later)


async def test_one_at_a_time_carries_a_game(db: Database, game: str, listener: Listener) -> None:
    """Two run, nothing is sent twice; the one that holds the game ends, the other goes on."""
    async with listener.listening(game) as heard, shipping(db, listener, "two"):
        async with shipping(db, listener, "one"):
            ids = [id_ for number in range(3) for id_ in await append(db, game, "m-1", number)]
            await came(heard, ids)
        more = [id_ for number in range(3, 6) for id_ in await append(db, game, "m-1", number)]
        await came(heard, more)
        assert len(heard) == len(ids) + len(more)


async def test_an_entry_that_cannot_be_read_holds_up_nothing(db: Database, game: str, listener: Listener) -> None:
    """It is counted, and what follows arrives."""
    base = keys.shard(game, "m-1")
    await db.call("log_append", base, "m-1", 1, 1, b'{"v": 99}', KEPT)
    await db.do("XADD", f"{keys.game(game)}:log", "*", "match", "m-1", "batch", "0", "count", "0", "data", "no JSON")
    async with listener.listening(game) as heard, shipping(db, listener) as shipper:
        ids = await append(db, game, "m-1", 1)
        await came(heard, ids)
        assert shipper.metrics.unreadable.labels(shipper.outlet.name)._value.get() == 2


# Not tansu, which keeps nothing on a disk: what it acknowledged is gone with it.
@pytest.mark.parametrize("broker", ["kafka", "rabbitmq"], indirect=True)
async def test_a_broker_that_dies_loses_nothing(
    db: Database, game: str, broker: tuple[str, Broker], listener: Listener
) -> None:
    """kill -9 in the middle of a load, away for a while, back with its disk: all arrives, each match in its order."""
    _, made = broker
    ids: list[str] = []
    stop = asyncio.Event()

    async def load() -> None:
        number = 0
        while not stop.is_set():
            for match in ("m-1", "m-2", "m-3"):
                ids.extend(await append(db, game, match, number, rows=5))
            number += 1
            await asyncio.sleep(0.05)  # some 300 a second, which every broker follows on a busy machine

    async with listener.listening(game) as heard, shipping(db, listener):
        task = asyncio.create_task(load())
        await came(heard, [await _after(ids, 60)])
        await asyncio.to_thread(made.kill)
        await asyncio.sleep(1.0)  # it is away while matches go on
        await asyncio.to_thread(made.start)
        await came(heard, [await _after(ids, len(ids) + 60)])
        stop.set()
        await task
        await came(heard, ids)
        for match in ("m-1", "m-2", "m-3"):
            for topic in {one["topic"] for one in heard}:
                found = numbers(ordered(heard, match, topic))
                assert found == sorted(found)


async def _after(ids: list[str], count: int) -> str:
    async def enough() -> bool:
        return len(ids) >= count

    await eventually(enough, within_s=60)
    return ids[count - 1]


async def test_whoever_carries_may_be_killed(
    db: Database, game: str, redis_url: str, broker: tuple[str, Broker], listener: Listener
) -> None:
    """kill -9 of the process again and again while matches go on: nothing is missing, and ids tell what came twice."""
    address = {"REDIS_URL": redis_url, "MUSTER_SINKS_METRICS_PORT": "0", "MUSTER_SINKS_LEASE_S": "1"}
    env = os.environ | address | listener.env()
    ids: list[str] = []
    async with listener.listening(game) as heard:
        for number in range(0, 60, 20):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "core.sinks", cwd=ROOT, env=env, stderr=subprocess.DEVNULL
            )
            try:
                for n in range(number, number + 20):
                    for match in ("m-1", "m-2"):
                        ids += await append(db, game, match, n)
                    await asyncio.sleep(0.01)
                await came(heard, ids[-700:-400])
            finally:
                process.send_signal(signal.SIGKILL)
                await process.wait()
        async with shipping(db, listener):
            await came(heard, ids)
    assert {one["id"] for one in heard} == set(ids)
