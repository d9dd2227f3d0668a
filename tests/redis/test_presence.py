"""Presence in Redis: heartbeats, who is offline, and what becomes of reports, on every backend."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core import events, keys
from core.clock import new_id
from core.errors import Fenced
from core.presence import Look, Verdict, decide, gap_ms, read_look
from core.redis.client import Caller, Database

TIMEOUT_MS = 60_000
HALF_MS = TIMEOUT_MS // 2  # as long is left for what the test does meanwhile, which takes time too
HEAD = (gap_ms(TIMEOUT_MS), TIMEOUT_MS, 1000, 1000)
SHARD = 3
BASE = keys.presence(SHARD)
MOST = 500


class Shard:
    """One shard, by its functions; and its clock, which can be set."""

    def __init__(self, client: Caller, data: Database) -> None:
        self.client, self.data, self.token = client, data, 0

    async def open(self) -> None:
        self.token = (await self.client.call("lease_take", BASE, "tests", 600_000, 0))[0]

    async def beat(self, *members: str, listens: int = 1, most: int = 1000) -> list[Any]:
        head = (HEAD[0], HEAD[1], most, HEAD[3])
        return list(await self.client.call("presence_beat", BASE, *head, listens, *members))

    async def look(self) -> Look:
        return read_look(await self.client.call("presence_look", BASE))

    async def expire(self, verdict: Verdict | None = None) -> list[int]:
        verdict = verdict or decide(await self.look(), TIMEOUT_MS)
        args = (self.token, verdict.cutoff_ms, verdict.ahead_ms, MOST, 100_000)
        return [int(it) for it in await self.client.call("presence_expire", BASE, *args)]

    async def step_clock(self, ms: int) -> None:
        """As if Redis' clock had been set by so many ms: every time that is stored moves the other way."""
        heard = await self.data.do("ZRANGE", f"{BASE}:heard", 0, -1, "WITHSCORES")
        for member, score in heard:
            await self.data.do("ZADD", f"{BASE}:heard", int(score) - ms, member)
        for name in ("heard", "hold"):
            if (told := await self.data.do("HGET", f"{BASE}:watch", name)) is not None:
                await self.data.do("HSET", f"{BASE}:watch", name, int(told) - ms)

    async def pass_time(self, ms: int) -> None:
        """Let time pass in which somebody listened all the while."""
        await self.step_clock(ms)
        now = (await self.look()).now_ms
        await self.data.do("HSET", f"{BASE}:watch", "heard", now)

    async def told(self) -> list[events.Event]:
        found = await self.data.do("XRANGE", f"{BASE}:events", "-", "+")
        return [events.read_presence(*row) for row in events.entries(found)]

    async def online(self) -> dict[str, str]:
        return dict(await self.data.do("HGETALL", f"{BASE}:online"))


async def shard(client: Caller, data: Database) -> Shard:
    made = Shard(client, data)
    await made.open()
    await made.beat()
    await made.pass_time(TIMEOUT_MS + 1)  # of the hold of a shard that nobody listened to before
    return made


async def test_a_late_heartbeat_renews(client: Caller, data: Database) -> None:
    """Within the time-out a heartbeat only renews; without one he is reported once, with his session."""
    it = await shard(client, data)
    assert (await it.beat("duel/p-1", "duel/p-2", "chess/p-1"))[0] == 3
    await it.pass_time(HALF_MS)
    assert await it.expire() == [0, 0, 0]
    assert (await it.beat("duel/p-1"))[0] == 0
    await it.pass_time(HALF_MS)
    assert (await it.expire())[0] == 2
    assert (await it.expire())[0] == 0
    assert await it.online() == {"duel": "1"}
    offline = [event for event in await it.told() if isinstance(event, events.PlayerOffline)]
    assert {(event.game, event.player) for event in offline} == {("duel", "p-2"), ("chess", "p-1")}
    assert all(event.heard_ms - event.began_ms < 1000 for event in offline)


