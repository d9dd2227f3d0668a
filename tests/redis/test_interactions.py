"""log_append, views_write, boards_add, boards_expire: what a server writes of its match."""

from __future__ import annotations

from core import keys
from core.leaderboard import read_view
from core.redis.client import Caller, Database

MATCH = "m-1"
LOG = keys.shard("duel", MATCH)
BOARDS = keys.boards("duel")


async def test_log_append(client: Caller, data: Database) -> None:
    """A batch is in the log once, however often it is sent, and batches that were superseded are not added."""
    assert await client.call("log_append", LOG, MATCH, 1, 3, b"abc", 100) == ["ok", 1]
    assert await client.call("log_append", LOG, MATCH, 1, 3, b"abc", 100) == ["repeat", 1]
    assert await client.call("log_append", LOG, MATCH, 3, 2, b"de", 100) == ["ok", 3]
    assert await client.call("log_append", LOG, MATCH, 2, 2, b"no", 100) == ["repeat", 3]
    assert await data.do("XLEN", f"{LOG}:log") == 2
    assert await data.do("GET", f"{LOG}:batch:{MATCH}") == "3"


async def test_a_batch_without_the_one_before_it_is_refused(client: Caller, data: Database) -> None:
    """Where a writer says what must be there, a log that has lost it tells what it has, and stays without a hole."""
    assert await client.call("log_append", LOG, MATCH, 1, 3, b"abc", 100, 0) == ["ok", 1]
    assert await client.call("log_append", LOG, MATCH, 3, 2, b"de", 100, 2) == ["gap", 1]
    assert await client.call("log_append", LOG, MATCH, 2, 2, b"cd", 100, 1) == ["ok", 2]
    assert await client.call("log_append", LOG, MATCH, 3, 2, b"de", 100, 2) == ["ok", 3]
    assert await client.call("log_append", LOG, MATCH, 2, 2, b"cd", 100, 1) == ["repeat", 3]
    assert await data.do("XLEN", f"{LOG}:log") == 3


async def test_counts_without_those_before_them_are_refused(client: Caller, data: Database) -> None:
    """The same on the boards: nothing is counted that would hide that counts before it are missing."""
    assert await client.call("boards_add", BOARDS, MATCH, 2, 0, "a", 600, 3, 10, 1) == ["gap", 0]
    assert await data.do("ZSCORE", f"{BOARDS}:activity", "a") is None
    assert await client.call("boards_add", BOARDS, MATCH, 1, 0, "a", 600, 3, "", "b", 600, 1, "", 0) == ["ok", 1]
    assert await client.call("boards_add", BOARDS, MATCH, 2, 0, "a", 600, 3, 10, 1) == ["ok", 2]
    assert await client.call("boards_add", BOARDS, MATCH, 1, 0, "a", 600, 3, "", 0) == ["repeat", 2]
    assert float(await data.do("ZSCORE", f"{BOARDS}:activity", "a")) == 6


async def test_log_is_bounded(client: Caller, data: Database) -> None:
    """The log keeps about the batches it is told to keep."""
    for number in range(1, 502):
        await client.call("log_append", LOG, MATCH, number, 1, b"x", 10)
    assert await data.do("XLEN", f"{LOG}:log") <= 10 + 100  # Redis trims whole nodes of 100


async def test_views_write(client: Caller, data: Database) -> None:
    """Attacks, moves and player hashes are written with their times to live; the last value stands."""
    attack = ("a", "b", "id-1", 7, "2026-11-21T08:00:00.000Z")
    move = ("a", "id-2", 48.85, 2.35, "2026-11-21T08:00:01.000Z")
    state = ("a", "m-1", "2026-11-21T08:00:01.000Z", 2, "hp", "mana", 90, 5)
    for _ in range(2):
        assert await client.call("views_write", LOG, 30_000, 900_000, 1, 1, 1, *attack, *move, *state) == 3
    assert await data.do("HGET", f"{LOG}:attack:a:b", "damage") == "7"
    assert await data.do("HGET", f"{LOG}:move:a", "lat") == "48.85"
    found = dict(await data.do("HGETALL", f"{LOG}:player:a"))
    assert found == {"hp": "90", "mana": "5", "match": "m-1", "at": "2026-11-21T08:00:01.000Z"}
    assert 0 < await data.do("TTL", f"{LOG}:move:a") <= 30
    assert 800 < await data.do("TTL", f"{LOG}:attack:a:b") <= 900


async def test_an_older_view_never_takes_the_place_of_a_newer_one(client: Caller, data: Database) -> None:
    """The newest stands in whatever order they are written: by time, then by the number in the id."""
    at = [f"2026-11-21T08:00:0{second}.000Z" for second in range(3)]
    moves = [("a", "m-9", 1, 1, at[1]), ("a", "m-10", 2, 2, at[1]), ("a", "m-8", 0, 0, at[0])]
    attacks = [("a", "b", move[1], lat, when) for move in moves for _, _, lat, _, when in [move]]
    states = [("a", "m-1", when, 1, "hp", hp) for hp, when in ((5, at[1]), (4, at[2]), (9, at[0]))]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        await data.do("FLUSHALL")
        for i in order:
            await client.call("views_write", LOG, 30_000, 900_000, 1, 1, 1, *attacks[i], *moves[i], *states[i])
        assert await data.do("HGET", f"{LOG}:move:a", "id") == "m-10"
        assert await data.do("HGET", f"{LOG}:attack:a:b", "id") == "m-10"
        assert await data.do("HGET", f"{LOG}:player:a", "hp") == "4"


