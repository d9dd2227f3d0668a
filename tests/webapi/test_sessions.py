"""Sessions: what a refresh token is good for, what ends a session, and guests who stay."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core import keys
from core.clock import now_ms
from core.redis.client import Database
from tests.webapi.support import PASSWORD, Api, next_event, open_api
from webapi.auth import read_refresh
from webapi.store.sessions import REPEAT_MS

NEW = "a better password"


async def refresh(api: Api, token: str) -> Any:
    """Ask for new tokens."""
    return await api.ask("POST", "/v1/refresh", {"refresh_token": token})


async def me(api: Api, session: dict[str, Any]) -> Any:
    """Whose session it is."""
    return await api.ask("GET", "/v1/me", token=session["access_token"])


async def test_a_lost_answer_is_given_again(api: Api) -> None:
    """Who asks again within a minute, or twice at once, gets the same refresh token, and goes on with it."""
    first = await api.guest()
    answers = await asyncio.gather(*(refresh(api, first["refresh_token"]) for _ in range(4)))
    assert [answer.status for answer in answers] == [200] * 4
    assert len({answer.body["refresh_token"] for answer in answers}) == 1
    assert (await refresh(api, answers[0].body["refresh_token"])).status == 200


async def test_an_answer_lost_for_long_gives_another_token_and_voids_the_lost_one(api: Api) -> None:
    """After the minute the old token still lets its owner in; should the lost one turn up, the session ends."""
    first = await api.guest()
    accounts, at = api.services.accounts, now_ms()
    old = read_refresh([api.services.secret], first["refresh_token"])
    _, lost = await accounts.rotate(old, at)
    _, second = await accounts.rotate(old, at + REPEAT_MS + 1)
    assert second.text != lost.text
    _, third = await accounts.rotate(second, at + REPEAT_MS + 2)
    assert (await refresh(api, lost.text)).problem == "token-reused"
    assert (await refresh(api, third.text)).problem == "token-expired"


async def test_a_thief_and_the_owner_cannot_both_go_on(api: Api) -> None:
    """Whoever comes second with a stolen token after it was carried on ends the session of both."""
    first = await api.guest()
    stolen = (await refresh(api, first["refresh_token"])).body["refresh_token"]
    thief = (await refresh(api, stolen)).body
    await refresh(api, thief["refresh_token"])
    assert (await refresh(api, stolen)).problem == "token-reused"
    assert (await me(api, thief)).problem == "token-revoked"


async def test_a_stream_ends_soon_after_its_logout(api: Api) -> None:
    """An open event stream of a session that was ended is closed; another player's goes on."""
    await api.game()
    one, two = await api.guest(), await api.guest()
    tickets = [await api.ticket(player) for player in (one, two)]
    streams = [
        await api.open("GET", f"/v1/tickets/tanks/{ticket['id']}/events", token=player["access_token"])
        for player, ticket in zip((one, two), tickets, strict=True)
    ]
    for stream in streams:
        assert await next_event(stream) is not None
    assert (await api.ask("POST", "/v1/logout", token=one["access_token"])).status == 204
    async with asyncio.timeout(60):
        assert await next_event(streams[0]) is None
    await api.ask("DELETE", f"/v1/tickets/tanks/{tickets[1]['id']}", token=two["access_token"])
    told = await next_event(streams[1])
    assert told is not None
    assert told["data"]["status"] == "CANCELLED"
    for stream in streams:
        stream.close()


async def test_the_stream_of_all_that_concerns_a_player_ends_with_his_session(api: Api) -> None:
    """The one stream of tickets, party and play-time is closed after the logout too."""
    guest = await api.guest()
    stream = await api.open("GET", "/v1/events", token=guest["access_token"])
    assert (await api.ask("POST", "/v1/logout", token=guest["access_token"])).status == 204
    async with asyncio.timeout(60):
        while await next_event(stream) is not None:
            pass
    stream.close()


async def test_a_guest_becomes_an_account_and_stays_who_he_is(api: Api, db: Database) -> None:
    """The id, the ticket and the session stay; from then on name and password let in, and nothing is forgotten."""
    await api.game()
    guest = await api.guest("Passer-by")
    ticket = await api.ticket(guest)
    made = await api.ask(
        "POST", "/v1/me/account", {"name": "Settled", "password": PASSWORD}, token=guest["access_token"]
    )
    assert (made.status, made.body["player"], made.body["name"]) == (201, guest["player"], "Settled")
    entered = await api.ask("POST", "/v1/login", {"name": "settled", "password": PASSWORD})
    assert entered.body["player"] == guest["player"]
    found = await api.ask("GET", f"/v1/tickets/tanks/{ticket['id']}", token=entered.body["access_token"])
    assert found.status == 200
    assert (await me(api, guest)).body["guest"] is False
    assert await db.do("TTL", keys.account(guest["player"])) == -1
    again = await refresh(api, guest["refresh_token"])
    assert again.body["name"] == "Settled"
    second = await api.ask(
        "POST", "/v1/me/account", {"name": "Twice", "password": PASSWORD}, token=guest["access_token"]
    )
    assert (second.status, second.problem) == (409, "not-a-guest")


