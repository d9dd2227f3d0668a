"""Counts, flags and cursors change together, once."""

from __future__ import annotations

import json
from typing import Any

from tests.redis.conftest import Game

COUNT = ("100", "3:tank_moved", "2")


async def add(game: Game, epoch: int, before: str, after: str, *more: str, counts: int = 1) -> list[Any]:
    """One step that moves the cursor `c`."""
    return list(await game.call("analytics_add", epoch, 3600, 1, counts, "c", before, after, *more))


def flagged(game: Game, n: int, minute: int = 103, player: str = "p1") -> tuple[str, ...]:
    return (f"f{n}", str(minute), "m1", json.dumps({"id": f"f{n}", "event": "impossible_speed", "player": player}))


async def test_a_page_counts_once(game: Game) -> None:
    """A repeat of the call is recognised; who read from elsewhere adds nothing."""
    assert await add(game, 1, "", "5-1", *COUNT) == ["ok", 0]
    assert await add(game, 1, "", "5-1", *COUNT) == ["ok", 0]
    assert await add(game, 1, "", "6-1", *COUNT) == ["moved", 0]
    assert await add(game, 1, "5-1", "6-1", *COUNT) == ["ok", 0]
    assert await game.hash("counted:100") == {"3:tank_moved": "4"}
    assert await game.hash("analytics") == {"epoch": "1", "c": "6-1"}
    assert 0 < await game.do("TTL", "counted:100") <= 3600


async def test_another_epoch_begins_with_no_cursors(game: Game) -> None:
    """Counts stay; who is of an epoch that is over adds nothing any more."""
    assert await add(game, 1, "", "5-1", *COUNT) == ["ok", 0]
    assert await add(game, 2, "", "7-0-1", *COUNT) == ["ok", 0]
    assert await add(game, 1, "5-1", "6-1", *COUNT) == ["epoch", 2]
    assert await game.hash("counted:100") == {"3:tank_moved": "4"}


async def test_the_source_is_one_at_a_time(game: Game) -> None:
    """The same source goes on; another begins an epoch, a little later than now, so that the one before hears of it."""
    number, since = await game.call("analytics_begin", "redis", 5000)
    assert await game.call("analytics_begin", "redis", 5000) == [number, since]
    other, later = await game.call("analytics_begin", "kafka", 5000)
    assert (other, later >= since + 5000) == (number + 1, True)


async def test_a_flag_is_told_once(game: Game) -> None:
    """In the log of the game, and among its flags, which are counted by the minute."""
    assert await add(game, 1, "", "1-1", *(flagged(game, 1)), counts=0) == ["ok", 1]
    again = [*(flagged(game, 1)), *(flagged(game, 2))]
    assert await add(game, 1, "1-1", "2-1", *again, counts=0) == ["ok", 1]
    assert sorted(await game.hash("flags")) == ["f1", "f2"]
    assert await game.do("XLEN", "log") == 2
    assert await game.hash("counted:100") == {"3:flags": "2"}


async def test_flags_are_bounded(game: Game) -> None:
    """A hundred a minute are told, the others counted; the latest thousand are kept."""
    flags = [text for n in range(130) for text in flagged(game, n)]
    assert await add(game, 1, "", "1-1", *flags, counts=0) == ["ok", 100]
    assert await game.hash("counted:100") == {"3:flags": "130"}
    for minute in range(11):
        flags = [text for n in range(100) for text in flagged(game, 1000 * minute + n, 200 + minute)]
        await add(game, 1, f"{minute + 1}-1", f"{minute + 2}-1", *flags, counts=0)
    assert await game.do("HLEN", "flags") == await game.do("ZCARD", "flags:order") == 1000


async def test_flags_of_an_erased_player_go(game: Game) -> None:
    """Those of others stay."""
    both = [*(flagged(game, 1, player="p1")), *(flagged(game, 2, player="p10"))]
    await add(game, 1, "", "1-1", *both, counts=0)
    assert await game.call("flags_forget", "p1") == 1
    assert await game.call("flags_forget", "p1") == 0
    assert sorted(await game.hash("flags")) == ["f2"]
    assert await game.do("ZCARD", "flags:order") == 1
