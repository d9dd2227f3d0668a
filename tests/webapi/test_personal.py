"""All that is known of a player: told whole, taken away whole; on one node and on a cluster, whatever dies."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from core import keys
from core.clock import new_id, now_ms
from core.errors import Unavailable
from core.interactions import Attack, Columns, Move, States
from core.inventory import Inventories
from core.items import Item
from core.leaderboard import bucket_of, count_args, score_args, slot_of
from core.near import near_calls
from core.redis.client import Database, open_database
from core.views import Views, view_calls
from tests.redis.backends import cluster
from tests.support import eventually
from tests.webapi.support import PASSWORD, Api, open_api
from webapi import erasing as work
from webapi.auth import Tokens
from webapi.store import personal

GAME = "tanks"


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
    async with open_database(url) as db:
        await eventually(lambda: _emptied(db), within_s=60)
        async with open_api(url) as api:
            yield api, db


async def _emptied(db: Database) -> bool:
    try:
        await db.do("FLUSHALL")
    except Unavailable:
        return False
    return True


async def live(api: Api, db: Database, other: str) -> dict[str, Any]:
    """A player who did all that a player can do; his session."""
    session = await api.account("Zoë Wanderer", "developer")
    player, token, now = session["player"], session["access_token"], now_ms()
    await api.ask("POST", "/v1/keys", {"name": "ci", "scopes": ["games:write"]}, token=token)
    await api.ask("POST", "/v1/login", {"name": "zoë wanderer", "password": PASSWORD})
    await api.ask("POST", "/v1/login", {"name": "zoë wanderer", "password": "a wrong one"})
    await api.ask("POST", "/v1/parties", {}, token=token)
    await api.ticket(session, GAME)
    await db.do("ZADD", f"{keys.game(GAME)}:cancels:{player}", now, "m-1")
    played = keys.presence(keys.presence_number(player))
    await db.do("HSET", f"{played}:days:{player}", f"{GAME}/20000", 5000)
    await db.do("LPUSH", f"{played}:sessions:{player}", json.dumps({"game": GAME, "since_ms": 1, "until_ms": 2}))
    await db.do("SADD", f"{played}:limited", f"{GAME}/{player}")
    await boards(db, now, player, other)
    moves = [Move(f"w-{i}", now, one, 48.0, 2.0) for i, one in enumerate((player, other))]
    views = Views()
    views.add(Columns([*moves, Attack("a-1", now, player, other, 3.0), Attack("a-2", now, other, player, 4.0)]))
    views.add_states(States(now, ("hp",), [(player, "3"), (other, "4")]), "m-1")
    for base, args in view_calls(GAME, views, move_ttl_ms=60_000):
        await db.call("views_write", base, *args)
    for base, args in near_calls(GAME, moves, ttl_s=60):
        await db.call("near_add", base, *args)
    items = Inventories(db, GAME)
    await items.grant(player, [Item("gold", 5), Item("sword", 1, "excalibur")])
    await items.grant(other, [Item("gold", 7)])
    await items.exchange(player, other, give=[Item("gold", 1)])
    return session


async def boards(db: Database, now: int, *players: str) -> None:
    """Counts, a score, a rating, and the same in a season that is over."""
    base, slot = keys.boards(GAME), slot_of(now)
    for args in score_args([(player, 12.5) for player in players], now):
        await db.call("boards_add", base, "", 0, *args)
    for args in count_args({(bucket_of(slot, player), player): 4 for player in players}):
        await db.call("boards_add", base, "", 0, *args)
    for mode in ("", "duel"):
        for player in players:
            await db.call("ratings_write", base, new_id("match"), mode, 1, now, player, "", "1500 500 1 1", 7)
    await db.call("season_end", base, 1, now, 1, 5)
    for args in score_args([(player, 13.5) for player in players], now):
        await db.call("boards_add", base, "", 0, *args)


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


async def test_all_that_is_known_is_told(both: tuple[Api, Database]) -> None:
    """One call has account, sessions, party, ticket, boards, views, items and their trail; and no secrets."""
    api, db = both
    await api.game(GAME, near=True)
    other = (await api.guest())["player"]
    session = await live(api, db, other)
    lines = await told(api, "/v1/me/data", session["access_token"])
    parts = {line["part"] for line in lines}
    assert parts == {
        "account", "played_ms", "played", "play_limited", "session", "api_key", "party", "ticket", "state", "position",
        "activity", "score", "rating", "season", "item", "move",
    }  # fmt: skip
    assert {line.get("game", "") for line in lines} == {"", GAME}
    by_part = {line["part"]: line["data"] for line in lines}
    assert by_part["account"]["name"] == "Zoë Wanderer"
    assert (by_part["score"], by_part["activity"]) == (13.5, 4.0)
    assert by_part["state"]["hp"] == "3"
    text = json.dumps(lines)
    assert "argon2" not in text
    assert "digest" not in text
    admin = Tokens(api.services.secret, 600).mint("p-1", "Root", "admin", new_id("session"), now_ms() // 1000)
    assert await told(api, f"/v1/accounts/{session['player']}/data", admin) == lines
    guest = await api.guest()
    path = f"/v1/accounts/{session['player']}/data"
    assert (await api.ask("GET", path, token=guest["access_token"])).problem == "forbidden"


async def test_nothing_is_left_of_an_erased_player(both: tuple[Api, Database]) -> None:
    """At once nobody comes in as him; then no key has his id or name, and what stays has the id alone."""
    api, db = both
    await api.game(GAME, near=True)
    other = (await api.guest("Other"))["player"]
    session = await live(api, db, other)
    player, token = session["player"], session["access_token"]
    before = await whole(db)
    assert len([key for key in before if player in key]) >= 10
    assert (await api.ask("DELETE", "/v1/me", {"password": "a wrong one"}, token=token)).problem == "wrong-credentials"
    assert (await api.ask("DELETE", "/v1/me", {"password": PASSWORD}, token=token)).status == 202
    assert (await api.ask("GET", "/v1/me", token=token)).problem == "token-revoked"
    assert (await api.ask("POST", "/v1/refresh", {"refresh_token": session["refresh_token"]})).status == 401
    assert (await api.ask("POST", "/v1/login", {"name": "Zoë Wanderer", "password": PASSWORD})).status == 401
    erasing = api.services.erasing
    await eventually(lambda: _worked(erasing, now_ms()))
    # A match that still runs writes on; the last look takes that too.
    await db.call("boards_add", keys.boards(GAME), "", 0, *next(iter(score_args([(player, 99.0)], now_ms()))))
    assert await erasing.work(now_ms() + work.LATE_MS + 1000) == 1
    after = await whole(db)
    tried = [key for key in after if key.startswith("muster:tries:")]  # what anybody typed, for minutes
    for key in tried:
        assert 0 < await db.do("TTL", key) <= 300
    assert [key for key in after if player in key or ("zoë wanderer" in key and key not in tried)] == []
    assert [key for key, text in after.items() if player in text and not any(it in key for it in STAYS)] == []
    assert [key for key, text in after.items() if "Wanderer" in text and ":ticket:" not in key] == []
    assert await db.do("HGET", f"{keys.items(GAME)}:owners", "excalibur") is None
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
    await api.game(GAME, near=True)
    session = await live(api, db, (await api.guest())["player"])
    player, erasing, now = session["player"], api.services.erasing, now_ms()
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
    assert await erasing.work(now) == 1
    assert await erasing.work(now + work.LATE_MS) == 1
    assert [key for key in await whole(db) if player in key] == []


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
