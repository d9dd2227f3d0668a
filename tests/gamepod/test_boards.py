"""Boards against their plain forms: one sorted-set member per interaction, and a sorted list of best scores."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import keys
from core.boards import BoardStore
from core.interactions import Action, count
from core.leaderboard import (
    BUCKET_S,
    SLOT_S,
    WINDOW_S,
    Entry,
    bucket_of,
    count_args,
    oldest_bucket,
    score_args,
    slot_of,
)
from core.redis.client import Database, open_database
from core.redis.embedded import EmbeddedRedis

GAME, BASE = "tanks", keys.boards("tanks")
START_MS = 1_700_000_000_000
PLAYERS = st.sampled_from(["alice", "bob", "carol", "dave"])
# A step: so many seconds go by, then these players act, each so long ago (0: now); their batch is sent once, twice, or
# behind a later one; and the board is cleaned so many entries at a time.
STEPS = st.lists(
    st.tuples(
        st.integers(0, WINDOW_S // 2),
        st.lists(st.tuples(PLAYERS, st.integers(0, WINDOW_S + 2 * BUCKET_S)), max_size=6),
        st.sampled_from(["once", "twice", "gap"]),
        st.integers(1, 3),
    ),
    max_size=8,
)


class Plain:
    """The plain form: a member per interaction, at the time of its bucket (`exact`) and at its own (`true`)."""

    def __init__(self, db: Database) -> None:
        self._db, self._serial = db, 0

    async def add(self, player: str, at_ms: int) -> None:
        self._serial += 1
        member = f"{player}:{self._serial}"
        await self._db.do("ZADD", "exact", bucket_of(slot_of(at_ms), player), member)
        await self._db.do("ZADD", "true", at_ms, member)

    async def count(self, key: str, least: int) -> dict[str, float]:
        """Interactions by player that are not older than `least`."""
        board: dict[str, float] = {}
        for member in await self._db.do("ZRANGE", key, least, "+inf", "BYSCORE"):
            player = str(member).partition(":")[0]
            board[player] = board.get(player, 0) + 1
        return board


async def add_batch(db: Database, number: int, acts: list[Action], how: str) -> int:
    """Count one batch as a server would; returns the number of the last call."""
    for args in count_args(count(acts)):
        if how == "gap":
            reply = await db.call("boards_add", BASE, "m", number + 2, *args, number + 1)
            assert reply == ["gap", number]
        for _ in range(2 if how == "twice" else 1):
            await db.call("boards_add", BASE, "m", number + 1, *args, number)
        number += 1
    return number


async def compare(url: str, steps: list[tuple[int, list[tuple[str, int]], str, int]]) -> None:
    async with open_database(url) as db:
        await db.do("FLUSHALL")
        now_ms, number, plain = START_MS, 0, Plain(db)
        for later_s, acts, how, at_once in steps:
            now_ms += later_s * 1000
            await db.call("boards_expire", BASE, oldest_bucket(now_ms), at_once)  # what is left waits for the late ones
            batch = [Action(str(i), now_ms - ago_s * 1000, player, "x") for i, (player, ago_s) in enumerate(acts)]
            for act in batch:
                await plain.add(act.player, act.at_ms)
            number = await add_batch(db, number, batch, how)
            while (await db.call("boards_expire", BASE, oldest_bucket(now_ms), at_once))[1]:
                pass
            found = dict(await db.do("ZRANGE", f"{BASE}:activity", 0, -1, "WITHSCORES"))
            board = {player: float(n) for player, n in found.items()}
            assert board == await plain.count("exact", oldest_bucket(now_ms))
            least = await plain.count("true", now_ms - WINDOW_S * 1000)
            most = await plain.count("true", now_ms - (WINDOW_S + BUCKET_S + SLOT_S) * 1000)
            assert all(least.get(player, 0) <= board.get(player, 0) <= most[player] for player in most)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_buckets_equal_the_plain_form(
    valkey: EmbeddedRedis, steps: list[tuple[int, list[tuple[str, int]], str, int]]
) -> None:
    """At bucket resolution the board is the plain form's after every step, with late batches, repeats and gaps, however
    small the steps of cleaning; and no player's count is less than the plain form's of 24 hours.
    """
    asyncio.run(compare(valkey.url, steps))


SCORES = st.one_of(
    st.integers(-2, 2).map(float),
    st.sampled_from([2.0**31, -(2.0**31), 2.0**53 - 1, 0.1, 0.30000000000000004, 1e-300, -0.0]),
    st.floats(allow_nan=False, allow_infinity=False),
)
REACHED = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "cid", "Dan", "éva"]), SCORES, st.integers(0, 5)), min_size=1, max_size=12
)


async def compare_scores(url: str, reached: list[tuple[str, float, int]]) -> None:
    best: dict[str, tuple[float, int]] = {}
    async with open_database(url) as db:
        await db.do("FLUSHALL")
        for player, score, at in reached:
            for args in score_args([(player, score)], START_MS + at):
                await db.call("boards_add", BASE, "", 0, *args)
            had = best.get(player)
            if had is None or (score, -at) > (had[0], -had[1]):
                best[player] = score, at
        last_first = sorted(best, reverse=True)
        order = sorted(last_first, key=lambda player: (-best[player][0], best[player][1]))
        wanted = [Entry(i + 1, player, best[player][0]) for i, player in enumerate(order)]
        store = BoardStore(db, GAME)
        assert (await store.view("score", count=100)).entries == wanted
        for i, entry in enumerate(wanted):
            view = await store.view("score", first=i, count=1, player=entry.player, around=1)
            assert (view.entries, view.own) == ([entry], entry)
            assert view.neighbours == wanted[max(0, i - 1) : i + 2]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REACHED)
def test_ties_are_won_by_who_was_first(valkey: EmbeddedRedis, reached: list[tuple[str, float, int]]) -> None:
    """Pages, ranks and neighbours are those of a sorted list of best scores, of equal ones the earlier first, in
    whatever order scores come; whole, fractional, huge and negative ones.
    """
    asyncio.run(compare_scores(valkey.url, reached))


async def test_cleaning_takes_out_no_more_than_asked(db: Database) -> None:
    """Expiry works in bounded steps, and totals are right after each; also of a bucket too large to be packed."""
    players = 1_500
    rows = [value for i in range(players) for value in (f"p-{i}", 0, 2, "")]
    await db.call("boards_add", BASE, "", 0, 0, *rows)
    await db.call("boards_add", BASE, "", 0, 0, "p-0", BUCKET_S, 1, "")
    left = players
    while left:
        await db.call("boards_add", BASE, "", 0, 0, "late", 0, 1, "")  # while it is being taken out
        taken, left = await db.call("boards_expire", BASE, BUCKET_S, 400)
        assert taken <= 400
        held = await db.do("HVALS", f"{BASE}:counts:0")
        totals = await db.do("ZRANGE", f"{BASE}:activity", 0, -1, "WITHSCORES")
        assert sum(float(n) for _, n in totals) == sum(map(int, held)) + 1
        assert len(held) == left
    assert [[name, float(n)] for name, n in await db.do("ZRANGE", f"{BASE}:activity", 0, -1, "WITHSCORES")] == [
        ["p-0", 1]
    ]
    assert await db.do("ZRANGE", f"{BASE}:buckets", 0, -1) == [str(BUCKET_S)]
    assert await db.do("EXISTS", f"{BASE}:counts:0", f"{BASE}:expiring") == 0


async def test_a_batch_counts_once(db: Database) -> None:
    """A repeat of a numbered batch, or of one before it, changes nothing."""
    for number, answer in ((1, ["ok", 1]), (1, ["repeat", 1]), (2, ["ok", 2]), (1, ["repeat", 2])):
        assert await db.call("boards_add", BASE, "m-1", number, 5, "alice", 0, 1, 7) == answer
    assert float(await db.do("ZSCORE", f"{BASE}:activity", "alice")) == 2
    assert (await BoardStore(db, GAME).view("score", count=5)).entries == [Entry(1, "alice", 7.0)]
