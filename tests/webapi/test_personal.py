"""All that is known of a player: told whole, taken away whole; on one node and on a cluster, whatever dies."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from core import keys, packstore
from core.clock import new_id, now_ms
from core.errors import Unavailable
from core.inventory import Inventories
from core.leaderboard import score_args
from core.redis.client import Database
from tests.redis.backends import cluster
from tests.support import eventually, patient_database
from tests.webapi.lives import COMMANDS, GAME, commands, live, offline, pack, take
from tests.webapi.support import PASSWORD, Api, open_api
from webapi import erasing as work
from webapi.auth import Tokens
from webapi.store import personal


@pytest.fixture(scope="module", params=["one node", "cluster"])
def url(request: pytest.FixtureRequest, valkey: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a single node, and of three."""
    if request.param == "one node":
        yield valkey.url
        return
    folder: Path = tmp_path_factory.mktemp("cluster")
    with cluster(folder) as found:
        yield found


@pytest.fixture
async def both(url: str) -> AsyncIterator[tuple[Api, Database]]:
    """A webapi on an empty database, and the database."""
    async with patient_database(url) as db:
        await eventually(lambda: _emptied(db), within_s=60)
        async with open_api(url) as api:
            yield api, db


async def _emptied(db: Database) -> bool:
    try:
        await db.do("FLUSHALL")
    except Unavailable:
        return False
    return True


async def told(api: Api, path: str, token: str) -> list[dict[str, Any]]:
    """What is known of a player, a line each."""
    async with await api.open("GET", path, token=token) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
        return [json.loads(line) for line in (await answer.text()).splitlines()]


async def whole(db: Database) -> dict[str, str]:
    """Every key with all that it holds."""
    reads = {"string": ["GET"], "hash": ["HGETALL"], "set": ["SMEMBERS"]}
    ranges = {"zset": "ZRANGE", "list": "LRANGE", "stream": "XRANGE"}
    found = {}
    async for key in db.scan("*", 1000):
        kind = await db.do("TYPE", key)
        if kind == "none":
            continue
        first = ("-", "+") if kind == "stream" else (0, -1)
        command = [reads[kind][0], key] if kind in reads else [ranges[kind], key, *first]
        found[key] = json.dumps(await db.do(*command), default=list, ensure_ascii=False)
    return found


# What a player's id may stand in after that: the audit of items, and what ends by itself within a day.
STAYS = (":audit", ":ticket:", ":match:", ":feed", "}:events")


def stays(key: str) -> bool:
    """Whether a key may have the id in it after that."""
    return any(it in key for it in STAYS)


