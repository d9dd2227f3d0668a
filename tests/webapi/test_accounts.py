"""Signing up, logging in, and every way of being told no."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import jwt
import pytest

from core import keys
from core.errors import Misconfigured
from core.redis.client import Database
from tests.support import eventually
from tests.webapi.support import PASSWORD, SECRET, Api, held_checks, open_api
from webapi.auth import AUDIENCE, ISSUER
from webapi.settings import Settings


async def test_an_account_can_be_made_and_entered_in_any_case(api: Api) -> None:
    """A name is unique and entered whatever its case or width; the account is told by its token."""
    made = await api.account("Zoë Müller")
    answer = await api.ask("POST", "/v1/login", {"name": "ＺOË MÜLLER", "password": PASSWORD})
    assert answer.status == 200
    assert answer.body["player"] == made["player"]
    assert answer.headers["Cache-Control"] == "no-store"
    me = await api.ask("GET", "/v1/me", token=answer.body["access_token"])
    assert (me.body["name"], me.body["role"], me.body["guest"]) == ("Zoë Müller", "player", False)
    taken = await api.ask("POST", "/v1/accounts", {"name": "zoë müller", "password": PASSWORD})
    assert (taken.status, taken.problem) == (409, "name-taken")


async def test_one_of_many_claims_of_a_name_wins(api: Api) -> None:
    """Of people who ask for one name at the same time one gets it."""
    body = {"name": "Highlander", "password": PASSWORD}
    answers = await asyncio.gather(*(api.ask("POST", "/v1/accounts", body) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7


async def test_a_crash_in_a_registration_leaves_an_account_that_can_be_entered(api: Api, db: Database) -> None:
    """Where the name was claimed and the account not written, the next login writes it."""
    made = await api.account("Half")
    await db.do("DEL", keys.account(made["player"]), keys.sessions(made["player"]))
    entered = await api.ask("POST", "/v1/login", {"name": "half", "password": PASSWORD})
    me = await api.ask("GET", "/v1/me", token=entered.body["access_token"])
    assert me.body["player"] == made["player"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "ab", "password": PASSWORD}, "/name"),
        ({"name": "x" * 33, "password": PASSWORD}, "/name"),
        ({"name": "a\u200bbc", "password": PASSWORD}, "/name"),
        ({"name": "Ada", "password": "short"}, "/password"),
        ({"name": "Ada", "password": "x" * 129}, "/password"),
        ({"name": "Ada Lovelace", "password": "ada lovelace"}, "/password"),
        ({"name": "Ada"}, "/password"),
        ({"name": 5, "password": PASSWORD}, "/name"),
        ({"name": "Ada", "password": PASSWORD, "role": "admin"}, "/role"),
        ({"name": "Ada", "password": PASSWORD, "colour": "red"}, "/colour"),
        ([], ""),
    ],
)
async def test_a_bad_registration_is_told_where_it_is_bad(api: Api, body: Any, pointer: str) -> None:
    """Whatever breaks a rule is refused with a pointer to the place."""
    answer = await api.ask("POST", "/v1/accounts", body)
    assert answer.problem == "invalid"
    assert answer.status == 422
    assert answer.body.get("pointer", "") == pointer


async def test_developers_sign_up_only_where_allowed(redis_url: str) -> None:
    """Without the operator's leave nobody becomes a developer by himself."""
    async with open_api(redis_url, open_developers=False) as api:
        answer = await api.ask("POST", "/v1/accounts", {"name": "Ada", "password": PASSWORD, "role": "developer"})
        assert (answer.status, answer.problem) == (403, "forbidden")
        assert "MUSTER_OPEN_DEVELOPERS" in answer.body["detail"]


async def test_a_wrong_password_and_an_unknown_name_read_the_same(api: Api) -> None:
    """Nobody learns from a refused login whether the name exists."""
    await api.account("Known")
    answers = [
        await api.ask("POST", "/v1/login", {"name": name, "password": "a wrong one"}) for name in ("known", "unknown")
    ]
    assert [answer.problem for answer in answers] == ["wrong-credentials"] * 2
    assert answers[0].body == answers[1].body
    assert answers[0].headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_name_is_locked_after_too_many_failures(redis_url: str) -> None:
    """Then even the right password is refused for the rest of the window; other names are not."""
    async with open_api(redis_url, login_tries_name=3) as api:
        await api.account("Target")
        await api.account("Other")
        wrong = {"name": "target", "password": "a wrong one"}
        # All at once: attempts are counted before they are looked at.
        answers = await asyncio.gather(*(api.ask("POST", "/v1/login", wrong) for _ in range(6)))
        assert sorted(answer.status for answer in answers) == [401] * 3 + [429] * 3
        locked = await api.ask("POST", "/v1/login", {"name": "TARGET", "password": PASSWORD})
        assert (locked.status, locked.problem) == (429, "locked-out")
        assert int(locked.headers["Retry-After"]) == locked.body["retry_after_s"] > 0
        assert (await api.ask("POST", "/v1/login", {"name": "other", "password": PASSWORD})).status == 200


