"""What a game's author calls, against a real Valkey; and the documentation's example as it is printed."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core import keys
from core.api import Muster, connect
from core.errors import Conflict, Invalid, NotFound, Unavailable
from core.interactions import Action, Attack, Move, unpack
from core.leaderboard import Entry
from core.rating import Rating
from core.redis import client
from core.redis.client import Database
from tests.support import PATIENCE_S, free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that gets no processor for some seconds is waited for: whoever finds it away here finds nobody there."""
    monkeypatch.setattr(client, "TIMEOUT_S", PATIENCE_S)


async def test_the_documented_example_runs(redis_url: str) -> None:
    """The block in docs/python-api.md works as printed."""
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs/python-api.md").read_text(), re.DOTALL)
    assert example
    env = {**os.environ, "REDIS_URL": redis_url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", example[1]]
    done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("12.5 2")
    assert lines[2:] == [
        "1 alice 2.0",
        "2 bob 1.0",
        "Entry(rank=2, player='bob', score=1.0)",
        "[Entry(rank=1, player='alice', score=2.0), Entry(rank=2, player='bob', score=1.0)]",
    ]


async def test_an_interaction_is_in_log_view_and_board(redis_url: str) -> None:
    """Each kind is logged as what it is, seen in its view, and counted for who did it."""
    async with connect(redis_url, game="tanks") as muster:
        ids = [
            await muster.add_interaction("alice", target="bob", damage=3.5, at_s=time.time()),
            await muster.add_interaction("alice", position=(1.5, 2.5), move_ttl_s=10),
            await muster.add_interaction("bob", what="emote"),
        ]
        assert (await muster.read("attack:alice:bob"))["id"] == ids[0]
        move = await muster.read("move:alice")
        assert (move["lat"], move["lon"], move["id"]) == ("1.5", "2.5", ids[1])
        log = await muster.read(f"{keys.shard('tanks', ids[0].rpartition('-')[0])}:log")
        found = [one for _, fields in reversed(log) for one in unpack(fields["data"])]
        assert [type(one) for one in found] == [Attack, Move, Action]
        assert [one.id for one in found] == ids
        assert await muster.get_leaderboard() == [Entry(1, "alice", 2.0), Entry(2, "bob", 1.0)]


async def test_many_at_once_are_one_batch(redis_url: str, db: Database) -> None:
    """A list is one entry of the log; each of it is in its view and counted, unless it is too old for that."""
    async with connect(redis_url, game="tanks") as muster:
        many = [{"player": f"p-{i}", "position": (i / 10, 2.0)} for i in range(600)]
        more = [{"player": "p-1", "target": "p-2", "damage": 4}, {"player": "p-1", "at_s": time.time() - 2 * 86_400}]
        ids = await muster.add_interactions([*many, *more], move_ttl_s=20)
        assert ids[0].rpartition("-")[2] == "1"
        log = await muster.read(f"{keys.shard('tanks', ids[0].rpartition('-')[0])}:log")
        assert [one.id for one in unpack(log[0][1]["data"])] == ids
        assert len(log) == 1
        assert (await muster.read("move:p-599"))["lat"] == "59.9"
        assert (await muster.read("attack:p-1:p-2"))["id"] == ids[-2]
        assert await muster.rank("p-1") == Entry(1, "p-1", 2.0)
        assert await db.do("ZCARD", f"{keys.boards('tanks')}:activity") == 600
        assert (await muster.add_interaction("p-1")).rpartition("-")[2] == "603"


@pytest.mark.parametrize(
    ("many", "pointer"),
    [
        ([], "interactions"),
        ([{"player": "a"}] * 2001, "interactions"),
        ([{"player": "a"}, {"player": "a", "target": "b", "damage": -1}], "1/damage"),
        ([{"player": "a"}, {"players": "a"}], "1"),
    ],
)
async def test_one_that_is_wrong_refuses_all(redis_url: str, db: Database, many: Any, pointer: str) -> None:
    """The error says which of the list, and nothing is written."""
    async with connect(redis_url, game="tanks") as muster:
        with pytest.raises(Invalid) as caught:
            await muster.add_interactions(many)
        assert caught.value.pointer == pointer
    assert await db.do("DBSIZE") == 0


async def test_old_interactions_are_cleaned_up_and_older_ones_never_count(redis_url: str, db: Database) -> None:
    """What left the window goes at the next cleaning; what is too old when it comes is only logged."""
    async with connect(redis_url, game="tanks") as muster:
        await muster.add_interaction("alice")
        await muster.add_interaction("old", at_s=time.time() - 2 * 86_400)
        assert await muster.rank("old") is None
        await db.call("boards_add", keys.boards("tanks"), "", 0, 0, "ancient", 600, 4, "")
        assert (await muster.get_leaderboard(top=1))[0].player == "ancient"
        assert await muster.cleanup_old_interactions() == 1
        assert await muster.get_leaderboard() == [Entry(1, "alice", 1.0)]
        assert await muster.cleanup_old_interactions() == 0


async def test_ranks_and_neighbours(redis_url: str, db: Database) -> None:
    """The middle of a board shows both sides, its ends one, and a stranger nothing."""
    players = [value for i in range(10) for value in (f"p{i}", 0, 0, 100 - i)]
    await db.call("boards_add", keys.boards("tanks"), "", 0, 0, *players)
    async with connect(redis_url, game="tanks") as muster:
        assert await muster.rank("p4", board="score") == Entry(5, "p4", 96.0)
        around = await muster.neighbours("p4", around=2, board="score")
        assert [entry.player for entry in around] == ["p2", "p3", "p4", "p5", "p6"]
        assert [entry.rank for entry in around] == [3, 4, 5, 6, 7]
        assert [e.player for e in await muster.neighbours("p0", around=1, board="score")] == ["p0", "p1"]
        assert await muster.neighbours("stranger") == []
        assert await muster.get_leaderboard(top=3) == []


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"player": ""}, "player"),
        ({"player": "a:b"}, "player"),
        ({"player": "a", "target": "b c"}, "target"),
        ({"player": "a", "target": "b", "damage": float("nan")}, "damage"),
        ({"player": "a", "target": "b", "damage": -1.0}, "damage"),
        ({"player": "a", "damage": 5.0}, "damage"),
        ({"player": "a", "target": "b", "position": (0, 0)}, "target"),
        ({"player": "a", "position": (91, 0)}, "position"),
        ({"player": "a", "position": (1, 2, 3)}, "position"),
        ({"player": "a", "position": "here"}, "position"),
        ({"player": "a", "position": (0, 0), "move_ttl_s": 5}, "move_ttl_s"),
        ({"player": "a", "what": ""}, "what"),
        ({"player": "a", "at_s": 1e12}, "at_s"),
    ],
)
async def test_bad_arguments_are_refused_and_write_nothing(
    redis_url: str, db: Database, arguments: dict[str, Any], pointer: str
) -> None:
    """The error names the argument, and nothing is in Redis."""
    async with connect(redis_url, game="tanks") as muster:
        with pytest.raises(Invalid) as caught:
            await muster.add_interaction(**arguments)
        assert caught.value.pointer == pointer
    assert await db.do("DBSIZE") == 0


