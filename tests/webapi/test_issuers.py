"""A game's own login: whose tokens are taken, whose are not, and where keys are never read from."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.errors import Invalid, Unavailable
from tests.webapi.support import ARENA, Api, open_api
from webapi import outside_keys
from webapi.outside_keys import check_url, open_outside_keys, read_keys

ISSUER, AUDIENCE = "https://login.example", "duel"
ED, EC, RSA = (
    ed25519.Ed25519PrivateKey.generate(),
    ec.generate_private_key(ec.SECP256R1()),
    rsa.generate_private_key(65537, 2048),
)
PRIVATE = {"EdDSA": ED, "ES256": EC, "RS256": RSA}


def jwk(algorithm: str, kid: str, **more: Any) -> dict[str, Any]:
    """A public key as an issuer publishes it."""
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(PRIVATE[algorithm].public_key(), as_dict=True)  # type: ignore[attr-defined]
    return {**made, "kid": kid, **more}


JWKS = {"keys": [jwk(name, f"k-{name}") for name in PRIVATE]}


def token(algorithm: str = "EdDSA", key: Any = None, *, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """What the issuer gives a player."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "name": "Ann", "iat": now, "exp": now + 60} | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    head = {"kid": f"k-{algorithm}", **(headers or {})}
    return jwt.encode(kept, key or PRIVATE[algorithm], algorithm, headers=head)


async def trust(api: Api, developer: dict[str, Any], game: str = "duel", **issuer: Any) -> Any:
    """Name the issuer of a game."""
    body = {"issuer": ISSUER, "audience": AUDIENCE, **issuer}
    return await api.ask("PUT", f"/v1/games/{game}/issuer", body, token=developer["access_token"])


async def enter(api: Api, text: str, game: str = "duel") -> Any:
    """Come with a token from outside."""
    return await api.ask("POST", f"/v1/games/{game}/login", {"token": text})


async def test_the_same_subject_is_the_same_player_of_one_game(api: Api) -> None:
    """He waits, plays and refreshes in that game, comes back as himself, and is nobody in another one."""
    developer = await api.game("duel")
    await api.ask("POST", "/v1/games", {"id": "two", **ARENA}, token=developer["access_token"])
    for game in ("duel", "two"):
        assert (await trust(api, developer, game, jwks=JWKS)).status == 200
    first = await enter(api, token())
    assert (first.status, first.body["name"], first.body["role"]) == (200, "Ann", "player")
    assert first.headers["Cache-Control"] == "no-store"
    for algorithm in PRIVATE:
        assert (await enter(api, token(algorithm))).body["player"] == first.body["player"]
    assert (await enter(api, token(sub="user-2"))).body["player"] != first.body["player"]
    assert (await enter(api, token(), "two")).body["player"] != first.body["player"]
    fresh = (await api.ask("POST", "/v1/refresh", {"refresh_token": first.body["refresh_token"]})).body
    for session in (first.body, fresh):
        here = await api.ask("POST", "/v1/tickets", {"game": "duel"}, token=session["access_token"])
        assert here.status in (201, 409)
        there = await api.ask("POST", "/v1/tickets", {"game": "two"}, token=session["access_token"])
        assert (there.status, there.problem) == (403, "other-game")
        path = f"/v1/games/two/players/{session['player']}"
        assert (await api.ask("GET", path, token=session["access_token"])).problem == "other-game"
    upgrade = {"name": "Settled", "password": "correct horse"}
    assert (await api.ask("POST", "/v1/me/account", upgrade, token=fresh["access_token"])).problem == "not-a-guest"


async def test_a_party_takes_nobody_into_another_game(api: Api) -> None:
    """A player of one game may be in a party, and that party waits in that game alone."""
    developer = await api.game("duel")
    await api.ask("POST", "/v1/games", {"id": "two", **ARENA}, token=developer["access_token"])
    await trust(api, developer, jwks=JWKS)
    leader, member = (await api.guest())["access_token"], (await enter(api, token())).body["access_token"]
    code = (await api.ask("POST", "/v1/parties", {}, token=leader)).body["code"]
    assert (await api.ask("POST", f"/v1/parties/{code}/join", token=member)).status == 200
    for who in (leader, member):
        assert (await api.ask("PUT", f"/v1/parties/{code}/ready", {"ready": True}, token=who)).status == 200
    there = await api.ask("POST", "/v1/tickets", {"game": "two", "party": code}, token=leader)
    assert (there.status, there.problem) == (403, "other-game")
    here = await api.ask("POST", "/v1/tickets", {"game": "duel", "party": code}, token=leader)
    assert here.status == 201


