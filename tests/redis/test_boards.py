"""board_read, season_end, boards_add: what a page of a board is, and how a season ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.boards import BoardStore
from core.errors import Conflict, NotFound
from core.keys import boards
from core.leaderboard import Entry, score_args
from core.redis.client import Caller, Database
from core.season import SEASONS_KEPT

BASE = boards("duel")
NOW = 1_790_000_000_000


class Reader:
    """A client of Redis for `BoardStore`: functions by one client, plain reads by the other."""

    def __init__(self, client: Caller, data: Database) -> None:
        self.call, self.do = client.call, data.do


@pytest.fixture
def store(client: Caller, data: Database) -> BoardStore:
    return BoardStore(Reader(client, data), "duel")


async def score(client: Caller, at_ms: int = NOW, **scores: float) -> None:
    for args in score_args(scores.items(), at_ms):
        await client.call("boards_add", BASE, "", 0, *args)


async def order(store: BoardStore, board: str = "score", **what: Any) -> list[str]:
    return [entry.player for entry in (await store.view(board, count=100, **what)).entries]


async def rate(client: Caller, match: str, *, season: int = 1, mode: str = "", at_ms: int = NOW, **scores: int) -> Any:
    """Write ratings as if nobody had one."""
    rows = [value for player, best in scores.items() for value in (player, "", f"1500.0 100.0 1 {season}", best)]
    return await client.call("ratings_write", BASE, match, mode, season, at_ms, *rows)


async def test_who_was_first_ranks_first(client: Caller, store: BoardStore) -> None:
    """Of equal scores the earlier one ranks first, however late it is told; a lower score changes nothing."""
    await score(client, NOW + 5, bob=7, ann=7)
    await score(client, NOW + 1, cid=7)
    await score(client, NOW + 9, dan=8)
    assert await order(store) == ["dan", "cid", "bob", "ann"]  # of one millisecond the later name
    await score(client, NOW, ann=7)
    await score(client, NOW, bob=6)
    assert await order(store) == ["dan", "ann", "cid", "bob"]
    await score(client, NOW + 20, bob=8)
    assert await order(store) == ["dan", "bob", "ann", "cid"]
    view = await store.view("score", first=1, count=2, player="ann", around=1)
    assert view.entries == [Entry(2, "bob", 8.0), Entry(3, "ann", 7.0)]
    assert (view.own, [entry.rank for entry in view.neighbours]) == (Entry(3, "ann", 7.0), [2, 3, 4])


async def test_equal_ratings_rank_by_the_end_of_their_matches(client: Caller, store: BoardStore) -> None:
    """Who has a rating since an earlier match is first, also where it went up and down in between."""
    assert await rate(client, "m1", at_ms=NOW, ann=300, bob=200) == "ok"
    assert await rate(client, "m2", at_ms=NOW + 1, cid=300) == "ok"
    assert await order(store, "rating") == ["ann", "cid", "bob"]
    moved = ("ann", "1500.0 100.0 1 1", "1400.0 100.0 2 1", 250)
    assert await client.call("ratings_write", BASE, "m3", "", 1, NOW + 2, *moved) == "ok"
    assert await order(store, "rating") == ["cid", "ann", "bob"]
    back = ("ann", "1400.0 100.0 2 1", "1500.0 100.0 3 1", 300)
    assert await client.call("ratings_write", BASE, "m4", "", 1, NOW + 3, *back) == "ok"
    assert await order(store, "rating") == ["cid", "ann", "bob"]


async def test_what_is_not_there(store: BoardStore) -> None:
    """An empty board has no page and nobody's rank; a season that never was is not found."""
    view = await store.view("activity", count=10, player="ann", around=3)
    assert (view.entries, view.own, view.neighbours, view.season) == ([], None, [], 1)
    with pytest.raises(NotFound, match="season 2 is not kept; season 1 is running"):
        await store.view("score", season=2, count=1)


async def test_counts_that_are_taken_back(client: Caller, store: BoardStore, data: Database) -> None:
    """Less than nothing takes back what was counted; who has nothing left is neither on the board nor in the bucket."""
    await client.call("boards_add", BASE, "", 0, 0, "ann", 600, 4, "", "bob", 600, 3, "")
    await client.call("boards_add", BASE, "", 0, 0, "ann", 600, -4, "", "bob", 600, -1, "")
    assert (await store.view("activity", count=9)).entries == [Entry(1, "bob", 2.0)]
    assert dict(await data.do("HGETALL", f"{BASE}:counts:600")) == {"bob": "2"}
    assert await client.call("boards_expire", BASE, 1200, 10) == [1, 0]
    assert await data.do("EXISTS", f"{BASE}:activity") == 0


