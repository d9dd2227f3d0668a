"""Being asked for a match, and turning one down."""

from __future__ import annotations

from typing import Any

import pytest

from core.redis.client import Database
from tests.webapi.support import Answer, Api, claim, make_ready, next_event


def _path(ticket: dict[str, Any]) -> str:
    return f"/v1/tickets/{ticket['game']}/{ticket['id']}"


async def _answer(api: Api, ticket: dict[str, Any], who: dict[str, Any], *, accept: bool) -> Answer:
    return await api.ask("POST", _path(ticket) + "/acceptance", {"accept": accept}, token=who["access_token"])


async def _read(api: Api, ticket: dict[str, Any], who: dict[str, Any]) -> dict[str, Any]:
    return dict((await api.ask("GET", _path(ticket), token=who["access_token"])).body)


async def _waiting(api: Api, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """So many guests, and their tickets."""
    guests = [await api.guest(f"Guest {number}") for number in range(count)]
    return guests, [await api.ticket(guest) for guest in guests]


async def test_all_accept(api: Api, db: Database) -> None:
    """Each sees how many accepted, of how many, until when, and whether he has; with the last one it is PLACING."""
    await api.game()
    (ann, bob), (first, second) = await _waiting(api, 2)
    match = await claim(db, "tanks", first, second, ask_s=30)
    asked = await _read(api, first, ann)
    assert (asked["status"], asked["match"]) == ("REQUIRES_ACCEPTANCE", match)
    until = asked["acceptance"].pop("until")
    assert until > asked["created_at"]
    assert asked["acceptance"] == {"accepted": 0, "players": 2, "yours": False}
    for _ in range(2):
        answer = await _answer(api, first, ann, accept=True)
        assert answer.status == 200
        assert answer.body["acceptance"] == {"accepted": 1, "players": 2, "until": until, "yours": True}
    assert (await _read(api, second, bob))["acceptance"]["yours"] is False
    for _ in range(2):
        answer = await _answer(api, second, bob, accept=True)
        assert (answer.status, answer.body["status"]) == (200, "PLACING")
        assert "acceptance" not in answer.body
    await make_ready(db, "tanks", match)
    assert "connection" in await _read(api, first, ann)


async def test_the_stream_tells_each_answer(api: Api, db: Database) -> None:
    """Whoever listens hears that he is asked, each acceptance as it comes, and that the server starts."""
    await api.game()
    (ann, bob), (first, second) = await _waiting(api, 2)
    async with await api.open("GET", _path(first) + "/events", token=ann["access_token"]) as stream:
        await next_event(stream)
        await claim(db, "tanks", first, second, ask_s=30)
        heard = [await next_event(stream)]
        for guest, ticket in ((bob, second), (ann, first)):
            await _answer(api, ticket, guest, accept=True)
            heard.append(await next_event(stream))
    data = [event["data"] for event in heard if event is not None]
    assert [(it["event"], it["status"]) for it in data] == [
        ("proposed", "REQUIRES_ACCEPTANCE"), ("accepted", "REQUIRES_ACCEPTANCE"), ("agreed", "PLACING"),
    ]  # fmt: skip
    assert [it.get("acceptance", {}).get("accepted") for it in data] == [0, 1, None]


async def test_a_rejection(api: Api, db: Database) -> None:
    """Who rejects is CANCELLED, once or twice the same; the other searches on, and an answer of his is too late."""
    await api.game()
    (ann, bob), (first, second) = await _waiting(api, 2)
    match = await claim(db, "tanks", first, second, ask_s=30)
    another = match[:-1] + ("x" if match[-1] != "x" else "y")
    for accept in (True, False):
        other_match = {"accept": accept, "match": another}
        late = await api.ask("POST", _path(first) + "/acceptance", other_match, token=ann["access_token"])
        assert (late.status, late.problem) == (409, "past-acceptance")
    for _ in range(2):
        answer = await _answer(api, first, ann, accept=False)
        assert (answer.status, answer.body["status"], answer.body["reason"]) == (200, "CANCELLED", "rejected")
    assert (await _answer(api, first, ann, accept=True)).problem == "past-acceptance"
    other = await _read(api, second, bob)
    assert (other["status"], other["tries"], other["created_at"]) == ("SEARCHING", 0, second["created_at"])
    assert (await _answer(api, second, bob, accept=True)).problem == "not-asked"
    found = await api.ask("GET", f"/v1/matches/tanks/{match}", token=bob["access_token"])
    assert (found.body["state"], found.body["reason"]) == ("FAILED", "rejected")


async def test_answers_nobody_asked_for(api: Api, db: Database) -> None:
    """A ticket that waits asks nothing; one that is placed asks no more; a stranger's does not exist."""
    await api.game()
    (ann, bob), (first, second) = await _waiting(api, 2)
    for accept in (True, False):
        early = await _answer(api, first, ann, accept=accept)
        assert (early.status, early.problem) == (409, "not-asked")
    await claim(db, "tanks", first, second)
    for accept in (True, False):
        late = await _answer(api, first, ann, accept=accept)
        assert (late.status, late.problem) == (409, "past-acceptance")
    assert (await _answer(api, first, bob, accept=True)).status == 404
    assert (await api.ask("POST", _path(first) + "/acceptance", token=ann["access_token"])).status in (415, 422)


@pytest.mark.parametrize("ask_s", [None, 30])
async def test_a_cancel_while_a_match_comes(api: Api, db: Database, ask_s: float | None) -> None:
    """Asked, or while the server starts: the ticket is CANCELLED, the match fails, the other searches on."""
    await api.game()
    (ann, bob), (first, second) = await _waiting(api, 2)
    match = await claim(db, "tanks", first, second, ask_s=ask_s)
    for _ in range(2):
        answer = await api.ask("DELETE", _path(first), token=ann["access_token"])
        assert (answer.status, answer.body["status"]) == (200, "CANCELLED")
    assert (await _read(api, second, bob))["status"] == "SEARCHING"
    found = await api.ask("GET", f"/v1/matches/tanks/{match}", token=bob["access_token"])
    assert (found.body["state"], found.body["reason"]) == ("FAILED", "rejected" if ask_s else "cancelled")


async def test_who_turns_down_too_much_waits(api: Api, db: Database) -> None:
    """After as many matches as the game allows, a new ticket is 429 for up to ten minutes; other games take him."""
    await api.game(limits={"cancels": 2})
    ann = await api.guest("Ann")
    for ask_s in (None, 30):
        ticket = await api.ticket(ann)
        await claim(db, "tanks", ticket, ask_s=ask_s)
        assert (await api.ask("DELETE", _path(ticket), token=ann["access_token"])).status == 200
    refused = await api.ask("POST", "/v1/tickets", {"game": "tanks"}, token=ann["access_token"])
    assert (refused.status, refused.problem) == (429, "cancelled-too-often")
    assert 540 <= refused.body["retry_after_s"] <= 601
    await api.game("chess")
    await api.ticket(ann, "chess")


async def _party_asked(api: Api, db: Database, *, ask_s: float | None) -> tuple[str, list[dict[str, Any]], Any, Any]:
    """A party of Ann and Bob in a match with Eve: its code, the three, the tickets of the party and of Eve."""
    await api.game()
    people = [await api.guest(name) for name in ("Ann", "Bob", "Eve")]
    code = (await api.ask("POST", "/v1/parties", token=people[0]["access_token"])).body["code"]
    await api.ask("POST", f"/v1/parties/{code}/join", token=people[1]["access_token"])
    for member in people[:2]:
        await api.ask("PUT", f"/v1/parties/{code}/ready", {}, token=member["access_token"])
    ticket, other = await api.ticket(people[0], party=code), await api.ticket(people[2])
    await claim(db, "tanks", ticket, other, ask_s=ask_s)
    return code, people, ticket, other


async def test_each_member_of_a_party_answers(api: Api, db: Database) -> None:
    """A party's ticket is accepted when each member has; one who rejects ends it for all of them."""
    _, (ann, bob, eve), ticket, other = await _party_asked(api, db, ask_s=30)
    await _answer(api, ticket, ann, accept=True)
    seen = (await _read(api, ticket, bob))["acceptance"]
    assert (seen["accepted"], seen["players"], seen["yours"]) == (1, 3, False)
    assert (await _read(api, ticket, ann))["acceptance"]["yours"] is True
    await _answer(api, ticket, bob, accept=False)
    assert (await _read(api, ticket, ann))["status"] == "CANCELLED"
    assert (await _read(api, other, eve))["status"] == "SEARCHING"


@pytest.mark.parametrize("how", ["leave", "kick"])
@pytest.mark.parametrize("ask_s", [None, 30])
async def test_a_party_that_parts_ends_its_ticket(api: Api, db: Database, ask_s: float | None, how: str) -> None:
    """Whoever leaves or is kicked while the party is asked, or its server starts, ends its ticket and the match."""
    code, (ann, bob, eve), ticket, other = await _party_asked(api, db, ask_s=ask_s)
    who, body = (bob, None) if how == "leave" else (ann, {"player": bob["player"]})
    answer = await api.ask("POST", f"/v1/parties/{code}/{how}", body, token=who["access_token"])
    assert answer.status in (200, 204)
    assert (await _read(api, ticket, ann))["status"] == "CANCELLED"
    assert (await _read(api, other, eve))["status"] == "SEARCHING"


async def test_a_party_in_play_may_part(api: Api, db: Database) -> None:
    """Once the match can be played its ticket stays as it is: whoever leaves the party plays on."""
    code, (ann, bob, _), ticket, _ = await _party_asked(api, db, ask_s=None)
    await make_ready(db, "tanks", (await _read(api, ticket, ann))["match"])
    assert (await api.ask("POST", f"/v1/parties/{code}/leave", token=bob["access_token"])).status == 204
    assert (await _read(api, ticket, bob))["status"] == "COMPLETED"