async def test_a_state_of_another_match_replaces_the_whole_hash(client: Caller, data: Database) -> None:
    """Fields that only the match before knew are gone with it."""
    states = (
        ("a", "m-1", "2026-11-21T08:00:00.000Z", 1, "lap", 3),
        ("a", "m-2", "2026-11-21T08:00:01.000Z", 1, "hp", 5),
    )
    for state in states:
        assert await client.call("views_write", LOG, 30_000, 900_000, 0, 0, 1, *state) == 1
    found = dict(await data.do("HGETALL", f"{LOG}:player:a"))
    assert found == {"hp": "5", "match": "m-2", "at": "2026-11-21T08:00:01.000Z"}


async def test_fields_of_states_are_named_where_they_change(client: Caller, data: Database) -> None:
    """A state without names has those of the one before it, also where that one was too old to be written."""
    at = "2026-11-21T08:00:01.000Z"
    await client.call("views_write", LOG, 30_000, 900_000, 0, 0, 1, "b", "m-1", "2026-11-21T08:00:02.000Z", 1, "hp", 7)
    states = ("a", "m-1", at, 2, "hp", "mana", 1, 2, "b", "m-1", at, "", 3, 4, "c", "m-1", at, "", 5, 6)
    last = ("d", "m-1", at, 1, "lap", 8, "e", "m-1", at, "", 9)
    assert await client.call("views_write", LOG, 30_000, 900_000, 0, 0, 5, *states, *last) == 4
    wanted = {"a": {"hp": "1", "mana": "2"}, "b": {"hp": "7"}, "c": {"hp": "5", "mana": "6"}, "d": {"lap": "8"}}
    for player, fields in {**wanted, "e": {"lap": "9"}}.items():
        found = dict(await data.do("HGETALL", f"{LOG}:player:{player}"))
        assert {name: found[name] for name in found if name not in ("match", "at")} == fields


async def test_boards_add(client: Caller, data: Database) -> None:
    """A batch counts once; activity adds up, the best score stands."""
    assert await client.call("boards_add", BOARDS, MATCH, 1, 0, "a", 600, 3, 10, "b", 600, 1, "") == ["ok", 1]
    assert await client.call("boards_add", BOARDS, MATCH, 1, 0, "a", 600, 3, 10, "b", 600, 1, "") == ["repeat", 1]
    assert await client.call("boards_add", BOARDS, MATCH, 2, 0, "a", 1200, 2, 7) == ["ok", 2]
    assert await client.call("boards_add", BOARDS, "", 0, 0, "b", 1200, 4, 99) == ["ok", 0]
    assert float(await data.do("ZSCORE", f"{BOARDS}:activity", "a")) == 5
    assert await data.do("HGET", f"{BOARDS}:counts:600", "a") == "3"
    reply = await client.call("board_read", BOARDS, "", "score", 0, 10, "", 0)
    assert [(e.player, e.score) for e in read_view(reply, "score", None, None).entries] == [("b", 99.0), ("a", 10.0)]


async def test_boards_expire(client: Caller, data: Database) -> None:
    """Buckets that left the window go out of the totals in bounded steps; after each the totals are right."""
    for bucket, players in ((600, ("a", 1, "b", 2)), (1200, ("b", 3)), (1800, ("a", 5))):
        rows = [x for i in range(0, len(players), 2) for x in (players[i], bucket, players[i + 1], "")]
        await client.call("boards_add", BOARDS, "", 0, 0, *rows)
    assert await client.call("boards_expire", BOARDS, 1800, 1) == [1, 2]
    totals = [float(await data.do("ZSCORE", f"{BOARDS}:activity", player)) for player in ("a", "b")]
    assert totals in ([5, 5], [6, 3])  # either of the oldest bucket's
    assert await client.call("boards_expire", BOARDS, 1800, 100) == [2, 0]
    assert await client.call("boards_expire", BOARDS, 1800, 100) == [0, 0]
    assert await data.do("ZRANGE", f"{BOARDS}:activity", 0, -1) == ["a"]
    assert await data.do("EXISTS", f"{BOARDS}:counts:600", f"{BOARDS}:expiring") == 0
    assert await data.do("ZRANGE", f"{BOARDS}:buckets", 0, -1) == ["1800"]


async def test_a_correction_takes_back_no_more_than_there_is(client: Caller, data: Database) -> None:
    """Where the bucket was expired since it was looked at, the total of the others stays what it is."""
    await client.call("boards_add", BOARDS, "", 0, 0, "a", 600, 3, "", "a", 1200, 4, "")
    await client.call("boards_expire", BOARDS, 1200, 100)
    await client.call("boards_add", BOARDS, "fix", 1, 0, "a", 600, -3, "", "a", 1200, -1, "", "b", 1200, -2, "")
    assert await data.do("ZRANGE", f"{BOARDS}:activity", 0, -1, "WITHSCORES") in (["a", "3"], [["a", 3.0]])
    assert await data.do("HGETALL", f"{BOARDS}:counts:1200") == {"a": "3"}
    assert await data.do("EXISTS", f"{BOARDS}:counts:600") == 0