async def test_a_season_ends_once(client: Caller, store: BoardStore) -> None:
    """Its boards are its archive, new ones are empty; the same end again changes nothing, an early one is refused."""
    await score(client, ann=5, bob=3)
    await rate(client, "m1", ann=100)
    await rate(client, "m2", mode="squad", cid=50)
    await client.call("boards_add", BASE, "", 0, 0, "ann", 600, 4, "")
    for _ in range(2):
        seasons = await store.end_season(1, carry=0.5, now_ms=NOW)
        assert (seasons.running, seasons.since_ms) == (2, NOW)
        (ended,) = seasons.ended
        assert (ended.season, ended.started_ms, ended.ended_ms, ended.carry) == (1, 0, NOW, 0.5)
        assert ended.boards == {"score": 2, "rating": 1, "rating:squad": 1}
        assert await order(store) == await order(store, "rating") == await order(store, "rating", mode="squad") == []
    await score(client, bob=2)
    assert await order(store) == ["bob"]
    view = await store.view("score", season=1, count=5, player="bob", around=5)
    assert (view.season, view.own) == (1, Entry(2, "bob", 3.0))
    assert view.neighbours == view.entries == [Entry(1, "ann", 5.0), Entry(2, "bob", 3.0)]
    assert await order(store, "rating", mode="squad", season=1) == ["cid"]
    assert await order(store, "score", season=2) == ["bob"]
    assert await order(store, "activity") == ["ann"]
    with pytest.raises(Conflict, match="season 3 cannot end: season 2 is running"):
        await store.end_season(3, carry=1, now_ms=NOW)


async def test_the_end_of_a_season_by_either_client(client: Caller, store: BoardStore) -> None:
    """The function says whether it ended the season, had ended it before, or has not come to it yet."""
    await score(client, ann=5)
    answers = [await client.call("season_end", BASE, season, NOW, 1, 4) for season in (2, 1, 1)]
    assert answers == [["ahead", 1], ["ok", 2], ["repeat", 2]]
    assert await order(store, season=1) == ["ann"]


async def test_a_match_is_rated_in_one_season(client: Caller, store: BoardStore) -> None:
    """What was computed in a season that has ended is computed again; what moved in it does not move once more."""
    assert await rate(client, "m1", ann=100) == "ok"
    await store.end_season(1, carry=1, now_ms=NOW)
    assert await rate(client, "m1", ann=100) == "repeat"
    assert await rate(client, "m2", bob=100) == "changed"
    assert await rate(client, "m2", season=2, bob=100) == "ok"
    assert await order(store, "rating") == ["bob"]
    assert await order(store, "rating", season=1) == ["ann"]


async def test_archives_are_bounded(client: Caller, store: BoardStore, data: Database) -> None:
    """The oldest archive goes with all its keys when there is one more than are kept."""
    for season in range(1, SEASONS_KEPT + 4):
        await score(client, ann=season)
        await rate(client, f"m{season}", season=season, **{f"p{season}": season})
        await store.end_season(season, carry=season / 100, now_ms=NOW + season)
    seasons = await store.seasons()
    kept = list(range(SEASONS_KEPT + 3, 3, -1))
    assert [it.season for it in seasons.ended] == kept
    for season in kept:
        assert await order(store, "score", season=season) == ["ann"]
        assert await order(store, "rating", season=season) == [f"p{season}"]
    with pytest.raises(NotFound, match="season 3 is not kept"):
        await store.view("score", season=3, count=1)
    for name in ("score", "rating", "since:score", "since:rating"):
        assert await data.do("EXISTS", f"{BASE}:season:3:{name}") == 0
        assert await data.do("EXISTS", f"{BASE}:season:4:{name}") == 1
    carried = (await data.do("HGET", f"{BASE}:seasons", "carry")).split()
    assert [float(word) for word in carried] == [season / 100 for season in reversed(kept)]


async def test_a_write_is_in_one_season(client: Caller, store: BoardStore) -> None:
    """Of scores that are written, some of them twice, while seasons end, each is in one season, in no other."""

    async def play(writer: str) -> None:
        for number in range(1, 41):
            for args in score_args([(f"{writer}-{number}", number)], NOW):
                for _ in range(1 + number % 2):
                    await client.call("boards_add", BASE, writer, number, *args, number - 1)

    async def reset() -> None:
        for season in range(1, 6):
            await asyncio.sleep(0.005)
            await store.end_season(season, carry=1, now_ms=NOW)

    await asyncio.gather(reset(), *(play(f"w{i}") for i in range(4)))
    found = []
    for season in range(1, 7):
        found += [entry.player for entry in (await store.view("score", season=season, count=1000)).entries]
    assert sorted(found) == sorted(f"w{i}-{number}" for i in range(4) for number in range(1, 41))
