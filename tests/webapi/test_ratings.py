"""Ratings at the door: a ticket is given them, and nobody else may say how good he is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core import keys
from core.redis.client import Database
from tests.webapi.support import Api, claim, end, make_ready

NUMBER, TEXT = {"name": "skill", "type": "number"}, {"name": "mode", "type": "string"}
TEAM = {"name": "one", "minPlayers": 1, "maxPlayers": 4, "quantity": 2}
RULES = {"ruleLanguageVersion": "1.0", "playerAttributes": [NUMBER, TEXT], "teams": [TEAM]}
MODES = {"players_per_match": None, "rules": RULES, "rating": {"modes": ["duel", "squad"]}}


async def _rate(db: Database, player: str, mu: float, *, mode: str = "", game: str = "tanks") -> None:
    """Give a player a rating, as a match would."""
    args = (player, "", f"{mu} 100.0 9 1", mu - 300)
    reply = await db.call("ratings_write", keys.boards(game), f"m-{player}-{mode}", mode, 1, 0, *args)
    assert reply == "ok"


async def _queued(db: Database, ticket: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Attributes by player of a ticket, as the matchmaker finds them."""
    doc = await db.do("HGET", keys.ticket(ticket["game"], ticket["id"]), "doc")
    return {player["id"]: player["attributes"] for player in msgspec.json.decode(doc)}


@pytest.mark.parametrize("sent", [{}, {"skill": 9999}, {"skill": "best"}, {"skill": {"a": 1}}])
async def test_a_ticket_is_given_the_rating(api: Api, db: Database, sent: dict[str, Any]) -> None:
    """Whatever a client sends as its rating, the stored one is queued with; other attributes stay."""
    await api.game(rating={})
    ann = await api.guest("Ann")
    await _rate(db, ann["player"], 1712.5)
    ticket = await api.ticket(ann, attributes={"tank": "heavy", **sent})
    assert await _queued(db, ticket) == {ann["player"]: {"skill": 1712.5, "tank": "heavy"}}


async def test_a_newcomer_is_average(api: Api, db: Database) -> None:
    """Without a rated match a player queues as a newcomer, under the attribute that the game asked for."""
    await api.game(rating={"attribute": "mmr"})
    ann = await api.guest("Ann")
    assert await _queued(db, await api.ticket(ann)) == {ann["player"]: {"mmr": 1500.0}}


async def test_without_ratings_an_attribute_is_the_clients(api: Api, db: Database) -> None:
    """A game that asked for no ratings takes attributes as they come."""
    await api.game()
    ann = await api.guest("Ann")
    assert await _queued(db, await api.ticket(ann, attributes={"skill": 3})) == {ann["player"]: {"skill": 3}}


async def test_each_of_a_party_has_his_own(api: Api, db: Database) -> None:
    """A party's ticket has each member's rating, in the mode that the leader asks for."""
    await api.game(**MODES)
    lead, other = await api.guest("Lead"), await api.guest("Other")
    await _rate(db, lead["player"], 1800.0, mode="squad")
    await _rate(db, other["player"], 1200.0, mode="squad")
    await _rate(db, other["player"], 1900.0, mode="duel")
    made = await api.ask("POST", "/v1/parties", {}, token=lead["access_token"])
    code = made.body["code"]
    await api.ask("POST", f"/v1/parties/{code}/join", {}, token=other["access_token"])
    ready = {"ready": True, "attributes": {"mode": "duel", "skill": 1.0}}
    for who in (lead, other):
        answer = await api.ask("PUT", f"/v1/parties/{code}/ready", ready, token=who["access_token"])
        assert answer.status == 200, answer
    ticket = await api.ticket(lead, party=code, attributes={"mode": "squad"})
    assert await _queued(db, ticket) == {
        lead["player"]: {"mode": "squad", "skill": 1800.0},
        other["player"]: {"mode": "squad", "skill": 1200.0},
    }


