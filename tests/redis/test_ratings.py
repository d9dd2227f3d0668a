"""match_report, match_step, ratings_write, match_rated: from the end of a match to its players' ratings."""

from __future__ import annotations

import json

import pytest

from core import keys
from core.leaderboard import read_view
from core.redis.client import Caller, Database
from tests.redis.conftest import Game
from tests.redis.steps import NOW, create, duel, lease, register, step

BOARDS = keys.boards("duel")


async def _rated_duel(game: Game, mode: object = "") -> None:
    """Match m1 of p1 and p2 on server s1, RUNNING, whose result moves ratings of `mode`."""
    await register(game)
    await create(game, "t1", "p1")
    players = [{"id": "p1", "name": "", "team": "players", "ticket": "t1"}]
    document = json.dumps({"id": "m1", "players": players, "rating_mode": mode})
    token = await lease(game)
    assert await game.call("match_claim", token, NOW, NOW + 60_000, 9, "m1", document, "t1") == ["ok"]
    await game.call("server_attach", "m1", "s1", NOW, "{}")
    await step(game, "m1", "ready", server="s1")


@pytest.mark.parametrize("mode", ["", "squad"])
async def test_a_finished_match_is_unrated_at_first(game: Game, mode: str) -> None:
    """In the step that ends a match it is put where ratings look for it; a repeat changes nothing."""
    await _rated_duel(game, mode)
    assert await game.scores("unrated") == {}
    await step(game, "m1", "finish", server="s1", reason="finished")
    assert await game.scores("unrated") == {"m1": NOW + 500}
    await game.call("match_rated", "m1", "rated")
    await step(game, "m1", "finish", server="s1", reason="finished")
    assert await game.scores("unrated") == {}


async def test_a_match_that_failed_is_not_rated(game: Game) -> None:
    """Only a match that came to its end moves ratings."""
    await _rated_duel(game)
    await step(game, "m1", "fail", reason="server_lost")
    assert await game.scores("unrated") == {}


@pytest.mark.parametrize("mode", [None, 1, False])
async def test_a_match_of_a_game_without_ratings(game: Game, mode: object) -> None:
    """Without a mode in its document, which the empty one is too, a match is not looked at."""
    await _rated_duel(game, mode)
    await step(game, "m1", "finish", server="s1", reason="finished")
    assert await game.scores("unrated") == {}


async def test_a_document_without_a_mode(game: Game) -> None:
    """A match from before there were ratings ends as ever."""
    await duel(game)
    assert (await step(game, "m1", "finish", server="s1", reason="finished"))[0] == "ok"
    assert await game.scores("unrated") == {}


async def test_what_became_of_a_match_is_noted(game: Game) -> None:
    """The note stands with the match; one that is gone leaves nothing but the list of unrated ones."""
    await _rated_duel(game)
    await step(game, "m1", "finish", server="s1", reason="finished")
    await game.do("ZADD", "unrated", NOW, "m9")
    assert await game.call("match_rated", "m1", "nobody stayed", "m9", "the match is gone") == 2
    assert await game.call("match_rated", "m1", "nobody stayed") == 0
    assert (await game.hash("match:m1"))["rating"] == "nobody stayed"
    assert await game.hash("match:m9") == await game.scores("unrated") == {}


async def test_a_report_is_kept_while_the_match_is_played(game: Game) -> None:
    """The match's own server reports between Ready and the end; the last report stands."""
    await duel(game, ready=False)
    assert await game.call("match_report", "m1", "s1", "{}") == ["early", "PLACING"]
    await step(game, "m1", "ready", server="s1")
    assert await game.call("match_report", "m1", "s2", "{}") == ["foreign", "RUNNING"]
    for text in ("first", "second", "second"):
        assert await game.call("match_report", "m1", "s1", text) == ["ok", "RUNNING"]
    await step(game, "m1", "finish", server="s1", reason="exited")
    assert await game.call("match_report", "m1", "s1", "third") == ["over", "ENDED"]
    assert (await game.hash("match:m1"))["report"] == "second"
    assert await game.call("match_report", "m9", "s1", "{}") == ["gone", ""]


async def shown(client: Caller, mode: str = "") -> list[tuple[str, float]]:
    """The rating board."""
    reply = await client.call("board_read", BOARDS, "", f"rating{mode}", 0, 10, "", 0)
    return [(entry.player, entry.score) for entry in read_view(reply, "rating", None, None).entries]


async def test_ratings_move_once(client: Caller, data: Database) -> None:
    """All players of a match move, with the board; the same match again moves nobody."""
    args = ("ann", "", "1600 400 1", 400, "bob", "", "1400 400 1", 200)
    assert await client.call("ratings_write", BOARDS, "m1", "", 1, 9, *args) == "ok"
    assert await client.call("ratings_write", BOARDS, "m1", "", 1, 9, *args) == "repeat"
    assert dict(await data.do("HGETALL", f"{BOARDS}:ratings")) == {"ann": "1600 400 1", "bob": "1400 400 1"}
    assert await shown(client) == [("ann", 400.0), ("bob", 200.0)]
    assert await data.do("TTL", f"{BOARDS}:rated:m1") > 100_000


async def test_ratings_that_changed_meanwhile(client: Caller, data: Database) -> None:
    """Where one rating is not the one that was computed from, nobody's moves, and the match may come again."""
    await client.call("ratings_write", BOARDS, "m1", "", 1, 9, "ann", "", "1600 400 1", 400)
    stale = ("bob", "", "1400 400 1", 200, "ann", "", "1700 400 1", 500)
    assert await client.call("ratings_write", BOARDS, "m2", "", 1, 9, *stale) == "changed"
    assert dict(await data.do("HGETALL", f"{BOARDS}:ratings")) == {"ann": "1600 400 1"}
    assert await data.do("ZCARD", f"{BOARDS}:rating") == 1
    fresh = ("bob", "", "1400 400 1", 200, "ann", "1600 400 1", "1700 390 2", 530)
    assert await client.call("ratings_write", BOARDS, "m2", "", 1, 9, *fresh) == "ok"


async def test_each_mode_has_ratings_of_its_own(client: Caller, data: Database) -> None:
    """What moves in one mode is not seen in another."""
    await client.call("ratings_write", BOARDS, "m1", "duel", 1, 9, "ann", "", "1600 400 1", 400)
    assert await client.call("ratings_write", BOARDS, "m2", "squad", 1, 9, "ann", "", "1500 400 1", 300) == "ok"
    assert await data.do("HGET", f"{BOARDS}:ratings:duel", "ann") == "1600 400 1"
    assert await shown(client, ":squad") == [("ann", 300.0)]
    assert await data.do("EXISTS", f"{BOARDS}:ratings") == 0
