"""The activity board against the plain form: one sorted-set member per interaction, on the same Valkey."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import keys
from core.interactions import Action, count
from core.leaderboard import BUCKET_S, WINDOW_S, bucket_of, count_args, oldest_bucket
from core.redis.client import Database, open_database
from core.redis.embedded import EmbeddedRedis

GAME = "tanks"
START_MS = 1_700_000_000_000
PLAYERS = st.sampled_from(["alice", "bob", "carol", "dave"])
# A step: so many seconds go by, then these players act, each so long ago (0: now), then the board is cleaned or not.
STEPS = st.lists(
    st.tuples(
        st.integers(0, WINDOW_S // 2),
        st.lists(st.tuples(PLAYERS, st.integers(0, WINDOW_S + 2 * BUCKET_S)), max_size=6),
        st.integers(1, 3),
    ),
    max_size=8,
)


async def plain_board(db: Database, now_ms: int) -> dict[str, float]:
    """ZREMRANGEBYSCORE on bucket times, then a count by player of the members left."""
    await db.do("ZREMRANGEBYSCORE", "plain", "-inf", f"({oldest_bucket(now_ms)}")
    board: dict[str, float] = {}
    for member in await db.do("ZRANGE", "plain", 0, -1):
        player = str(member).partition(":")[0]
        board[player] = board.get(player, 0) + 1
    return board


async def compare(url: str, steps: list[tuple[int, list[tuple[str, int]], int]]) -> None:
    async with open_database(url) as db:
        await db.do("FLUSHALL")
        now_ms, serial = START_MS, 0
        for later_s, acts, at_once in steps:
            now_ms += later_s * 1000
            for player, ago_s in acts:
                serial += 1
                act = Action(str(serial), now_ms - ago_s * 1000, player, "x")
                # The same second of its bucket's beginning is what both forms know of its time.
                await db.do("ZADD", "plain", bucket_of(act.at_ms), f"{player}:{serial}")
                for bucket, rest in count_args(count([act])):
                    await db.call("boards_add", keys.boards(GAME), "", 0, bucket, *rest)
            while await db.call("boards_expire", keys.boards(GAME), oldest_bucket(now_ms), at_once) == at_once:
                pass
            found = await db.do("ZRANGE", f"{keys.boards(GAME)}:activity", 0, -1, "WITHSCORES")
            assert {player: float(n) for player, n in dict(found).items()} == await plain_board(db, now_ms)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_buckets_equal_the_plain_form(
    valkey: EmbeddedRedis, steps: list[tuple[int, list[tuple[str, int]], int]]
) -> None:
    """At bucket resolution the board is the plain form's after every step, however small the steps of cleaning."""
    asyncio.run(compare(valkey.url, steps))


async def test_cleaning_takes_out_no_more_than_asked(db: Database) -> None:
    """Expiry works in bounded steps, and totals are right after each."""
    base = keys.boards(GAME)
    counts = {(0, f"p-{i}"): 2 for i in range(10)} | {(BUCKET_S, "p-0"): 1}
    for bucket, rest in count_args(counts):
        await db.call("boards_add", base, "", 0, bucket, *rest)
    assert await db.call("boards_expire", base, BUCKET_S, 4) == 4
    assert await db.do("ZCARD", f"{base}:activity") >= 6
    assert await db.call("boards_expire", base, BUCKET_S, 100) == 6
    assert dict(await db.do("ZRANGE", f"{base}:activity", 0, -1, "WITHSCORES")) in ({"p-0": 1.0}, {"p-0": "1"})
    assert await db.do("ZRANGE", f"{base}:buckets", 0, -1) == [str(BUCKET_S)]


async def test_a_batch_counts_once(db: Database) -> None:
    """A repeat of a numbered batch, or of one before it, changes nothing."""
    base = keys.boards(GAME)
    for number, answer in ((1, ["ok", 1]), (1, ["repeat", 1]), (2, ["ok", 2]), (1, ["repeat", 2])):
        assert await db.call("boards_add", base, "m-1", number, 0, "alice", 1, 7) == answer
    assert float(await db.do("ZSCORE", f"{base}:activity", "alice")) == 2
    assert float(await db.do("ZSCORE", f"{base}:score", "alice")) == 7
