"""Doorbells on a real Redis registry and real ZeroMQ sockets."""

from __future__ import annotations

import asyncio
import json

import zmq

from core import keys
from core.clock import now_ms
from core.doorbell import EXPIRY_S, IDS_IN_A_RING, MAX_RING_BYTES, open_doorbell
from core.redis.client import Database
from tests.support import eventually


async def test_a_ring_reaches_who_listens_for_its_topic(db: Database) -> None:
    """Each listener of a topic hears a ring with its ids, and no listener of another topic does."""
    first: list[tuple[str, list[str]]] = []
    second: list[tuple[str, list[str]]] = []
    other: list[tuple[str, list[str]]] = []
    async with (
        open_doorbell(db, topics=["queue"], heard=lambda t, i: first.append((t, i))),
        open_doorbell(db, topics=["queue"], heard=lambda t, i: second.append((t, i))),
        open_doorbell(db, topics=["ticket"], heard=lambda t, i: other.append((t, i))),
        open_doorbell(db) as ringer,
    ):

        async def both_hear() -> bool:
            ringer.ring("queue", ["duel"])
            return bool(first and second)

        await eventually(both_hear)
        assert first[0] == second[0] == ("queue", ["duel"])

        async def other_hears() -> bool:
            ringer.ring("ticket", ["t-1"])
            return bool(other)

        await eventually(other_hears)
        assert {topic for topic, _ in other} == {"ticket"}


async def test_many_ids_are_rung_in_bounded_messages(db: Database) -> None:
    """A ring of more ids than one message takes arrives whole, in several."""
    heard: list[list[str]] = []
    ids = [f"t-{n:026d}" for n in range(1000)]
    async with (
        open_doorbell(db, topics=["ticket"], heard=lambda _, found: heard.append(found)),
        open_doorbell(db) as ringer,
    ):

        async def connected() -> bool:
            ringer.ring("ticket", ["hello"])
            return bool(heard)

        await eventually(connected)
        heard.clear()
        ringer.ring("ticket", ids)
        await eventually(lambda: _truth(ids[-1] in (one for found in heard for one in found)))
        assert [one for found in heard for one in found if one != "hello"] == ids
        assert max(len(found) for found in heard) == IDS_IN_A_RING


async def test_rings_of_one_turn_leave_together(db: Database) -> None:
    """Whatever rings within one turn of the loop is one message for each topic, each id once."""
    heard: list[tuple[str, list[str]]] = []
    async with (
        open_doorbell(db, topics=["ticket", "match"], heard=lambda topic, ids: heard.append((topic, ids))),
        open_doorbell(db) as ringer,
    ):

        async def connected() -> bool:
            ringer.ring("match", ["hello"])
            return bool(heard)

        await eventually(connected)
        ringer.ring("match", ["last"])  # rings come in their order: behind this one there is no further greeting
        await eventually(lambda: _truth(any("last" in ids for _, ids in heard)))
        heard.clear()
        for ids in (["a"], ["b", "a"], ["c"]):
            ringer.ring("ticket", ids)
            ringer.ring("match", ["duel"])
        await eventually(lambda: _truth(len(heard) == 2))
        assert heard == [("ticket", ["a", "b", "c"]), ("match", ["duel"])]


async def test_listener_leaves_the_registry_with_its_block(db: Database) -> None:
    """Who closed is registered no more."""
    async with open_doorbell(db, topics=["queue"], heard=lambda _t, _i: None):
        await eventually(lambda: db.do("HLEN", keys.DOORBELLS))
    assert await db.do("HLEN", keys.DOORBELLS) == 0


async def test_dead_listener_is_dropped_from_the_registry(db: Database) -> None:
    """An entry that nobody renewed is swept by those who do renew theirs, and one that is no entry too."""
    stale = json.dumps({"topics": ["queue"], "until_ms": now_ms() - int(3 * EXPIRY_S * 1000), "pid": 1})
    await db.do("HSET", keys.DOORBELLS, "tcp://127.0.0.1:9", stale)
    async with open_doorbell(db, topics=["queue"], heard=lambda _t, _i: None):

        async def swept() -> bool:
            return not await db.do("HEXISTS", keys.DOORBELLS, "tcp://127.0.0.1:9")

        await eventually(swept)


async def test_garbage_at_the_bell_harms_nobody(db: Database) -> None:
    """Bytes that are no text, and a message beyond the bound, are survived; the next ring is heard."""
    heard: list[tuple[str, list[str]]] = []
    async with open_doorbell(db, topics=["queue"], heard=lambda t, i: heard.append((t, i))):
        endpoint = next(iter(await eventually(lambda: db.do("HGETALL", keys.DOORBELLS))))
        with zmq.Context() as context, context.socket(zmq.PUB) as stranger:
            stranger.setsockopt(zmq.LINGER, 0)
            stranger.connect(endpoint)

            async def heard_after_garbage() -> bool:
                stranger.send(b"queue \xff\xfe\x00")
                stranger.send(b"queue " + b"x" * (2 * MAX_RING_BYTES))
                await asyncio.sleep(0.05)
                stranger.send(b"queue duel")
                return ("queue", ["duel"]) in heard

            await eventually(heard_after_garbage)


async def _truth(value: bool) -> bool:
    return value


async def test_what_can_wait_is_told_once(db: Database) -> None:
    """An id rung for later is heard by itself, unless it is rung for meanwhile."""
    heard: list[str] = []
    async with (
        open_doorbell(db, topics=["ticket"], heard=lambda _, ids: heard.extend(ids)),
        open_doorbell(db) as ringer,
    ):

        async def connected() -> bool:
            ringer.ring("ticket", ["hello"])
            return bool(heard)

        await eventually(connected)
        ringer.ring_later("ticket", ["placing", "both"])
        ringer.ring("ticket", ["both"])
        await eventually(lambda: _truth("placing" in heard))
        ringer.ring_later("ticket", ["again"])
        await eventually(lambda: _truth("again" in heard))
        assert [one for one in heard if one != "hello"] == ["both", "placing", "again"]
