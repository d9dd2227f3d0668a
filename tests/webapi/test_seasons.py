"""Seasons through the API: who may end one, what a repeat does, and what is read of the past."""

from __future__ import annotations

import pytest

from core import keys
from core.leaderboard import score_args
from core.redis.client import Database
from tests.webapi.support import Api

PATH = "/v1/games/tanks/seasons"


async def _score(db: Database, **scores: float) -> None:
    for args in score_args(scores.items(), 1_790_000_000_000):
        await db.call("boards_add", keys.boards("tanks"), "", 0, *args)


async def test_a_developer_ends_a_season(api: Api, db: Database) -> None:
    """Its boards are read by its number; the same request again changes nothing; the new season begins empty."""
    owner, ann = await api.game(), await api.guest("Ann")
    assert (await api.ask("GET", PATH)).body == {"game": "tanks", "running": 1, "ended": []}
    await _score(db, **{ann["player"]: 12.0})
    for _ in range(2):
        ended = await api.ask("POST", PATH, {"season": 1, "carry": 0.5}, token=owner["access_token"])
        assert (ended.status, ended.body["running"]) == (200, 2)
        (season,) = ended.body["ended"]
        assert (season["season"], season["carry"], season["boards"]) == (1, 0.5, {"score": 1})
        assert season["ended_at"] == ended.body["since"]
        assert "started_at" not in season
        assert (await api.ask("GET", PATH)).body == ended.body
    board = "/v1/games/tanks/boards/score"
    assert (await api.ask("GET", board)).body == {"board": "score", "season": 2, "entries": []}
    past = (await api.ask("GET", f"{board}?season=1&player={ann['player']}&around=1")).body
    assert (past["season"], past["player"]) == (1, {"rank": 1, "score": 12.0})
    assert past["entries"] == past["neighbours"] == [{"rank": 1, "player": ann["player"], "name": "Ann", "score": 12.0}]
    second = await api.ask("POST", PATH, {"season": 2}, token=owner["access_token"])
    assert [(it["season"], it["carry"]) for it in second.body["ended"]] == [(2, 1.0), (1, 0.5)]
    assert second.body["ended"][0]["started_at"] == season["ended_at"]


async def test_who_may_end_a_season(api: Api, db: Database) -> None:
    """The game's developer and admins; no player, no other developer, no stranger."""
    await api.game()
    ann, other = await api.guest("Ann"), await api.account("other", "developer")
    for token, status in ((None, 401), (ann["access_token"], 403), (other["access_token"], 403)):
        assert (await api.ask("POST", PATH, {"season": 1}, token=token)).status == status
    assert (await api.ask("GET", PATH)).body["running"] == 1
    missing = await api.ask("POST", "/v1/games/none/seasons", {"season": 1}, token=other["access_token"])
    assert missing.problem == "no-such-game"
    assert (await api.ask("GET", "/v1/games/none/seasons")).problem == "no-such-game"


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/season"),
        ({"season": 0}, 422, "/season"),
        ({"season": 1, "carry": 2}, 422, "/carry"),
        ({"season": 1, "reset": True}, 422, "/reset"),
        ({"season": 2}, 409, None),
    ],
)
async def test_an_end_that_is_refused(api: Api, body: dict[str, object], status: int, pointer: str | None) -> None:
    """The problem says where, and nothing has ended."""
    owner = await api.game()
    answer = await api.ask("POST", PATH, body, token=owner["access_token"])
    assert (answer.status, answer.body.get("pointer")) == (status, pointer)
    assert (await api.ask("GET", PATH)).body["running"] == 1


async def test_boards_that_are_not_there(api: Api) -> None:
    """A season that is not kept is not found, and activity has none; ranks start at 1."""
    await api.game()
    board = "/v1/games/tanks/boards"
    missing = await api.ask("GET", f"{board}/score?season=7")
    assert (missing.status, missing.problem) == (404, "no-such-season")
    assert "season 1 is running" in missing.body["detail"]
    for path, pointer in ((f"{board}/activity?season=1", "season"), (f"{board}/score?start=0", "start")):
        answer = await api.ask("GET", path)
        assert (answer.status, answer.body["pointer"]) == (422, pointer)


async def test_a_page_in_the_middle_of_a_board(api: Api, db: Database) -> None:
    """`start` is the rank of the first line."""
    await api.game()
    await _score(db, **{f"p{i}": 100.0 - i for i in range(10)})
    page = (await api.ask("GET", "/v1/games/tanks/boards/score?start=4&top=3")).body["entries"]
    assert [(entry["rank"], entry["score"]) for entry in page] == [(4, 97.0), (5, 96.0), (6, 95.0)]
    assert (await api.ask("GET", "/v1/games/tanks/boards/score?start=11")).body["entries"] == []


async def test_a_ticket_is_given_what_a_season_left_of_a_rating(api: Api, db: Database) -> None:
    """After a season that hands over a half, a player queues half as far from the average."""
    owner, ann = await api.game(rating={}), await api.guest("Ann")
    args = (ann["player"], "", "1800.0 90.0 30 1", 1530)
    await db.call("ratings_write", keys.boards("tanks"), "m-1", "", 1, 0, *args)
    await api.ask("POST", PATH, {"season": 1, "carry": 0.5}, token=owner["access_token"])
    ticket = await api.ticket(ann)
    doc = await db.do("HGET", keys.ticket("tanks", ticket["id"]), "doc")
    assert '"skill":1650.0' in doc.replace(" ", "")