async def test_sign_ups_of_an_address_are_bounded(redis_url: str) -> None:
    """An address makes so many accounts and guests in a window and no more; another address is not concerned."""
    async with open_api(redis_url, signups_address=2, trusted_proxies=1) as api:
        here, there = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
        assert (await api.ask("POST", "/v1/guests", {}, headers=here)).status == 201
        account = {"name": "somebody", "password": PASSWORD}
        assert (await api.ask("POST", "/v1/accounts", account, headers=here)).status == 201
        refused = await api.ask("POST", "/v1/guests", {}, headers=here)
        assert (refused.status, refused.problem) == (429, "too-many-signups")
        assert int(refused.headers["Retry-After"]) > 0
        assert (await api.ask("POST", "/v1/guests", {}, headers=there)).status == 201


async def test_an_address_is_locked_after_too_many_failures(redis_url: str) -> None:
    """An address that guesses at many names is locked out, and locks no names; successes do not count."""
    async with open_api(redis_url, login_tries_address=3, login_tries_name=2, trusted_proxies=1) as api:
        await api.account("Known")
        here = {"X-Forwarded-For": "made up, 203.0.113.7"}
        right = {"name": "known", "password": PASSWORD}
        for _ in range(4):
            assert (await api.ask("POST", "/v1/login", right, headers=here)).status == 200
        for i in range(3):
            await api.ask("POST", "/v1/login", {"name": f"nobody{i}", "password": "a guess"}, headers=here)
        for _ in range(3):
            assert (await api.ask("POST", "/v1/login", right, headers=here)).problem == "locked-out"
        there = {"X-Forwarded-For": "203.0.113.8"}
        assert (await api.ask("POST", "/v1/login", right, headers=there)).status == 200


async def test_logins_beyond_the_line_are_told_to_come_back(redis_url: str) -> None:
    """The line before argon2 is bounded; who finds it full gets 503, and the others are served."""
    async with open_api(redis_url, hash_threads=1, hash_waiting=2) as api:
        body = {"name": "nobody", "password": "a guess"}
        with held_checks(api) as let_go:
            asked = [asyncio.ensure_future(api.ask("POST", "/v1/login", body)) for _ in range(10)]

            async def refused() -> bool:
                return sum(one.done() for one in asked) == 8

            await eventually(refused)
            let_go.set()
            answers = await asyncio.gather(*asked)
        assert sorted(answer.status for answer in answers) == [401] * 2 + [503] * 8
        assert all("Retry-After" in answer.headers for answer in answers if answer.status == 503)


async def test_a_refresh_token_is_good_once(api: Api) -> None:
    """Each refresh gives the next token; an old one coming back ends the session and its access tokens."""
    first = await api.guest()
    answer = await api.ask("POST", "/v1/refresh", {"refresh_token": first["refresh_token"]})
    second = await api.ask("POST", "/v1/refresh", {"refresh_token": answer.body["refresh_token"]})
    assert second.status == 200
    assert second.body["player"] == first["player"]
    again = await api.ask("POST", "/v1/refresh", {"refresh_token": first["refresh_token"]})
    assert (again.status, again.problem) == (401, "token-reused")
    after = await api.ask("POST", "/v1/refresh", {"refresh_token": second.body["refresh_token"]})
    assert (after.status, after.problem) == (401, "token-expired")
    me = await api.ask("GET", "/v1/me", token=second.body["access_token"])
    assert (me.status, me.problem) == (401, "token-revoked")


async def test_a_made_up_refresh_token_ends_no_session(api: Api) -> None:
    """Whoever knows a session's id cannot end it with a token that we never gave."""
    guest = await api.guest()
    player, session, _, _ = guest["refresh_token"].split(".")
    for text in (f"{player}.{session}.AAAA.BBBB", "x", "....", "ü" * 9, guest["refresh_token"] + "A"):
        assert (await api.ask("POST", "/v1/refresh", {"refresh_token": text})).problem == "invalid-token"
    assert (await api.ask("POST", "/v1/refresh", {"refresh_token": guest["refresh_token"]})).status == 200


async def test_logout_voids_all_tokens_of_the_session_only(api: Api) -> None:
    """After a logout neither token is taken; another session of the same player goes on."""
    await api.account("Twice")
    body = {"name": "Twice", "password": PASSWORD}
    one, two = [(await api.ask("POST", "/v1/login", body)).body for _ in range(2)]
    assert (await api.ask("POST", "/v1/logout", token=one["access_token"])).status == 204
    assert (await api.ask("GET", "/v1/me", token=one["access_token"])).problem == "token-revoked"
    assert (await api.ask("POST", "/v1/refresh", {"refresh_token": one["refresh_token"]})).status == 401
    assert (await api.ask("GET", "/v1/me", token=two["access_token"])).status == 200