async def test_reading_is_bounded_and_plain(redis_url: str, db: Database) -> None:
    """Each type of key comes in its plain Python form, a long one only in part, a missing one as None."""
    await db.do("RPUSH", "muster:list", *range(2000))
    await db.do("SADD", "muster:set", "b", "a")
    await db.do("SET", "muster:text", "x")
    async with connect(redis_url, game="tanks") as muster:
        assert len(await muster.read("muster:list")) == 1000
        assert await muster.read("muster:set") == ["a", "b"]
        assert await muster.read("muster:text") == "x"
        assert await muster.read("move:nobody") is None
        with pytest.raises(Invalid):
            await muster.read("elsewhere")


async def test_a_reply_that_is_lost_counts_once(redis_url: str, db: Database) -> None:
    """Every write whose reply is lost is sent again with its number, and is there once."""

    class Lossy:
        """Loses the first reply of each function that writes."""

        def __init__(self) -> None:
            self.lost: set[str] = set()

        async def call(self, function: str, base: str, *args: Any) -> Any:
            reply = await db.call(function, base, *args)
            if function not in self.lost and function != "board_read":
                self.lost.add(function)
                raise Unavailable("the reply was lost")
            return reply

        async def do(self, *command: Any) -> Any:
            return await db.do(*command)

    muster = Muster(Lossy(), "tanks")  # type: ignore[arg-type]
    writer = (await muster.add_interaction("alice", target="bob", damage=1.0)).rpartition("-")[0]
    assert await db.do("XLEN", f"{keys.shard('tanks', writer)}:log") == 1
    assert await muster.get_leaderboard() == [Entry(1, "alice", 1.0)]


