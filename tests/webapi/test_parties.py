"""Friends who wait together."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from core import keys
from core.clock import now_ms
from core.errors import Unavailable
from core.redis.client import Database
from tests.webapi.support import Answer, Api, open_api
from webapi import party_tickets
from webapi.store.invitations import MOST, Invitation


async def _ask(api: Api, method: str, path: str, who: dict[str, Any], body: Any = None) -> Answer:
    return await api.ask(method, f"/v1/parties{path}", body, token=who["access_token"])


async def _party(api: Api, *names: str) -> tuple[str, list[dict[str, Any]]]:
    """A party of new guests; its code."""
    guests = [await api.guest(name) for name in names]
    code = (await _ask(api, "POST", "", guests[0])).body["code"]
    for guest in guests[1:]:
        assert (await _ask(api, "POST", f"/{code.upper()}/join", guest)).status == 200
    return code, guests


async def test_a_party_waits_as_one(api: Api) -> None:
    """Once all are ready the leader's ticket is for all of them; each can read it, and finds it in the party."""
    await api.game()
    code, (ann, bob) = await _party(api, "Ann", "Bob")
    early = await api.ask("POST", "/v1/tickets", {"game": "tanks", "party": code}, token=ann["access_token"])
    assert (early.status, early.problem) == (409, "party-not-ready")
    for guest, skill in ((ann, 1.0), (bob, 2.0)):
        ready = await _ask(api, "PUT", f"/{code}/ready", guest, {"attributes": {"skill": skill}})
        assert ready.status == 200
    not_leader = await api.ask("POST", "/v1/tickets", {"game": "tanks", "party": code}, token=bob["access_token"])
    assert (not_leader.status, not_leader.problem) == (403, "not-the-leader")
    ticket = await api.ticket(ann, party=code)
    assert [player["name"] for player in ticket["players"]] == ["Ann", "Bob"]
    party = (await _ask(api, "GET", f"/{code}", bob)).body
    assert party["ticket"] == {"game": "tanks", "id": ticket["id"]}
    read = await api.ask("GET", f"/v1/tickets/tanks/{ticket['id']}", token=bob["access_token"])
    assert read.body["status"] == "QUEUED"
    alone = await api.ask("POST", "/v1/tickets", {"game": "tanks"}, token=bob["access_token"])
    assert alone.body["ticket"] == ticket["id"]


async def test_a_party_waits_in_one_game(api: Api) -> None:
    """A ticket for another game ends the one before, so that whoever leaves ends all there is."""
    await api.game()
    await api.game("chess")
    code, guests = await _party(api, "Ann", "Bob")
    for guest in guests:
        await _ask(api, "PUT", f"/{code}/ready", guest)
    first = await api.ticket(guests[0], party=code)
    second = await api.ticket(guests[0], "chess", party=code)
    for ticket, status in ((first, "CANCELLED"), (second, "QUEUED")):
        path = f"/v1/tickets/{ticket['game']}/{ticket['id']}"
        assert (await api.ask("GET", path, token=guests[1]["access_token"])).body["status"] == status
    assert (await _ask(api, "GET", f"/{code}", guests[1])).body["ticket"]["id"] == second["id"]