async def test_the_oldest_of_too_many_sessions_ends(api: Api, db: Database) -> None:
    """A player has at most sixteen sessions; a further login takes the place of the oldest."""
    first = await api.account("Many")
    for _ in range(16):
        await api.ask("POST", "/v1/login", {"name": "many", "password": PASSWORD})
    assert await db.do("HLEN", keys.sessions(first["player"])) == 16
    assert (await api.ask("POST", "/v1/refresh", {"refresh_token": first["refresh_token"]})).status == 401


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "p-1", "name": "x", "role": "admin", "sid": "ses-1",
        "iat": now, "exp": now + 60,
    } | changes  # fmt: skip
    return {name: value for name, value in claims.items() if value is not None}


def _unsigned(algorithm: str) -> str:
    parts = ({"alg": algorithm, "typ": "JWT"}, _claims())
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, ""])


BAD_TOKENS = {
    "expired": jwt.encode(_claims(exp=1), SECRET, "HS256"),
    "forged": jwt.encode(_claims(), "another secret of thirty-two bytes", "HS256"),
    "none": _unsigned("none"),
    "None": _unsigned("None"),
    "HS512": jwt.encode(_claims(), SECRET * 2, "HS512"),
    "audience": jwt.encode(_claims(aud="muster:join"), SECRET, "HS256"),
    "issuer": jwt.encode(_claims(iss="somebody"), SECRET, "HS256"),
    "no end": jwt.encode(_claims(exp=None), SECRET, "HS256"),
    "no session": jwt.encode(_claims(sid=None), SECRET, "HS256"),
    "no role": jwt.encode(_claims(role="god"), SECRET, "HS256"),
    "garbage": "a.b.c",
    "long": "a" * 5000,
}


@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
async def test_a_bad_token_is_unauthorized(api: Api, token: str) -> None:
    """Expired, forged, unsigned, for somebody else: 401, with a challenge."""
    answer = await api.ask("GET", "/v1/me", token=token)
    assert answer.status == 401
    assert answer.problem in ("invalid-token", "token-expired")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="muster", error="invalid_token"'


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "bearer\t"])
async def test_a_missing_token_is_unauthorized(api: Api, header: str) -> None:
    """No token, or another scheme, is 401 where a token is needed."""
    answer = await api.ask("GET", "/v1/me", headers={"Authorization": header})
    assert (answer.status, answer.problem) == (401, "token-missing")


async def test_roles_are_kept_apart(api: Api) -> None:
    """A player registers no games."""
    guest = await api.guest()
    answer = await api.ask("POST", "/v1/games", {"id": "x", "server": {}}, token=guest["access_token"])
    assert (answer.status, answer.problem) == (403, "forbidden")


async def test_the_admin_of_the_settings_is_made_once(redis_url: str) -> None:
    """The admin can log in as soon as the service is ready, and a second start leaves the account as it is."""
    for _ in range(2):
        async with open_api(redis_url, admin_name="Root", admin_password=PASSWORD) as api:

            async def ready(running: Api = api) -> bool:
                return (await running.ask("GET", "/readyz")).status == 200

            assert await eventually(ready)
            answer = await api.ask("POST", "/v1/login", {"name": "root", "password": PASSWORD})
            assert (answer.status, answer.body["role"]) == (200, "admin")


async def test_an_admin_name_that_is_a_players_gives_nobody_more_rights(api: Api, redis_url: str) -> None:
    """A player who took the name first stays a player."""
    await api.account("Root")
    async with open_api(redis_url, admin_name="root", admin_password="another one") as second:
        with pytest.raises(Misconfigured, match="MUSTER_ADMIN_NAME"):
            await second.services.login.ensure_admin(0)
        answer = await second.ask("POST", "/v1/login", {"name": "root", "password": PASSWORD})
        assert answer.body["role"] == "player"


def test_settings_that_cannot_be_meant_are_named() -> None:
    """Half an admin, or a number out of bounds, is Misconfigured and names the variable."""
    for given, setting in (
        ({"admin_name": "root"}, "MUSTER_ADMIN_PASSWORD"),
        ({"admin_name": "root", "admin_password": "short"}, "MUSTER_ADMIN_PASSWORD"),
        ({"admin_name": "r", "admin_password": PASSWORD}, "MUSTER_ADMIN_NAME"),
        ({"port": 70_000}, "MUSTER_WEBAPI_PORT"),
        ({"hash_threads": 0}, "MUSTER_HASH_THREADS"),
    ):
        with pytest.raises(Misconfigured, match=setting):
            Settings(**given)  # type: ignore[arg-type]
