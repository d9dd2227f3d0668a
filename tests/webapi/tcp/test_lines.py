"""Accounts over TCP: the same as over REST, and whatever is said wrong is told or ends the connection."""

from __future__ import annotations

import asyncio

import pytest

from core.clock import now_ms
from tests.webapi.support import PASSWORD
from tests.webapi.tcp.door import Door, open_door

ADA = {"name": "Ada", "password": PASSWORD}


async def test_both_doors_lead_to_the_same_accounts(door: Door) -> None:
    """Who registers at one logs in at the other; a logout over TCP voids the token for REST."""
    async with door.line() as line:
        made = await line.ask("register", **ADA)
        assert made["ok"] is True
        over_rest = await door.api.ask("POST", "/v1/login", {**ADA, "name": "ADA"})
        assert over_rest.body["player"] == made["player"]
        await door.api.account("Grace", "developer")
        grace = await line.ask("login", name="grace", password=PASSWORD)
        assert (grace["role"], grace["expires_in"]) == ("developer", 900)
        fresh = await line.ask("refresh", refresh_token=grace["refresh_token"])
        me = await door.api.ask("GET", "/v1/me", token=fresh["access_token"])
        assert me.body["name"] == "Grace"
        assert await line.ask("logout", access_token=fresh["access_token"], id=1) == {"ok": True, "id": 1}
        assert (await door.api.ask("GET", "/v1/me", token=fresh["access_token"])).problem == "token-revoked"


async def test_a_guest_becomes_an_account_over_lines(door: Door) -> None:
    """Guest, upgrade, new password: as over REST, and the sessions of the old password are void at both doors."""
    async with door.line() as line:
        guest = await line.ask("guest", name="Passer-by")
        assert (guest["ok"], guest["name"], guest["role"]) == (True, "Passer-by", "player")
        settled = await line.ask("upgrade", access_token=guest["access_token"], name="Settled", password=PASSWORD)
        assert (settled["player"], settled["name"]) == (guest["player"], "Settled")
        change = {"password": PASSWORD, "new_password": "a better password"}
        assert await line.ask("password", access_token=settled["access_token"], **change) == {"ok": True}
        old = await line.ask("login", name="settled", password=PASSWORD)
        assert old["code"] == "wrong-credentials"
        assert (await line.ask("login", name="settled", password="a better password"))["ok"] is True
        assert (await door.api.ask("GET", "/v1/me", token=guest["access_token"])).problem == "token-revoked"
        refused = await line.ask("upgrade", access_token="x", name="Another", password=PASSWORD)
        assert refused["code"] == "invalid-token"


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("register", {"name": "ab", "password": PASSWORD}, "invalid"),
        ("register", {"name": "Ada", "password": "short"}, "invalid"),
        ("register", {**ADA, "role": "admin"}, "invalid"),
        ("register", {**ADA, "colour": "red"}, "invalid"),
        ("register", {**ADA, "role": "developer"}, "forbidden"),
        ("register", {"name": "Taken", "password": PASSWORD}, "name-taken"),
        ("login", {"name": "Taken", "password": "a wrong one"}, "wrong-credentials"),
        ("login", {"name": "Taken"}, "invalid"),
        ("refresh", {"refresh_token": "x"}, "invalid-token"),
    ],
)
async def test_a_refusal_reads_as_over_rest(redis_url: str, kind: str, body: dict[str, str], code: str) -> None:
    """The same body is refused with the same code, words and place, and the connection goes on."""
    async with open_door(redis_url, open_developers=False) as door, door.line() as line:
        await line.ask("register", name="Taken", password=PASSWORD)
        path = {"register": "/v1/accounts"}.get(kind, f"/v1/{kind}")
        rest = (await door.api.ask("POST", path, body)).body
        wanted = {"ok": False, "code": code, "detail": rest["detail"]}
        wanted |= {"pointer": rest["pointer"]} if "pointer" in rest else {}
        assert await line.ask(kind, **body) == wanted
        assert rest["type"] == f"urn:muster:problem:{code}"
        assert (await line.ask("login", name="Taken", password=PASSWORD))["ok"] is True