async def test_a_guest_takes_one_name(api: Api, db: Database) -> None:
    """A taken name is refused and another may be tried; of many at once one is taken, and no other is left behind."""
    await api.account("Taken")
    guest = await api.guest()

    async def take(name: str) -> Any:
        return await api.ask(
            "POST", "/v1/me/account", {"name": name, "password": PASSWORD}, token=guest["access_token"]
        )

    assert (await take("taken")).problem == "name-taken"
    answers = await asyncio.gather(*(take(f"name {i}") for i in range(5)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 4
    held = [i for i in range(5) if await db.do("EXISTS", keys.login(f"name {i}"))]
    assert held == [i for i, answer in enumerate(answers) if answer.status == 201]


async def test_an_upgrade_that_stopped_half_way_goes_on(api: Api, db: Database) -> None:
    """Killed after the name was taken: asked for another one, the guest is told, and has the name he took."""
    guest = await api.guest()
    record = await api.services.accounts.read(guest["player"])
    await db.call("guest_claim", keys.account(record.player), "half", now_ms() - 120_000, 60_000)
    await api.services.accounts.claim("Half", "an old hash", "player", record.created_ms, record.player)
    other = {"name": "Whole", "password": PASSWORD}
    refused = await api.ask("POST", "/v1/me/account", other, token=guest["access_token"])
    assert refused.problem == "not-a-guest"
    assert not await db.do("EXISTS", keys.login("whole"))
    assert (await api.services.accounts.read(guest["player"])).name == "Half"


async def test_a_lost_answer_of_an_upgrade_can_be_asked_for_again(api: Api, db: Database) -> None:
    """The name is the guest's own by then: asked again it is his account, with the password given last."""
    guest = await api.guest()
    record = await api.services.accounts.read(guest["player"])
    await api.services.accounts.claim("Half", "an old hash", "player", record.created_ms, record.player)
    body = {"name": "Half", "password": PASSWORD}
    assert (await api.ask("POST", "/v1/me/account", body, token=guest["access_token"])).status == 201
    assert (await api.ask("POST", "/v1/login", body)).status == 200


async def test_a_new_password_ends_the_other_sessions(api: Api) -> None:
    """The session that asked goes on; the others, and the old password, are void."""
    one = await api.account("Careful")
    two = (await api.ask("POST", "/v1/login", {"name": "careful", "password": PASSWORD})).body
    body = {"password": PASSWORD, "new_password": NEW}
    assert (await api.ask("PUT", "/v1/me/password", body, token=two["access_token"])).status == 204
    assert (await me(api, two)).status == 200
    assert (await me(api, one)).problem == "token-revoked"
    assert (await refresh(api, one["refresh_token"])).status == 401
    assert (await api.ask("POST", "/v1/login", {"name": "careful", "password": PASSWORD})).status == 401
    assert (await api.ask("POST", "/v1/login", {"name": "careful", "password": NEW})).status == 200


@pytest.mark.parametrize(
    ("body", "problem", "pointer"),
    [
        ({"password": "a wrong one", "new_password": NEW}, "wrong-credentials", ""),
        ({"password": PASSWORD, "new_password": "short"}, "invalid", "/new_password"),
        ({"password": PASSWORD, "new_password": "careful"}, "invalid", "/new_password"),
        ({"password": PASSWORD, "new_password": "x" * 5000}, "invalid", "/new_password"),
        ({"password": "x" * 5000, "new_password": NEW}, "invalid", "/password"),
    ],
)
async def test_a_bad_change_of_password_changes_nothing(api: Api, body: Any, problem: str, pointer: str) -> None:
    """A wrong password, a weak new one, one too long to be hashed: refused, and the old one stays."""
    session = await api.account("Careful")
    answer = await api.ask("PUT", "/v1/me/password", body, token=session["access_token"])
    assert answer.problem == problem
    assert answer.body.get("pointer", "") == pointer
    assert (await api.ask("POST", "/v1/login", {"name": "careful", "password": PASSWORD})).status == 200


async def test_a_guest_has_no_password_to_change(api: Api) -> None:
    """A conflict that says so."""
    guest = await api.guest()
    body = {"password": PASSWORD, "new_password": NEW}
    assert (await api.ask("PUT", "/v1/me/password", body, token=guest["access_token"])).problem == "no-password"


async def test_a_login_under_way_does_not_outlive_the_old_password(api: Api) -> None:
    """Who was checked against the old password and let in after the change is not let in."""
    session = await api.account("Careful")
    checked = await api.services.login.enter("careful", PASSWORD, "192.0.2.1", now_ms())
    body = {"password": PASSWORD, "new_password": NEW}
    assert (await api.ask("PUT", "/v1/me/password", body, token=session["access_token"])).status == 204
    with pytest.raises(Exception, match="changed"):
        await api.services.accounts.open_session(checked.account, now_ms(), checked)


async def test_strangers_lock_nobody_out_where_he_has_been(redis_url: str) -> None:
    """However many addresses guess at a name: its owner comes in from where he came in before, and they do not."""
    async with open_api(redis_url, login_tries_name=2, login_tries_strangers=5, trusted_proxies=1) as api:
        home = {"X-Forwarded-For": "192.0.2.1"}
        body = {"name": "Victim", "password": PASSWORD}
        assert (await api.ask("POST", "/v1/accounts", body, headers=home)).status == 201
        answers = [
            await api.ask(
                "POST", "/v1/login", {**body, "password": "a guess"}, headers={"X-Forwarded-For": f"203.0.113.{i}"}
            )
            for i in range(8)
        ]
        assert [answer.status for answer in answers] == [401] * 5 + [429] * 3
        stranger = await api.ask("POST", "/v1/login", body, headers={"X-Forwarded-For": "203.0.113.99"})
        assert stranger.problem == "locked-out"
        assert (await api.ask("POST", "/v1/login", body, headers=home)).status == 200