PEM = ED.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
RAW = ED.public_key().public_bytes_raw()
ANOTHER = ed25519.Ed25519PrivateKey.generate()
NONE = jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "exp": 2**40}, None, "none")


def confused(secret: bytes) -> str:
    """A token that is signed HS256 with a public key (PyJWT itself refuses to write one with a PEM)."""
    import base64
    import hashlib
    import hmac

    parts = ({"alg": "HS256", "kid": "k-EdDSA"}, {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "exp": 2**33})
    text = ".".join(base64.urlsafe_b64encode(json.dumps(it).encode()).rstrip(b"=").decode() for it in parts)
    seal = base64.urlsafe_b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).rstrip(b"=").decode()
    return f"{text}.{seal}"


BAD = {
    "expired": token(exp=1),
    "not yet": token(nbf=2**33),
    "no end": token(exp=None),
    "no subject": token(sub=None),
    "an empty subject": token(sub=""),
    "a long subject": token(sub="x" * 256),
    "another issuer": token(iss="https://evil.example"),
    "another audience": token(aud="another"),
    "another key": token(key=ANOTHER),
    "an unknown key": token(headers={"kid": "k-0"}),
    "the key of another algorithm": token(headers={"kid": "k-ES256"}),
    "none": NONE,
    "the public key as a secret": confused(PEM),
    "the raw public key as a secret": confused(RAW),
    "an extension": token(headers={"crit": ["exp"]}),
    "RS512 is not allowed here": jwt.encode({"sub": "x"}, RSA, "RS512"),
    "garbage": "a.b.c",
    "no text": "\x00",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
async def test_a_bad_token_lets_nobody_in(api: Api, text: str) -> None:
    """Expired, forged, for another, by another algorithm: 401, and no player is made."""
    await trust(api, await api.game("duel"), jwks=JWKS)
    answer = await enter(api, text)
    assert (answer.status, answer.problem) == (401, "invalid-token")


async def test_wrong_tokens_are_counted_by_address(redis_url: str) -> None:
    """Too many of them lock the address out, as failed logins do."""
    async with open_api(redis_url, login_tries_address=3) as api:
        await trust(api, await api.game("duel"), jwks=JWKS)
        assert [(await enter(api, "a.b.c")).status for _ in range(4)] == [401, 401, 401, 429]


@pytest.mark.parametrize(
    ("issuer", "pointer"),
    [
        ({}, "/jwks"),
        ({"jwks": JWKS, "jwks_url": "https://login.example/keys"}, "/jwks"),
        ({"jwks": {"keys": []}}, "/jwks/keys"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "/jwks/keys/0"),
        ({"jwks": {"keys": [{**jwk("EdDSA", "k"), "d": "AAAA"}]}}, "/jwks/keys/0"),
        ({"jwks": {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}}, "/jwks/keys"),
        ({"jwks": {"keys": [jwk("EdDSA", "k", use="enc")]}}, "/jwks/keys"),
        ({"jwks": JWKS, "algorithms": ["HS256"]}, "/algorithms/0"),
        ({"jwks_url": "http://login.example/keys"}, "/jwks_url"),
        ({"jwks_url": "https://127.0.0.1/keys"}, "/jwks_url"),
        ({"jwks_url": "https://user@login.example/keys"}, "/jwks_url"),
        ({"jwks_url": "file:///etc/passwd"}, "/jwks_url"),
    ],
)
async def test_a_bad_issuer_is_told_where_it_is_bad(api: Api, issuer: dict[str, Any], pointer: str) -> None:
    """Secrets, weak keys, HS256, plain http and addresses inside are refused when the issuer is named."""
    answer = await trust(api, await api.game("duel"), **issuer)
    assert (answer.status, answer.body.get("pointer")) == (422, pointer)


async def test_an_issuer_is_the_developers_own(api: Api) -> None:
    """Another developer names none for this game and reads none; without one nobody comes from outside."""
    developer, other = await api.game("duel"), await api.game("two")
    assert (await enter(api, token())).problem == "no-issuer"
    assert (await trust(api, other, jwks=JWKS)).problem == "not-yours"
    assert (await trust(api, developer, jwks=JWKS)).status == 200
    path = "/v1/games/duel/issuer"
    assert (await api.ask("GET", path, token=other["access_token"])).problem == "not-yours"
    assert (await api.ask("GET", path, token=developer["access_token"])).body["jwks"] == JWKS
    assert (await api.ask("DELETE", path, token=developer["access_token"])).status == 204
    assert (await enter(api, token())).problem == "no-issuer"


@asynccontextmanager
async def publisher(answers: list[web.Response | dict[str, Any]], asked: list[str]) -> AsyncIterator[str]:
    """An issuer's server that gives these answers in turn, the last one for ever; yields the URL of its keys."""

    async def keys(request: web.Request) -> web.Response:
        asked.append(request.path)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, dict):
            return web.json_response(answer)
        where = {"Location": answer.headers["Location"]} if "Location" in answer.headers else {}
        return web.Response(status=answer.status, text=answer.text, headers=where)  # one object answers once

    app = web.Application()
    app.router.add_get("/keys", keys)
    async with TestServer(app) as server:
        yield str(server.make_url("/keys"))


