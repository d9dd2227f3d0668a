"""Why a ticket still waits, and how a game's queue goes, with a matchmaker made by hand."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
import pytest

from core import keys
from core.clock import new_id, now_ms
from core.insight import Figures, Lately, Waits, WhyNot
from core.redis.client import Database
from tests.support import eventually
from tests.webapi.support import Answer, Api, claim, open_api
from webapi.auth import Tokens
from webapi.routes import queues

SKILL = {
    "reason": "rule", "rule": "Skill", "wanted": "within 50", "own": 1200.0, "met": 1420.0, "times": 3,
    "tickets": 7, "players": 9,
}  # fmt: skip

# For the answer of a test that plays the matchmaker, and for what it told to be read: it may be late.
PATIENT_S = 60.0
KEPT_MS = 60_000


def _path(ticket: dict[str, Any]) -> str:
    return f"/v1/tickets/{ticket['game']}/{ticket['id']}/why"


async def _lease(db: Database, lease_ms: int = 60_000) -> int:
    return int((await db.call("lease_take", keys.game("tanks"), "replica-1", lease_ms, 0))[0])


async def _tell(db: Database, token: int, ticket: dict[str, Any], **answer: Any) -> None:
    """What a matchmaker does once it is asked."""

    async def asked() -> bool:
        return await db.do("ZSCORE", f"{keys.game('tanks')}:asked", ticket["id"]) is not None

    await eventually(asked)
    why = WhyNot(**({"at_ms": now_ms()} | answer))
    await db.call("why_tell", keys.game("tanks"), token, KEPT_MS, ticket["id"], msgspec.json.encode(why))


async def _ask(api: Api, ticket: dict[str, Any], who: dict[str, Any]) -> Answer:
    return await api.ask("GET", _path(ticket), token=who["access_token"])


async def test_the_matchmaker_is_asked_and_its_answer_given(
    api: Api, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ring with the answer ends the wait; who asks again at once gets the same answer without asking anybody."""
    monkeypatch.setattr(queues, "WAIT_S", PATIENT_S)
    await api.game()
    guest = await api.guest()
    ticket, token = await api.ticket(guest), await _lease(db)
    asking = asyncio.ensure_future(_ask(api, ticket, guest))
    await _tell(db, token, ticket, **SKILL, opens_ms=now_ms() + 1_000_000)
    api.services.streams.heard("told", [ticket["id"]])
    first = (await asking).body
    assert first.pop("age_s") >= 0
    assert 900 < first.pop("relaxes_in_s") <= 1000
    assert first.pop("detail").startswith("Skill: within 50; you 1200, met 1420; relaxes in ")
    assert first.pop("waiting_tickets") == 7
    assert first.pop("waiting_players") == 9
    assert re.fullmatch("[0-9a-f]{32}", first.pop("trace"))
    assert first == {key: SKILL[key] for key in ("reason", "rule", "wanted", "own", "met", "times")}
    again = await _ask(api, ticket, guest)
    assert (again.status, again.body["own"], again.headers["Cache-Control"]) == (200, 1200, "no-store")
    assert await db.do("EXISTS", f"{keys.game('tanks')}:asked") == 0