async def test_two_reporters_report_once(client: Caller, data: Database) -> None:
    """Whoever reports the same shard at once, each player is in the log once; an old token is refused."""
    it = await shard(client, data)
    members = [f"duel/p-{number}" for number in range(400)]
    await it.beat(*members)
    await it.pass_time(TIMEOUT_MS + 1)
    verdict = decide(await it.look(), TIMEOUT_MS)
    counts = await asyncio.gather(*(it.expire(verdict) for _ in range(4)))
    assert sum(count[0] for count in counts) == 400
    told = [event.player for event in await it.told() if isinstance(event, events.PlayerOffline)]
    assert len(told) == len(set(told)) == 400
    it.token = 1
    with pytest.raises(Fenced):
        await it.expire(verdict)


async def test_nobody_is_offline_while_nobody_listens(client: Caller, data: Database) -> None:
    """After a break of the listening everybody has a whole time-out; then who is silent is reported."""
    it = await shard(client, data)
    await it.beat("duel/p-1", "duel/p-2")
    await it.step_clock(10 * TIMEOUT_MS)  # Redis was away, or its clock was set forward
    assert decide(await it.look(), TIMEOUT_MS).held
    assert await it.expire() == [0, 0, 0]
    await it.beat()  # a listener is back: nobody was heard, and still nobody is judged
    assert await it.expire() == [0, 0, 0]
    await it.beat("duel/p-1")
    await it.pass_time(HALF_MS)
    assert await it.expire() == [0, 0, 0]
    await it.pass_time(HALF_MS)
    await it.beat("duel/p-1")
    assert (await it.expire())[0] == 1
    assert [event.player for event in await it.told() if isinstance(event, events.PlayerOffline)] == ["p-2"]


async def test_a_clock_that_is_set_back_forgets_nobody(client: Caller, data: Database) -> None:
    """Who was heard in what is the future now counts as heard now, and is reported a time-out later."""
    it = await shard(client, data)
    await it.beat("duel/p-1")
    await it.step_clock(-100 * TIMEOUT_MS)
    assert await it.expire() == [0, 0, 1]
    await it.beat()
    await it.pass_time(TIMEOUT_MS + 1)
    assert (await it.expire())[0] == 1


async def test_a_full_shard_refuses_newcomers(client: Caller, data: Database) -> None:
    """Who is tracked is renewed all the same; who is refused is named."""
    it = await shard(client, data)
    await it.beat("duel/p-1", "duel/p-2", most=2)
    assert await it.beat("duel/p-3", "duel/p-1", most=2) == [0, "duel/p-3"]
    assert (await it.look()).tracked == 2


async def test_settled_once(client: Caller, data: Database) -> None:
    """A session's play-time is added once, however often its events are settled."""
    it = await shard(client, data)
    player = new_id("player")
    row = (player, '["duel",0,90000]', 2, "duel/1", 60_000, "duel/2", 30_000)
    head = ("1-1", 1000, 600, 20, 0, 256)
    calls = [it.client.call("presence_settle", BASE, it.token, "", *head, *row) for _ in range(3)]
    replies = [list(await call) for call in calls]
    assert replies == [["ok", 0], ["stale", "1-1"], ["stale", "1-1"]]
    assert await data.do("HGETALL", f"{BASE}:days:{player}") == {"duel/1": "60000", "duel/2": "30000"}
    assert await data.do("LLEN", f"{BASE}:sessions:{player}") == 1


async def test_a_feed_has_each_event_once(client: Caller, data: Database) -> None:
    """What is not later than the shard's last event there is a repeat; a game that is gone has no feed."""
    base = keys.game("duel")
    rows = ("5-1", "a", "5-2", "b")
    assert await client.call("feed_append", base, 3, 100, 60, *rows) == -1
    await data.do("SET", keys.registration("duel"), "{}")
    assert await client.call("feed_append", base, 3, 100, 60, *rows) == 2
    assert await client.call("feed_append", base, 3, 100, 60, *rows, "6-0", "c") == 1
    assert await client.call("feed_append", base, 4, 100, 60, "5-1", "d") == 1
    found = events.entries(await data.do("XRANGE", f"{base}:feed", "-", "+"))
    assert [fields["e"] for _, fields in found] == ["a", "b", "c", "d"]
