"""Matches, boards, views of players, and the overview."""

from __future__ import annotations

from core import keys
from core.leaderboard import score_args
from core.redis.client import Database
from tests.webapi.support import Api, claim, end, make_ready, next_event, open_api


async def test_a_match_is_for_those_it_concerns(api: Api, db: Database) -> None:
    """Its players and the game's owner read it; to others it does not exist."""
    owner = await api.game()
    ann, stranger = await api.guest("Ann"), await api.guest("Eve")
    match = await claim(db, "tanks", await api.ticket(ann))
    await make_ready(db, "tanks", match)
    await end(db, "tanks", match)
    for who in (ann, owner):
        read = (await api.ask("GET", f"/v1/matches/tanks/{match}", token=who["access_token"])).body
        assert (read["state"], read["reason"], read["result"]) == ("ENDED", "finished", {"winner": "players"})
        assert read["teams"] == [{"name": "players", "players": [{"id": ann["player"], "name": "Ann"}]}]
        assert read["created_at"] <= read["ready_at"] <= read["ended_at"]
    hidden = await api.ask("GET", f"/v1/matches/tanks/{match}", token=stranger["access_token"])
    assert (hidden.status, hidden.problem) == (404, "no-such-match")


async def test_what_a_server_said_is_for_its_developer(api: Api, db: Database) -> None:
    """The last lines of a game that failed are read by its owner, not by its players nor by strangers."""
    owner, ann = await api.game(), await api.guest("Ann")
    match = await claim(db, "tanks", await api.ticket(ann))
    failed = '{"detail": "exit code 1", "output": ["a secret"], "exit_code": 1}'
    await db.do("HSET", keys.match("tanks", match), "result", failed)
    for path in (f"/v1/matches/tanks/{match}", "/v1/games/tanks/matches"):
        seen = (await api.ask("GET", path, token=owner["access_token"])).body
        assert "a secret" in str(seen)
        hidden = (await api.ask("GET", path, token=ann["access_token"])).body
        assert "a secret" not in str(hidden)
        assert "exit_code" in str(hidden)
    assert "a secret" not in str((await api.ask("GET", "/v1/games/tanks/matches")).body)


async def test_the_matches_of_a_game(api: Api, db: Database) -> None:
    """Live ones first, then those that were over, to everybody and without any way in."""
    await api.game()
    over = await claim(db, "tanks", await api.ticket(await api.guest()))
    await make_ready(db, "tanks", over)
    await end(db, "tanks", over)
    live = await claim(db, "tanks", await api.ticket(await api.guest()))
    await make_ready(db, "tanks", live)
    answer = await api.ask("GET", "/v1/games/tanks/matches")
    assert [(found["id"], found["state"]) for found in answer.body["matches"]] == [(live, "RUNNING"), (over, "ENDED")]
    assert "token" not in str(answer.body)
    assert "connection" not in str(answer.body)
    assert (await api.ask("GET", "/v1/games/none/matches")).problem == "no-such-game"


async def test_a_board_shows_the_best_and_where_one_stands(api: Api, db: Database) -> None:
    """The first of a board with their names, the rank of one, and who stands around him."""
    await api.game()
    guests = [await api.guest(f"P{i}") for i in range(5)]
    for args in score_args([(guest["player"], 100 - i) for i, guest in enumerate(guests)], 0):
        await db.call("boards_add", keys.boards("tanks"), "", 0, *args)
    third = guests[2]["player"]
    board = (await api.ask("GET", f"/v1/games/tanks/boards/score?top=2&player={third}&around=1")).body
    assert [(entry["rank"], entry["name"], entry["score"]) for entry in board["entries"]] == [
        (1, "P0", 100.0),
        (2, "P1", 99.0),
    ]
    assert board["player"] == {"rank": 3, "score": 98.0}
    assert [entry["rank"] for entry in board["neighbours"]] == [2, 3, 4]
    first = (await api.ask("GET", f"/v1/games/tanks/boards/score?top=0&player={guests[0]['player']}&around=1")).body
    assert (first["entries"], [entry["rank"] for entry in first["neighbours"]]) == ([], [1, 2])
    absent = (await api.ask("GET", "/v1/games/tanks/boards/activity?player=p-nobody&around=3")).body
    assert absent == {"board": "activity", "entries": []}
    assert (await api.ask("GET", "/v1/games/tanks/boards/activity?player=%ff%00")).body == absent
    assert (await api.ask("GET", "/v1/games/none/boards/score")).problem == "no-such-game"
    assert (await api.ask("GET", "/v1/games/tanks/boards/luck")).status == 404


async def test_views_of_a_player(api: Api, db: Database) -> None:
    """State and position as the game wrote them; one without the other is fine, neither is not found."""
    await api.game()
    ann = await api.guest("Ann")
    path, base = f"/v1/games/tanks/players/{ann['player']}", keys.shard("tanks", ann["player"])
    assert (await api.ask("GET", path)).problem == "no-such-player"
    await db.do("HSET", f"{base}:player:{ann['player']}", "hp", "80")
    assert (await api.ask("GET", path)).body == {"player": ann["player"], "name": "Ann", "state": {"hp": "80"}}
    at = "2026-11-21T08:34:00.123Z"
    await db.do("HSET", f"{base}:move:{ann['player']}", "id", "i-1", "lat", "48.1", "lon", "11.5", "at", at)
    position = (await api.ask("GET", path)).body["position"]
    assert position == {"id": "i-1", "lat": 48.1, "lon": 11.5, "at": at}


async def test_the_overview(api: Api, db: Database) -> None:
    """Queues, matches and servers in one document; a launcher that tells nonsense is passed over."""
    await api.game(name="Tanks")
    match = await claim(db, "tanks", await api.ticket(await api.guest()))
    await make_ready(db, "tanks", match)
    await api.ticket(await api.guest())
    await db.do("HSET", keys.SERVERS, "launcher-1", '[{"match": "m-1"}]', "launcher-2", "no json")
    seen = (await api.ask("GET", "/v1/overview")).body
    assert [(game["id"], game["name"], game["waiting"], game["live"]) for game in seen["games"]] == [
        ("tanks", "Tanks", 1, 1)
    ]
    assert seen["games"][0]["stats"]["matches_created"] == 1
    assert [(found["id"], found["server"], found["players"]) for found in seen["matches"]] == [(match, "s-1", 1)]
    assert seen["servers"] == [{"launcher": "launcher-1", "match": "m-1"}]


async def test_the_overview_is_streamed_while_it_changes(redis_url: str) -> None:
    """A viewer gets it at once and again when it has changed; at the bound no more viewers are let in."""
    async with (
        open_api(redis_url, overview_streams=1) as api,
        await api.open("GET", "/v1/overview/events") as stream,
    ):
        first = await next_event(stream)
        assert first is not None
        assert (first["event"], first["data"]["games"]) == ("overview", [])
        full = await api.ask("GET", "/v1/overview/events")
        assert (full.status, full.problem) == (503, "busy")
        await api.game()
        second = await next_event(stream)
        assert second is not None
        assert [game["id"] for game in second["data"]["games"]] == ["tanks"]
        api.services.overview.close()
        assert await next_event(stream) is None