async def test_a_redis_that_is_away_and_a_wrong_game_are_told_apart() -> None:
    """Unavailable is worth another try later, Invalid is not."""
    async with connect(f"redis://127.0.0.1:{free_port()}/0", game="tanks") as muster:
        with pytest.raises(Unavailable):
            await muster.get_leaderboard()
    with pytest.raises(Invalid):
        async with connect("redis://127.0.0.1:1/0", game="No Game"):
            pass


async def test_ratings_are_read(redis_url: str, db: Database) -> None:
    """A player's rating and the rating board, of the game or of one of its modes."""
    base = keys.boards("tanks")
    await db.call(
        "ratings_write", base, "m1", "", 1, 0, "ann", "", "1700.5 90.0 12 1", 1430.5, "bob", "", "1500.0 80.0 9 1", 1260
    )
    await db.call("ratings_write", base, "m2", "squad", 1, 0, "bob", "", "1800.0 100.0 3 1", 1500)
    async with connect(redis_url, game="tanks") as muster:
        assert await muster.rating("ann") == Rating(mu=1700.5, sigma=90.0, matches=12)
        assert await muster.rating("ann", mode="squad") == Rating(mu=1500.0, sigma=500.0, matches=0)
        assert await muster.get_leaderboard(board="rating") == [Entry(1, "ann", 1430.5), Entry(2, "bob", 1260.0)]
        assert await muster.rank("bob", board="rating", mode="squad") == Entry(1, "bob", 1500.0)
        assert len(await muster.neighbours("bob", around=1, board="rating")) == 2
        with pytest.raises(Invalid, match="mode"):
            await muster.get_leaderboard(board="score", mode="squad")


async def test_scores_and_seasons(redis_url: str) -> None:
    """Scores are told by anybody who connects; a season that is over is read by its number, and ends once."""
    async with connect(redis_url, game="tanks") as muster:
        now = time.time()
        await muster.add_score("bob", 10.5, at_s=now - 5)
        await muster.add_score("ann", 10.5, at_s=now - 9)
        await muster.add_score("ann", 3)
        first = [Entry(1, "ann", 10.5), Entry(2, "bob", 10.5)]
        assert await muster.get_leaderboard(board="score") == first
        assert await muster.get_leaderboard(board="score", start=2, top=5) == first[1:]
        assert await muster.neighbours("bob", around=0, board="score") == first[1:]
        for _ in range(2):
            seasons = await muster.end_season(1, carry=0.5)
            assert (seasons.running, [it.season for it in seasons.ended]) == (2, [1])
        assert await muster.get_leaderboard(board="score") == []
        assert await muster.get_leaderboard(board="score", season=1) == first
        assert await muster.rank("bob", board="score", season=1) == first[1]
        assert (await muster.seasons()).ended[0].boards == {"score": 2}
        with pytest.raises(NotFound, match="season 2 is running"):
            await muster.rank("bob", board="score", season=9)
        with pytest.raises(Conflict):
            await muster.end_season(3)
        for call, pointer in (
            (muster.add_score("ann", float("inf")), "score"),
            (muster.add_score("a b", 1), "player"),
            (muster.add_score("ann", 1, at_s=now + 3600), "at_s"),
            (muster.get_leaderboard(start=0), "start"),
            (muster.get_leaderboard(top=1001), "top"),
            (muster.neighbours("ann", around=501), "around"),
            (muster.rank("ann", season=1), "season"),
            (muster.end_season(2, carry=1.5), "carry"),
        ):
            with pytest.raises(Invalid) as caught:
                await call
            assert caught.value.pointer == pointer