async def test_keys_rotate_and_made_up_ones_cost_no_fetch_each(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is new at the issuer is found; names that nobody has do not ask it again and again."""
    asked: list[str] = []
    old = {"keys": [jwk("EdDSA", "k-EdDSA")]}
    async with publisher([old, JWKS], asked) as url, open_api(redis_url, issuers_private=True) as api:
        assert (await trust(api, await api.game("duel"), jwks_url=url)).status == 200
        for _ in range(3):
            assert (await enter(api, token())).status == 200
        assert len(asked) == 1
        for i in range(5):
            assert (await enter(api, token(headers={"kid": f"made-up-{i}"}))).status == 401
        assert len(asked) == 1
        assert (await enter(api, token("ES256"))).status == 401
        monkeypatch.setattr(outside_keys, "AGAIN_S", 0.0)
        assert (await enter(api, token("ES256"))).status == 200
        assert len(asked) == 2


async def test_an_issuer_that_is_away_is_forgiven_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last keys are used on; where there are none, whoever asks is told to come back, and why."""
    monkeypatch.setattr(outside_keys, "AGAIN_S", 0.0)
    monkeypatch.setattr(outside_keys, "FRESH_S", 0.0)
    asked: list[str] = []
    async with open_outside_keys(private=True) as keys:
        async with publisher([JWKS, web.Response(status=500)], asked) as url:
            for _ in range(3):
                assert [key.kid for key in await keys.of(url, None)] == [it["kid"] for it in JWKS["keys"]]
            assert len(asked) == 3
        with pytest.raises(Unavailable) as caught:
            await keys.of("http://127.0.0.1:1/keys", None)
        assert caught.value.code == "issuer-unavailable"


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=302, headers={"Location": "http://127.0.0.1/"}),
        web.Response(text="x" * (outside_keys.BODY_BYTES + 1)),
        web.Response(text="no json"),
        web.Response(text="[]"),
        web.Response(text='{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'),
        web.Response(text=json.dumps({"keys": [jwk("EdDSA", "k")] * (outside_keys.KEYS_MOST + 1)})),
    ],
    ids=["redirect", "long", "no json", "no set", "secret", "many"],
)
async def test_an_answer_that_is_no_key_set_is_none(answer: web.Response) -> None:
    """Redirects are not followed, and what is too long, or no public keys, is not read."""
    asked: list[str] = []
    async with publisher([answer], asked) as url, open_outside_keys(private=True) as keys:
        with pytest.raises(Unavailable):
            await keys.of(url, None)
        assert asked == ["/keys"]


def test_an_address_inside_is_no_place_for_keys() -> None:
    """It is refused when it is written; names and addresses outside are taken."""
    for host in ("127.0.0.1", "10.1.2.3", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"):
        with pytest.raises(Invalid):
            check_url(f"https://{host}/keys", private=False)
        check_url(f"http://{host}/keys", private=True)
    check_url("https://93.184.215.14/keys", private=False)
    check_url("https://login.example/keys", private=False)


async def test_a_name_that_leads_inside_is_not_followed() -> None:
    """A public name with an address of this host: nothing is connected to."""
    asked: list[str] = []
    async with publisher([JWKS], asked) as url, open_outside_keys(private=False) as keys:
        port = url.rpartition(":")[2].partition("/")[0]
        with pytest.raises(Unavailable, match="public address"):
            await keys.of(f"https://localhost:{port}/keys", None)
    assert asked == []


def test_only_usable_keys_are_read() -> None:
    """What is of no use beside keys that are is passed over."""
    found = read_keys({"keys": [*JWKS["keys"], {"kty": "EC", "crv": "P-0"}, jwk("EdDSA", "k", use="enc"), {}]})
    assert [key.kid for key in found] == ["k-EdDSA", "k-ES256", "k-RS256"]
    assert [[key.fits(name) for name in ("EdDSA", "ES256", "RS256", "HS256")] for key in found] == [
        [True, False, False, False],
        [False, True, False, False],
        [False, False, True, False],
    ]