async def test_killed_between_ticket_and_party(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webapi that dies while somebody leaves has ended the ticket first: nobody waits with who wants to go."""
    await api.game()
    code, (ann, bob) = await _party(api, "Ann", "Bob")
    for guest in (ann, bob):
        await _ask(api, "PUT", f"/{code}/ready", guest)
    ticket = await api.ticket(ann, party=code)

    async def die(*given: Any) -> None:
        raise Unavailable("killed here")

    monkeypatch.setattr(api.services.parties, "change", die)
    assert (await _ask(api, "POST", f"/{code}/leave", bob)).status == 503
    read = await api.ask("GET", f"/v1/tickets/tanks/{ticket['id']}", token=ann["access_token"])
    assert read.body["status"] == "CANCELLED"


async def test_killed_between_a_ticket_and_its_party(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webapi that dies once the ticket is made leaves word of it: whoever looks at the party finds it."""
    await api.game()
    code, (ann, bob) = await _party(api, "Ann", "Bob")
    for guest in (ann, bob):
        await _ask(api, "PUT", f"/{code}/ready", guest)
    create = api.services.tickets.create

    async def and_die(*given: Any) -> None:
        await create(*given)
        raise Unavailable("killed here")

    with monkeypatch.context() as killed:
        killed.setattr(api.services.tickets, "create", and_die)
        answer = await api.ask("POST", "/v1/tickets", {"game": "tanks", "party": code}, token=ann["access_token"])
        assert answer.status == 503
    ticket = (await _ask(api, "GET", f"/{code}", bob)).body["ticket"]
    read = await api.ask("GET", f"/v1/tickets/tanks/{ticket['id']}", token=bob["access_token"])
    assert read.body["status"] == "QUEUED"
    assert (await _ask(api, "POST", f"/{code}/leave", bob)).status == 204
    read = await api.ask("GET", f"/v1/tickets/tanks/{ticket['id']}", token=ann["access_token"])
    assert read.body["status"] == "CANCELLED"


async def test_killed_before_a_ticket_was_made(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word of a ticket that never came is dropped; until then, and by the same key after it, one can be made."""
    await api.game()
    code, (ann,) = await _party(api, "Ann")
    await _ask(api, "PUT", f"/{code}/ready", ann)
    key = {"Idempotency-Key": "once"}
    body = {"game": "tanks", "party": code}

    async def die(*given: Any) -> None:
        raise Unavailable("killed here")

    with monkeypatch.context() as killed:
        killed.setattr(api.services.tickets, "create", die)
        answer = await api.ask("POST", "/v1/tickets", body, token=ann["access_token"], headers=key)
        assert answer.status == 503
    assert "ticket" not in (await _ask(api, "GET", f"/{code}", ann)).body
    busy = await api.ask("POST", "/v1/tickets", body, token=ann["access_token"])
    assert (busy.status, busy.problem) == (409, "party-busy")
    monkeypatch.setattr(party_tickets, "MAKING_MS", 0)
    assert (await _ask(api, "GET", f"/{code}", ann)).status == 200
    again = await api.ask("POST", "/v1/tickets", body, token=ann["access_token"], headers=key)
    assert again.status == 201
    assert (await _ask(api, "GET", f"/{code}", ann)).body["ticket"]["id"] == again.body["id"]


async def test_a_refused_ticket_leaves_the_one_before(api: Api) -> None:
    """Asked again for the game that it waits in, a party keeps its ticket, and may ask for another game."""
    await api.game()
    await api.game("chess")
    code, (ann,) = await _party(api, "Ann")
    await _ask(api, "PUT", f"/{code}/ready", ann)
    ticket = await api.ticket(ann, party=code)
    answer = await api.ask("POST", "/v1/tickets", {"game": "tanks", "party": code}, token=ann["access_token"])
    assert answer.problem == "ticket-open"
    assert (await _ask(api, "GET", f"/{code}", ann)).body["ticket"]["id"] == ticket["id"]
    await api.ticket(ann, "chess", party=code)


async def test_a_party_survives_its_members(redis_url: str) -> None:
    """Whoever comes back, to another replica, finds his party without its code, and its ticket."""
    async with open_api(redis_url) as api:
        await api.game()
        code, guests = await _party(api, "Ann", "Bob")
        for guest in guests:
            await _ask(api, "PUT", f"/{code}/ready", guest, {"attributes": {"skill": 3.0}})
        ticket = await api.ticket(guests[0], party=code)
    async with open_api(redis_url) as other:
        mine = await other.ask("GET", "/v1/party", token=guests[1]["access_token"])
        assert (mine.body["code"], mine.body["ticket"]["id"]) == (code, ticket["id"])
        assert all(member["ready"] for member in mine.body["members"])
        stranger = await other.guest()
        alone = await other.ask("GET", "/v1/party", token=stranger["access_token"])
        assert (alone.status, alone.problem) == (404, "no-such-party")


async def test_promoting(api: Api) -> None:
    """The leader makes another one lead, who may then kick and ask for tickets; the ticket that waits stays."""
    await api.game()
    code, (ann, bob) = await _party(api, "Ann", "Bob")
    for guest in (ann, bob):
        await _ask(api, "PUT", f"/{code}/ready", guest)
    ticket = await api.ticket(ann, party=code)
    assert (await _ask(api, "POST", f"/{code}/promote", bob, {"player": bob["player"]})).problem == "not-the-leader"
    assert (await _ask(api, "POST", f"/{code}/promote", ann, {"player": "p-x"})).problem == "no-such-member"
    led = await _ask(api, "POST", f"/{code}/promote", ann, {"player": bob["player"]})
    assert (led.body["leader"], led.body["ticket"]["id"]) == (bob["player"], ticket["id"])
    assert (await _ask(api, "POST", f"/{code}/promote", bob, {"player": bob["player"]})).status == 200
    assert (await _ask(api, "POST", f"/{code}/kick", bob, {"player": ann["player"]})).status == 200


async def test_inviting_by_name(api: Api) -> None:
    """An account is found whatever the case; he joins or declines; as many wait as are bearable."""
    code, (ann, bob) = await _party(api, "Ann", "Bob")
    eve = await api.account("Eve")
    assert (await _ask(api, "POST", f"/{code}/invitations", ann, {"name": "nobody"})).problem == "no-such-player"
    assert (await _ask(api, "POST", f"/{code}/invitations", eve, {"name": "Eve"})).problem == "no-such-party"
    for guest in (ann, bob):
        assert (await _ask(api, "POST", f"/{code}/invitations", guest, {"name": "eVE"})).status == 204
    (invitation,) = (await api.ask("GET", "/v1/invitations", token=eve["access_token"])).body["invitations"]
    assert (invitation["code"], invitation["by"]["name"]) == (code, "Bob")
    assert (await _ask(api, "POST", f"/{invitation['code']}/join", eve)).status == 200
    assert (await api.ask("GET", "/v1/invitations", token=eve["access_token"])).body == {"invitations": []}
    assert (await _ask(api, "POST", f"/{code}/invitations", ann, {"name": "Eve"})).problem == "in-the-party"
    await _ask(api, "POST", f"/{code}/leave", eve)
    await _ask(api, "POST", f"/{code}/invitations", ann, {"name": "Eve"})
    assert (await api.ask("DELETE", f"/v1/invitations/{code}", token=eve["access_token"])).status == 204
    assert (await api.ask("GET", "/v1/invitations", token=eve["access_token"])).body == {"invitations": []}
    for number in range(MOST):
        by = Invitation("p-1", "Somebody", now_ms())
        await api.services.invitations.put(eve["player"], f"code{number}", by)
    full = await _ask(api, "POST", f"/{code}/invitations", ann, {"name": "Eve"})
    assert (full.status, full.problem) == (429, "too-many-invitations")


async def test_a_member_who_waits_elsewhere_is_not_given_away(api: Api) -> None:
    """The leader learns that a member already waits, not where."""
    await api.game()
    code, guests = await _party(api, "Ann", "Bob")
    await api.ticket(guests[1])
    for guest in guests:
        await _ask(api, "PUT", f"/{code}/ready", guest)
    answer = await api.ask("POST", "/v1/tickets", {"game": "tanks", "party": code}, token=guests[0]["access_token"])
    assert answer.problem == "ticket-open"
    assert "ticket" not in answer.body


async def test_a_party_too_large_for_a_team_is_refused(api: Api) -> None:
    """A ticket that no team could hold would wait in vain."""
    await api.game(
        "duel", players_per_match=None, teams=[{"name": n, "min_players": 1, "max_players": 1} for n in "ab"]
    )
    code, guests = await _party(api, "Ann", "Bob")
    for guest in guests:
        await _ask(api, "PUT", f"/{code}/ready", guest)
    answer = await api.ask("POST", "/v1/tickets", {"game": "duel", "party": code}, token=guests[0]["access_token"])
    assert (answer.status, answer.body["pointer"]) == (422, "/party")


async def test_leaving_hands_over_and_disbands(api: Api) -> None:
    """The next oldest leads; the last to leave ends the party; a ticket of the party that waits is cancelled."""
    await api.game()
    code, (ann, bob) = await _party(api, "Ann", "Bob")
    for guest in (ann, bob):
        await _ask(api, "PUT", f"/{code}/ready", guest)
    ticket = await api.ticket(ann, party=code)
    assert (await _ask(api, "POST", f"/{code}/leave", ann)).status == 204
    read = await api.ask("GET", f"/v1/tickets/tanks/{ticket['id']}", token=bob["access_token"])
    assert read.body["status"] == "CANCELLED"
    party = (await _ask(api, "GET", f"/{code}", bob)).body
    assert (party["leader"], len(party["members"])) == (bob["player"], 1)
    assert (await _ask(api, "GET", f"/{code}", ann)).problem == "no-such-party"
    assert (await _ask(api, "POST", f"/{code}/leave", bob)).status == 204
    assert (await _ask(api, "POST", f"/{code}/join", ann)).problem == "no-such-party"
    assert (await _ask(api, "POST", "", bob)).status == 201


async def test_kicking(api: Api) -> None:
    """The leader sends members away, not himself; nobody else does."""
    code, (ann, bob) = await _party(api, "Ann", "Bob")
    assert (await _ask(api, "POST", f"/{code}/kick", bob, {"player": ann["player"]})).problem == "not-the-leader"
    assert (await _ask(api, "POST", f"/{code}/kick", ann, {"player": ann["player"]})).problem == "own-party"
    assert (await _ask(api, "POST", f"/{code}/kick", ann, {"player": "p-x"})).problem == "no-such-member"
    kicked = await _ask(api, "POST", f"/{code}/kick", ann, {"player": bob["player"]})
    assert [member["id"] for member in kicked.body["members"]] == [ann["player"]]
    assert (await _ask(api, "POST", "", bob)).status == 201


async def test_a_player_is_in_one_party(api: Api, db: Database) -> None:
    """Founding or joining another is a conflict until he leaves, unless the pointer to the first is a crash's rest."""
    code, (ann, _) = await _party(api, "Ann", "Bob")
    other, _ = await _party(api, "Eve")
    for path in ("", f"/{other}/join"):
        assert (await _ask(api, "POST", path, ann)).problem == "in-a-party"
    assert (await _ask(api, "POST", f"/{code}/join", ann)).status == 200
    await db.do("SET", keys.party_of(ann["player"]), '{"version": 9, "party": "pty-gone"}')
    assert (await _ask(api, "POST", f"/{other}/join", ann)).status == 200


async def test_a_party_is_bounded_however_many_join_at_once(api: Api) -> None:
    """Ten members get in; the others are told that it is full."""
    code, _ = await _party(api, "Ann")
    guests = [await api.guest() for _ in range(12)]
    answers = await asyncio.gather(*(_ask(api, "POST", f"/{code}/join", guest) for guest in guests))
    refused = [answer.problem for answer in answers if answer.status != 200]
    assert set(refused) <= {"party-full", "busy"}
    for guest, answer in zip(guests, answers, strict=True):
        if answer.status == 503:
            await _ask(api, "POST", f"/{code}/join", guest)
    stranger = await api.guest()
    assert (await _ask(api, "POST", f"/{code}/join", stranger)).problem == "party-full"


async def test_a_ticket_made_while_a_member_leaves_is_taken_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a match with a party that he has left in the same moment."""
    await api.game()
    code, (ann, bob) = await _party(api, "Ann", "Bob")
    for guest in (ann, bob):
        await _ask(api, "PUT", f"/{code}/ready", guest)
    create = api.services.tickets.create

    async def slowly(*given: Any) -> None:
        await create(*given)
        assert (await _ask(api, "POST", f"/{code}/leave", bob)).status == 204

    monkeypatch.setattr(api.services.tickets, "create", slowly)
    answer = await api.ask("POST", "/v1/tickets", {"game": "tanks", "party": code}, token=ann["access_token"])
    assert (answer.status, answer.problem) == (409, "party-changed")
    assert (await api.ask("GET", "/v1/overview")).body["games"][0]["waiting"] == 0


async def test_what_a_newer_release_wrote_of_a_party_stays(api: Api, db: Database) -> None:
    """An older webapi changes the party, and puts back the fields of it and of its members that it does not know."""
    leader = (await api.guest())["access_token"]
    code = (await api.ask("POST", "/v1/parties", {}, token=leader)).body["code"]
    key = keys.party(str(await db.do("GET", keys.party_code(code))))
    document = msgspec.json.decode(await db.do("GET", key))
    document["motto"], document["members"][0]["hat"] = "together", "red"
    await db.do("SET", key, msgspec.json.encode(document))
    assert (await api.ask("PUT", f"/v1/parties/{code}/ready", {"ready": True}, token=leader)).status == 200
    after = msgspec.json.decode(await db.do("GET", key))
    assert (after["motto"], after["members"][0]["hat"], after["members"][0]["ready"]) == ("together", "red", True)
    assert after["version"] == document["version"] + 1
