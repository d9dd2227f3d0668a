"""Registrations, accounts, sessions.

doc_put, game_remove, login_claim, login_role, account_write, session_open, session_rotate, try_begin.
"""

from __future__ import annotations

import json

from core.redis.client import Caller, Database
from tests.redis.conftest import Game
from tests.redis.steps import NOW, create, duel, register, step

KEY = "muster:test:{doc}"


async def test_doc_put(client: Caller, data: Database) -> None:
    """Each version is written once; who comes with an old one is told the version found; a repeat is ok."""
    first, second = '{"version": 1}', '{"version": 2}'
    assert await client.call("doc_put", KEY, 0, first, 0) == ["ok", 0]
    assert await client.call("doc_put", KEY, 0, first, 0) == ["ok", 0]
    assert await client.call("doc_put", KEY, 0, '{"version": 1, "other": 1}', 0) == ["stale", 1]
    assert await client.call("doc_put", KEY, 1, second, 100) == ["ok", 0]
    assert await data.do("GET", KEY) == second
    assert 0 < await data.do("TTL", KEY) <= 100


async def test_game_remove(game: Game) -> None:
    """A game is forgotten only when nobody waits for it or plays it."""
    await register(game)
    await create(game, "t9", "p9")
    assert await game.call("game_remove") == ["busy", 1, 0]
    await game.call("ticket_end", "t9", "cancelled", NOW, "")
    await duel(game)
    assert await game.call("game_remove") == ["busy", 0, 1]
    await step(game, "m1", "finish", server="s1", reason="finished")
    assert await game.call("game_remove") == ["ok", 0, 0]
    assert await game.do("EXISTS", "game") == 0


async def test_login_claim(client: Caller, data: Database) -> None:
    """A name has one player for ever; the same claim again is ok."""
    rest = ("hash", "Ann", "player", NOW)
    assert await client.call("login_claim", KEY, "p-1", *rest) == ["ok", "p-1"]
    assert await client.call("login_claim", KEY, "p-1", *rest) == ["ok", "p-1"]
    assert await client.call("login_claim", KEY, "p-2", *rest) == ["taken", "p-1"]
    assert await data.do("HGET", KEY, "name") == "Ann"


async def test_login_role(client: Caller, data: Database) -> None:
    """Each change has a revision of its own, a repeat none; a name of somebody else, or of an admin, is not touched."""
    await client.call("login_claim", KEY, "p-1", "hash", "Ann", "player", NOW)
    assert await client.call("login_role", KEY, "p-1", "developer") == ["ok", 1]
    assert await client.call("login_role", KEY, "p-1", "developer") == ["ok", 1]
    assert await client.call("login_role", KEY, "p-1", "player") == ["ok", 2]
    assert await client.call("login_role", KEY, "p-2", "developer") == ["gone"]
    assert await data.do("HMGET", KEY, "role", "role_rev", "hash") == ["player", "2", "hash"]
    await data.do("HSET", KEY, "role", "admin")
    assert await client.call("login_role", KEY, "p-1", "player") == ["fixed", "admin"]
    assert await client.call("login_role", KEY + "none", "p-1", "player") == ["gone"]


async def test_account_write(client: Caller, data: Database) -> None:
    """A role of an older revision replaces none of a newer one, and who comes with it is told the newer."""
    assert await client.call("account_write", KEY, "Ann", "player", 0, NOW) == "player"
    assert await client.call("account_write", KEY, "Ann", "developer", 1, NOW) == "developer"
    assert await client.call("account_write", KEY, "Ann", "developer", 1, NOW) == "developer"
    assert await client.call("account_write", KEY, "Ann", "player", 0, NOW) == "developer"
    assert await client.call("account_write", KEY, "Ann", "player", 2, NOW) == "player"
    assert await data.do("HGETALL", KEY) == {"name": "Ann", "role": "player", "role_rev": "2", "created_ms": str(NOW)}
    # One that was written before roles had revisions.
    await data.do("HDEL", KEY, "role_rev")
    assert await client.call("account_write", KEY, "Ann", "developer", 0, NOW) == "developer"


async def test_session_open(client: Caller, data: Database) -> None:
    """A player has a bounded number of sessions: ended ones go first, then the oldest; who opens one hears of it."""
    key = "muster:sessions:{p-1}"
    assert await client.call("session_open", key, "ses-1", "d", NOW, NOW + 10, 2) == ["ok"]
    later = NOW * 2  # Redis drops the key when, by its own clock, the last session has ended
    assert await client.call("session_open", key, "ses-2", "d", NOW + 20, later, 2) == ["ok"]
    assert await client.call("session_open", key, "ses-3", "d", NOW + 20, later, 2) == ["ok"]
    assert await client.call("session_open", key, "ses-4", "d", NOW + 20, later, 2) == ["ok", "ses-2"]
    assert sorted(await data.do("HKEYS", key)) == ["ses-3", "ses-4"]
    await data.do("HSET", "muster:account:{p-1}", "erased_ms", NOW)
    assert await client.call("session_open", key, "ses-5", "d", NOW + 20, later, 2) == ["erased"]
    assert sorted(await data.do("HKEYS", key)) == ["ses-3", "ses-4"]


async def test_session_rotate(client: Caller, data: Database) -> None:
    """A refresh token is good once, and once more while nobody used its successor; any other ends the session."""
    key, until, grace = "muster:sessions:{p-1}", NOW * 2, 60_000  # as above: far from now

    async def rotate(given: str, follows: str, other: str, at: int = NOW) -> str:
        return str(await client.call("session_rotate", key, "ses-1", given, follows, other, at, until, grace))

    await client.call("session_open", key, "ses-1", "one", NOW, until, 5)
    assert await rotate("one", "two", "x1") == "next"
    assert await rotate("one", "two", "x2", NOW + grace) == "next"  # the answer was lost; the same token again
    assert json.loads(await data.do("HGET", key, "ses-1"))["digest"] == "two"
    assert await rotate("one", "two", "x3", NOW + grace + 1) == "other"  # late: another, and the lost one is void
    assert await rotate("one", "two", "x3", NOW + grace + 1) == "other"  # the same call again
    assert await rotate("two", "three", "x4") == "reused"
    assert await rotate("x3", "four", "x5") == "gone"


async def test_try_begin(client: Caller) -> None:
    """So many attempts in a window and no more; a repeat counts once; the wait is told."""
    assert await client.call("try_begin", KEY, "e-1", NOW, 1000, 2) == ["ok", 1]
    assert await client.call("try_begin", KEY, "e-1", NOW, 1000, 2) == ["ok", 1]
    assert await client.call("try_begin", KEY, "e-2", NOW + 100, 1000, 2) == ["ok", 2]
    assert await client.call("try_begin", KEY, "e-3", NOW + 300, 1000, 2) == ["locked", 700]
    assert await client.call("try_begin", KEY, "e-3", NOW + 1000, 1000, 2) == ["ok", 2]