async def test_a_mode_that_there_is_not(api: Api) -> None:
    """A mode is one of the registration's; the refusal says where and which there are."""
    await api.game(**MODES)
    ann = await api.guest("Ann")
    for mode in ("chess", 7, ["duel"]):
        body = {"game": "tanks", "attributes": {"mode": mode}}
        answer = await api.ask("POST", "/v1/tickets", body, token=ann["access_token"])
        assert (answer.status, answer.body["pointer"]) == (422, "/attributes/mode")
        assert "duel, squad" in answer.body["detail"]


async def test_a_ticket_full_of_attributes(api: Api) -> None:
    """Attributes that leave no room for the rating are refused, not queued where nobody can read them."""
    await api.game(rating={})
    ann = await api.guest("Ann")
    body = {"game": "tanks", "attributes": {f"a{i}": 1 for i in range(50)}}
    answer = await api.ask("POST", "/v1/tickets", body, token=ann["access_token"])
    assert (answer.status, answer.body["pointer"]) == (422, "/attributes")


async def test_the_rating_board(api: Api, db: Database) -> None:
    """The rating board shows the skill that players have at the least, per mode where there are modes."""
    await api.game(rating={})
    await api.game("chess", **MODES)
    ann, bob = await api.guest("Ann"), await api.guest("Bob")
    await _rate(db, ann["player"], 1700.0)
    await _rate(db, bob["player"], 1600.0)
    await _rate(db, bob["player"], 1900.0, mode="squad", game="chess")
    board = (await api.ask("GET", f"/v1/games/tanks/boards/rating?player={bob['player']}&around=1")).body
    assert [(entry["rank"], entry["name"], entry["score"]) for entry in board["entries"]] == [
        (1, "Ann", 1400.0),
        (2, "Bob", 1300.0),
    ]
    assert board["player"] == {"rank": 2, "score": 1300.0}
    assert len(board["neighbours"]) == 2
    squad = (await api.ask("GET", "/v1/games/chess/boards/rating?mode=squad")).body
    assert [entry["score"] for entry in squad["entries"]] == [1600.0]
    assert (await api.ask("GET", "/v1/games/chess/boards/rating?mode=duel")).body["entries"] == []
    assert (await api.ask("GET", "/v1/games/chess/boards/score?mode=squad")).status == 422
    assert (await api.ask("GET", "/v1/games/chess/boards/rating?mode=a:b")).status == 422


async def test_a_match_says_what_became_of_it(api: Api, db: Database) -> None:
    """What the game reported, and whether it moved ratings, is read with the match."""
    await api.game(rating={})
    ann = await api.guest("Ann")
    match = await claim(db, "tanks", await api.ticket(ann))
    await make_ready(db, "tanks", match)
    path = f"/v1/matches/tanks/{match}"
    assert "rating" not in (await api.ask("GET", path, token=ann["access_token"])).body
    await db.call("match_report", keys.game("tanks"), match, "s-1", '{"players": []}')
    await end(db, "tanks", match)
    await db.call("match_rated", keys.game("tanks"), match, "one side alone")
    read = (await api.ask("GET", path, token=ann["access_token"])).body
    assert (read["report"], read["rating"]) == ({"players": []}, "one side alone")


async def test_ratings_that_no_rule_could_see(api: Api) -> None:
    """A registration whose ratings do not fit its rules is refused with the place."""
    developer = await api.account("dev", "developer")
    rules = {**RULES, "playerAttributes": [TEXT]}
    body = {"id": "tanks", "server": {"arena": {}}, "rules": rules, "rating": {}}
    answer = await api.ask("POST", "/v1/games", body, token=developer["access_token"])
    assert (answer.status, answer.body["pointer"]) == (422, "/rating/attribute")
    body["rating"] = {"modes": ["a b"]}
    answer = await api.ask("POST", "/v1/games", body, token=developer["access_token"])
    assert (answer.status, answer.body["pointer"]) == (422, "/rating/modes/0")