# What is said -> the answer's code, its id, and whether the next line is read.
BAD: dict[str, tuple[bytes, str, object, bool]] = {
    "unknown type": (b'{"type":"log in","id":"a"}', "invalid", "a", True),
    "no type": (b'{"id":7}', "invalid", 7, True),
    "no object": (b"[1]", "invalid", None, True),
    "a type that is no text": (b'{"type":[],"id":-1}', "invalid", -1, True),
    "an id that is too long": (b'{"type":"login","id":"%s"}' % (b"x" * 65), "invalid", None, True),
    "an id that is an object": (b'{"type":"login","name":"a","password":"b","id":{}}', "invalid", None, True),
    "no JSON": (b"hello", "malformed-json", None, False),
    "nothing": (b"", "malformed-json", None, False),
    "a browser": (b"POST / HTTP/1.1\r", "malformed-json", None, False),
    "half an object": (b'{"type":"login"', "malformed-json", None, False),
    "two objects": (b"{}{}", "invalid", None, True),
    "brackets without end": (b"[" * 8000, "invalid", None, True),
    "brackets in a field": (b'{"type":"login","name":' + b"[" * 8000, "invalid", None, True),
    "not UTF-8": (b'{"type":"login","name":"\xff"}', "not-utf-8", None, False),
    "half a character": (b'"\xed\xa0\x80"', "not-utf-8", None, False),
    "a byte too long": (b"x" * 8193, "line-too-long", None, False),
    "far too long": (b"x" * 200_000, "line-too-long", None, False),
    "for another": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r", "proxy-not-trusted", None, False),
}


@pytest.mark.parametrize(("said", "code", "numbered", "goes_on"), BAD.values(), ids=BAD.keys())
async def test_a_bad_line_is_told(door: Door, said: bytes, code: str, numbered: object, goes_on: bool) -> None:
    """Each gets one answer with its id, if it has one; what is no JSON ends the connection, for lines are lost then."""
    async with door.line(said + b"\n") as line:
        answer = await line.hear()
        assert (answer["ok"], answer["code"], answer.get("id")) == (False, code, numbered)
        assert answer["detail"]
        if goes_on:
            assert (await line.ask("register", **ADA))["ok"] is True
        else:
            assert await line.hear() is None


async def test_an_unknown_type_is_told_which_there_are(door: Door) -> None:
    """Whoever misspells one reads the right ones."""
    async with door.line() as line:
        assert (await line.ask("log-in"))[
            "detail"
        ] == "`type` is one of register, login, guest, upgrade, password, refresh, logout"


async def test_lines_sent_at_once_are_answered_one_after_another(redis_url: str) -> None:
    """In their order, never two at a time: a line of one at argon2 is enough for all of them. Half-closing is fine."""
    async with open_door(redis_url, hash_threads=1, hash_waiting=1) as door:
        register = b'{"type":"register","id":0,"name":"Ada","password":"correct horse"}\n'
        logins = [b'{"type":"login","id":%d,"name":"ada","password":"correct horse"}\r\n' % i for i in range(1, 6)]
        async with door.line(b"".join([register, *logins])) as line:
            line.writer.write_eof()
            assert [(await line.hear())["id"] for _ in range(6)] == [0, 1, 2, 3, 4, 5]
            assert await line.hear() is None
        assert door.count("muster_auth_lines_total", type="login", outcome="ok") == 5


async def test_a_last_line_without_an_end_is_told(door: Door) -> None:
    """A request that was cut off is not guessed at."""
    async with door.line(b'{"type":"login"}') as line:
        line.writer.write_eof()
        assert (await line.hear())["code"] == "line-unfinished"
        assert await line.hear() is None


async def test_a_fault_of_ours_tells_nothing_of_the_inside(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that takes too long is given up; a defect has an id, under which the log has the rest."""

    async def stuck(*_: object) -> None:
        await asyncio.Event().wait()

    async def broken(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    for play, code, request_s in ((stuck, "timeout", 0.2), (broken, "internal", 60.0)):
        async with open_door(redis_url, request_s=request_s) as door, door.line() as line:
            monkeypatch.setattr(door.api.services.login, "enter", play)
            answer = await line.ask("login", **ADA, id=now_ms())
            assert answer["code"] == code
            assert answer["request_id"]
            assert "secret" not in answer["detail"]