async def test_many_who_ask_at_once_are_one_question(api: Api, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """All get the one answer; without a ring, too."""
    monkeypatch.setattr(queues, "WAIT_S", PATIENT_S)
    await api.game()
    guest = await api.guest()
    ticket, token = await api.ticket(guest), await _lease(db)
    asking = [asyncio.ensure_future(_ask(api, ticket, guest)) for _ in range(4)]
    await _tell(db, token, ticket, reason="teams", wanted="players of 2 players", tickets=1, players=1)
    answers = [await each for each in asking]
    assert {(answer.status, answer.body["reason"]) for answer in answers} == {(200, "teams")}
    assert answers[0].body["detail"].endswith(": players of 2 players")


async def test_who_may_ask(api: Api, db: Database) -> None:
    """The ticket's players, the game's developer and admins; to others the ticket does not exist."""
    developer = await api.game()
    await api.game("chess")
    guest, stranger = await api.guest(), await api.guest()
    other = await api.account("another developer", "developer")
    ticket, token = await api.ticket(guest), await _lease(db)
    admin = Tokens(api.services.secret, 10**10).mint("p-1", "Root", "admin", new_id("session"), 0)
    why = msgspec.json.encode(WhyNot("full", now_ms(), 2, 2, wanted="at most 1 servers at once"))
    await db.call("why_tell", keys.game("tanks"), token, 60_000, ticket["id"], why)
    for who in (guest, developer, {"access_token": admin}):
        answer = await _ask(api, ticket, who)
        assert (answer.status, answer.body.get("reason")) == (200, "full"), answer
    for who in (stranger, other):
        assert (await _ask(api, ticket, who)).problem == "no-such-ticket"
    assert (await _ask(api, {"game": "chess", "id": ticket["id"]}, guest)).problem == "no-such-ticket"
    assert (await api.ask("GET", _path(ticket))).status == 401


async def test_past_waiting_there_is_nothing_to_ask(api: Api, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ticket in a match, or cancelled, is a conflict that names its state; also where that happens while asking."""
    monkeypatch.setattr(queues, "WAIT_S", PATIENT_S)
    await api.game()
    ann, bob = await api.guest(), await api.guest()
    first, second = await api.ticket(ann), await api.ticket(bob)
    await claim(db, "tanks", first)
    placed = await _ask(api, first, ann)
    assert (placed.status, placed.problem, "PLACING" in placed.body["detail"]) == (409, "past-waiting", True)
    asking = asyncio.ensure_future(_ask(api, second, bob))

    async def waits() -> bool:
        return bool(api.services.streams._watchers)

    await eventually(waits)
    await api.ask("DELETE", f"/v1/tickets/tanks/{second['id']}", token=bob["access_token"])
    over = await asking
    assert (over.status, over.problem, "CANCELLED" in over.body["detail"]) == (409, "past-waiting", True)


async def test_without_an_answer_it_says_why_and_when_to_ask_again(api: Api, db: Database) -> None:
    """No matchmaker, or one that says nothing within two seconds, is a 503 with Retry-After and a plain reason."""
    await api.game()
    guest = await api.guest()
    ticket = await api.ticket(guest)
    nobody = await _ask(api, ticket, guest)
    assert (nobody.status, nobody.problem, nobody.headers["Retry-After"]) == (503, "no-matchmaker", "2")
    await _lease(db)
    silent = await _ask(api, ticket, guest)
    assert (silent.status, silent.problem, silent.headers["Retry-After"]) == (503, "not-searched", "2")
    assert not api.services.streams._watchers
    await db.do("SET", f"{keys.game('tanks')}:why:{ticket['id']}", '{"reason": "of another version"}')
    assert (await _ask(api, ticket, guest)).problem == "not-searched"


async def test_a_killed_matchmaker_is_noticed_while_asking(api: Api, db: Database) -> None:
    """When its lease runs out meanwhile, that is the reason told."""
    await api.game()
    guest = await api.guest()
    ticket = await api.ticket(guest)
    await _lease(db, lease_ms=600)
    assert (await _ask(api, ticket, guest)).problem == "no-matchmaker"


async def test_asking_is_bounded(redis_url: str, db: Database) -> None:
    """Questions under way count as streams of the player; a question is no sign of life of somebody else's ticket."""
    async with open_api(redis_url, streams_per_player=1) as api:
        developer = await api.game()
        guest = await api.guest()
        ticket = await api.ticket(guest)
        await _lease(db)
        with api.services.streams.watch(("tanks", ticket["id"]), guest["player"], 1):
            assert (await _ask(api, ticket, guest)).problem == "too-many-streams"
        await db.do("ZADD", f"{keys.game('tanks')}:alive", 1, ticket["id"])
        api.services.streams._read.clear()
        asking = asyncio.ensure_future(_ask(api, ticket, developer))

        async def waits() -> bool:
            return bool(api.services.streams._watchers)

        await eventually(waits)
        await api.services.streams.tell_seen(1000)
        assert float(await db.do("ZSCORE", f"{keys.game('tanks')}:alive", ticket["id"])) == 1
        assert (await asking).problem == "not-searched"


async def test_a_queue_is_shown_to_its_developer(api: Api, db: Database) -> None:
    """What Redis knows at once, what its matchmaker told beside it; to others it is forbidden."""
    developer = await api.game()
    stranger = await api.account("another developer", "developer")
    player = await api.guest()
    await api.ticket(player)
    empty = (await api.ask("GET", "/v1/games/tanks/queue", token=developer["access_token"])).body
    assert 0 <= empty.pop("oldest_wait_s") < 60
    assert empty == {"game": "tanks", "waiting_tickets": 1}
    token = await _lease(db)
    lately = Lately(300, 12, 0.5, 2.0, 3, 6, {"0": 2, "1": 1}, {"Skill": 40}, Waits(1, 2, 3, 4), 25.0, 80.0)
    told = msgspec.json.encode(Figures(now_ms(), 1, 1, lately, "full"))
    await db.call("figures_tell", keys.game("tanks"), token, KEPT_MS, told)
    full = (await api.ask("GET", "/v1/games/tanks/queue", token=developer["access_token"])).body
    assert (full["matchmaker"], full["waiting_players"], full["held_up"]) == ("replica-1", 1, "full")
    assert full["lately"] == msgspec.to_builtins(lately)
    answer = await api.ask("GET", "/v1/games/tanks/queue", token=stranger["access_token"])
    assert (answer.status, answer.problem) == (403, "not-yours")
    assert (await api.ask("GET", "/v1/games/tanks/queue", token=player["access_token"])).status == 403
    assert (await api.ask("GET", "/v1/games/none/queue", token=developer["access_token"])).status == 404
    shown = (await api.ask("GET", "/v1/overview")).body["games"][0]
    assert (shown["matched"], shown["waits"]["p90_s"]) == (6, 2)
    assert "Skill" not in str(shown)