async def test_all_that_is_known_is_told(both: tuple[Api, Database]) -> None:
    """One call has account, sessions, party, ticket, boards, views, items and their trail; and no secrets."""
    api, db = both
    await api.game(GAME, near=True, commands=COMMANDS)
    other = (await api.guest())["player"]
    session = await live(api, db, other)
    lines = await told(api, "/v1/me/data", session["access_token"])
    parts = {line["part"] for line in lines}
    assert parts == {
        "account", "played_ms", "played", "play_limited", "online", "session", "api_key", "party", "ticket", "playing",
        "turned_down", "commands", "attempt", "pack", "state", "position", "activity", "score", "rating", "season",
        "item", "move",
    }  # fmt: skip
    assert {line.get("game", "") for line in lines} == {"", GAME}
    by_part = {line["part"]: line["data"] for line in lines}
    assert by_part["account"]["name"] == "Zoë Wanderer"
    assert (by_part["score"], by_part["activity"]) == (13.5, 4.0)
    assert by_part["state"]["hp"] == "3"
    kept = by_part["commands"]
    assert (kept["state"], kept["accepted"], kept["done"]) == ({"coins": 60}, "3", "1")
    assert [line["data"][0] for line in lines if line["part"] == "pack"] == [2, 3]
    assert (by_part["playing"], by_part["turned_down"]["match"]) == ({"match": "m-2"}, "m-1")
    assert by_part["online"]["since_ms"] <= by_part["online"]["heard_ms"]
    attempts = [line["data"]["event"] for line in lines if line["part"] == "attempt"]
    assert attempts[:4] == ["user_registered", "api_key_made", "user_logged_in", "user_login_failed"]
    text = json.dumps(lines)
    assert "argon2" not in text
    assert "digest" not in text
    admin = Tokens(api.services.secret, 600).mint("p-1", "Root", "admin", new_id("session"), now_ms() // 1000)
    again = await told(api, f"/v1/accounts/{session['player']}/data", admin)
    extra = [line["data"] for line in again if line not in lines]
    assert [(line["event"], line["by"]) for line in extra] == [("user_exported", "p-1")]
    assert [line for line in again if line["data"] not in extra] == lines
    guest = await api.guest()
    path = f"/v1/accounts/{session['player']}/data"
    assert (await api.ask("GET", path, token=guest["access_token"])).problem == "forbidden"


async def test_nothing_is_left_of_an_erased_player(both: tuple[Api, Database]) -> None:
    """At once nobody comes in as him; then no key has his id or name, and what stays has the id alone."""
    api, db = both
    await api.game(GAME, near=True, commands=COMMANDS)
    other = (await api.guest("Other"))["player"]
    session = await live(api, db, other)
    player, token = session["player"], session["access_token"]
    before = await whole(db)
    assert len([key for key in before if player in key]) >= 10
    assert (await api.ask("DELETE", "/v1/me", {"password": "a wrong one"}, token=token)).problem == "wrong-credentials"
    (taken,) = await take(db, player)
    assert (await api.ask("DELETE", "/v1/me", {"password": PASSWORD}, token=token)).status == 202
    assert (await api.ask("GET", "/v1/me", token=token)).problem == "token-revoked"
    assert (await api.ask("POST", "/v1/refresh", {"refresh_token": session["refresh_token"]})).status == 401
    assert (await api.ask("POST", "/v1/login", {"name": "Zoë Wanderer", "password": PASSWORD})).status == 401
    erasing = api.services.erasing
    await eventually(lambda: _worked(erasing, now_ms()))
    # A worker that had his packs is late, and he goes offline only now.
    name, base, args = packstore.done_call(taken, 2, 2, '{"coins":1}', now_ms(), None)
    assert await db.call(name, base, *args) == ["fenced"]
    await offline(db, player)
    # A match that still runs writes on; the last look takes that too.
    await db.call("boards_add", keys.boards(GAME), "", 0, *next(iter(score_args([(player, 99.0)], now_ms()))))
    assert await erasing.work(now_ms() + work.LATE_MS + 1000) == 1
    after = await whole(db)
    tried = [key for key in after if key.startswith("muster:tries:")]  # what anybody typed, for minutes
    for key in tried:
        assert 0 < await db.do("TTL", key) <= 300
    assert [key for key in after if player in key or ("zoë wanderer" in key and key not in tried)] == []
    assert [key for key, text in after.items() if player in text and not stays(key)] == []
    assert [key for key, text in after.items() if "Wanderer" in text and ":ticket:" not in key] == []
    assert await db.do("HGET", f"{keys.items(GAME)}:owners", "excalibur") is None
    assert await db.do("XLEN", f"{keys.game(GAME)}:log") == 1
    # Nobody else lost anything, and the audit still makes the inventories that there are.
    assert await Inventories(db, GAME).rebuild() == {}
    assert [(item.kind, item.quantity) for item in await Inventories(db, GAME).inventory(other)] == [("gold", 8)]
    board = (await api.ask("GET", f"/v1/games/{GAME}/boards/score")).body
    assert [entry["player"] for entry in board["entries"]] == [other]
    again = await api.ask("POST", "/v1/accounts", {"name": "Zoë Wanderer", "password": PASSWORD})
    assert (again.status, again.body["player"] != player) == (201, True)


async def _worked(erasing: work.Erasing, at_ms: int) -> bool:
    await erasing.work(at_ms)
    return not await erasing._stores.batch.do("ZRANGEBYSCORE", keys.ERASING, "-inf", at_ms + work.LEASE_MS)


async def test_an_erasure_that_died_is_gone_on_with(
    both: tuple[Api, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any piece, another worker goes on after the lease; killed before the tombstone, it is put then."""
    api, db = both
    await api.game(GAME, near=True, commands=COMMANDS)
    session = await live(api, db, (await api.guest())["player"])
    # Ahead of the service's own loop, which would go on with it meanwhile.
    player, erasing, now = session["player"], api.services.erasing, now_ms() + 3_600_000
    await db.do("ZADD", keys.ERASING, now, player)  # and the process died
    pieces = [*personal.INSTALLATION, *personal.OF_A_GAME]
    for dies in range(len(pieces)):
        died = []

        async def die(*_: Any, died: list[int] = died) -> None:
            died.append(1)
            raise Unavailable("killed here")

        broken = [personal.Piece(it.tell, die if i == dies else it.erase) for i, it in enumerate(pieces)]
        with monkeypatch.context() as patched:
            patched.setattr(work, "INSTALLATION", broken[: len(personal.INSTALLATION)])
            patched.setattr(work, "OF_A_GAME", broken[len(personal.INSTALLATION) :])
            with pytest.raises(Unavailable):
                await erasing.work(now)
        assert died
        assert (await api.ask("GET", "/v1/me", token=session["access_token"])).problem == "token-revoked"
        assert await erasing.work(now + work.LEASE_MS - 1) == 0
        now += work.LEASE_MS
    await offline(db, player)
    assert await erasing.work(now) == 1
    assert await erasing.work(now + work.LATE_MS) == 1
    assert [key for key, text in (await whole(db)).items() if player in key + text and not stays(key)] == []


async def test_delayed_commands_of_an_erased_player_are_refused_at_the_write(both: tuple[Api, Database]) -> None:
    """Workers and requests that were at them write nothing back; nobody else's packs go; none waits for ever."""
    api, db = both
    developer = await api.game(GAME, commands=COMMANDS)
    gone, other = await api.guest(), await api.guest()
    await commands(api, db, gone, other)
    player, base = gone["player"], keys.shard(GAME, gone["player"])
    (taken,) = [it for it in await take(db, player) if it.player == player]
    for _ in range(2):
        await packstore.forget(db, GAME, player)  # and once more after a crash
    # His access token is good for a moment: as a request that was let in before the tombstone.
    late = await pack(api, gone, 4)
    assert (late.status, late.problem) == (404, "no-such-player")
    path = f"/v1/games/{GAME}/players"
    seen = await api.ask("GET", f"{path}/{player}/profile", token=gone["access_token"])
    assert (seen.status, seen.body["state"]) == (200, {"coins": 100})
    for name, at, args in (
        packstore.done_call(taken, 2, 2, '{"coins":1}', now_ms(), None),
        packstore.return_call(taken, 0, "slow"),
    ):
        assert await db.call(name, at, *args) in (["fenced"], 0)
    key = f"{base}:commands:{player}"
    assert await db.do("HGETALL", key) == {"erased": "1"}
    assert 0 < await db.do("TTL", key) <= packstore.ERASED_S
    for index in ("packs-due", "packs-since"):
        assert player not in await db.do("ZRANGE", f"{base}:{index}", 0, -1)
    every = [await db.do("HMGET", f"{it}:packs-stats", *packstore.STATS) for it in keys.shards(GAME)]
    assert sum(map(packstore.waiting_of, every)) == 2
    assert await db.do("LLEN", f"{keys.shard(GAME, other['player'])}:packs:{other['player']}") == 2
    # A developer who looks for him later brings no key back.
    await db.do("DEL", key)
    token = developer["access_token"]
    assert (await api.ask("GET", f"{path}/{player}/profile", token=token)).body["state"] == {"coins": 100}
    assert not await db.do("EXISTS", key)


async def test_a_login_under_way_does_not_bring_an_erased_player_back(both: tuple[Api, Database]) -> None:
    """Whose password was checked before and who is let in after it is not let in; nor does a guest take a name then."""
    api, db = both
    session, guest = await api.account("Gone"), await api.guest()
    checked = await api.services.login.enter("gone", PASSWORD, "192.0.2.1", now_ms())
    record = await api.services.accounts.read(guest["player"])
    for player in (session["player"], guest["player"]):
        await api.services.erasing.begin(player, now_ms())
    with pytest.raises(Exception, match="no such account"):
        await api.services.accounts.open_session(checked.account, now_ms(), checked)
    with pytest.raises(Exception, match="no such guest"):
        await api.services.accounts.upgrade(record, "Late", "hash", now_ms())
    for player in (session["player"], guest["player"]):
        assert not await db.do("EXISTS", keys.sessions(player))
        assert "name" not in await db.do("HGETALL", keys.account(player))
    assert not await db.do("EXISTS", keys.login("late"))


async def test_who_may_not_be_erased_is_told_why(api: Api) -> None:
    """A developer with games removes them first; an admin is the operator's; a stranger erases nobody."""
    developer = await api.game(GAME)
    refused = await api.ask("DELETE", "/v1/me", {"password": PASSWORD}, token=developer["access_token"])
    assert (refused.status, refused.problem) == (409, "owns-games")
    assert GAME in refused.body["detail"]
    guest = await api.guest()
    path = f"/v1/accounts/{developer['player']}"
    assert (await api.ask("DELETE", path, token=guest["access_token"])).problem == "forbidden"
    admin = Tokens(api.services.secret, 600).mint("p-1", "Root", "admin", new_id("session"), now_ms() // 1000)
    assert (await api.ask("DELETE", f"/v1/accounts/{guest['player']}", token=admin)).status == 202
    assert (await api.ask("DELETE", f"/v1/accounts/{new_id('player')}", token=admin)).status == 404
    assert (await api.ask("GET", "/v1/me", token=guest["access_token"])).problem == "token-revoked"


async def test_exports_are_bounded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many are told at once by a replica; a further one is asked to come back."""
    guest = await api.guest()
    monkeypatch.setattr(work, "EXPORTS", 0)
    busy = await api.ask("GET", "/v1/me/data", token=guest["access_token"])
    assert (busy.status, busy.problem) == (503, "busy")
