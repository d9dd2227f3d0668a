"""The life of a player who did all that a player can do, and what it takes to write it."""

from __future__ import annotations

import json
from typing import Any

from core import keys, packstore
from core.clock import new_id, now_ms
from core.interactions import Attack, Columns, Move, States
from core.inventory import Inventories
from core.items import Item
from core.leaderboard import bucket_of, count_args, score_args, slot_of
from core.near import near_calls
from core.presence import beat_head
from core.redis.client import Database
from core.views import Views, view_calls
from tests.webapi.support import PASSWORD, Api

GAME = "tanks"
COMMANDS: dict[str, Any] = {"url": "https://rules.example.com/", "kinds": {"build": {}}, "initial": {"coins": 100}}


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
    await db.do("HSET", f"{keys.game(GAME)}:playing", player, "m-2", other, "m-2")
    fact = {"event": "new_match_created", "players": [{"id": player, "name": "Zoë Wanderer"}]}
    for text in (json.dumps(fact, ensure_ascii=False), json.dumps({"event": "match_failed"})):
        await db.do("XADD", f"{keys.game(GAME)}:log", "*", "match", "m-2", "batch", "0", "count", "0", "data", text)
    await commands(api, db, session)
    played = keys.presence(keys.presence_number(player))
    await db.do("HSET", f"{played}:days:{player}", f"{GAME}/20000", 5000)
    await db.do("LPUSH", f"{played}:sessions:{player}", json.dumps({"game": GAME, "since_ms": 1, "until_ms": 2}))
    await db.do("SADD", f"{played}:limited", f"{GAME}/{player}")
    await db.call("presence_beat", played, *beat_head(60_000), 1, f"{GAME}/{player}")
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


async def commands(api: Api, db: Database, *sessions: dict[str, Any]) -> None:
    """For each a state that packs made, and two packs that wait."""
    for session in sessions:  # before anybody's wait: players may share a shard
        assert (await pack(api, session, 1)).status == 202
        (taken,) = await take(db, session["player"])
        name, base, args = packstore.done_call(taken, 1, 1, '{"coins":60}', now_ms(), None)
        assert (await db.call(name, base, *args))[0] == "ok"
    for session in sessions:
        for seq in (2, 3):
            assert (await pack(api, session, seq)).status == 202
        path = f"/v1/games/{GAME}/players/{session['player']}"
        assert (await api.ask("GET", f"{path}/packs", token=session["access_token"])).body["waiting"] == 2


async def pack(api: Api, session: dict[str, Any], seq: int) -> Any:
    """Send one."""
    body = {"seq": seq, "epoch": 0, "balance": 0, "commands": [{"name": "build", "at_ms": now_ms()}]}
    path = f"/v1/games/{GAME}/players/{session['player']}/packs"
    return await api.ask("POST", path, body, token=session["access_token"])


async def take(db: Database, player: str) -> list[packstore.Taken]:
    """What a worker gets of the player's shard."""
    name, base, args = packstore.take_call(keys.shard(GAME, player), "w", 60, 32)
    return packstore.taken(base, await db.call(name, base, *args))


async def offline(db: Database, player: str) -> None:
    """He is not heard any more: that is reported and settled."""
    base = keys.presence(keys.presence_number(player))
    token = (await db.call("lease_take", base, "tests", 600_000, 0))[0]
    far = now_ms() + 1_000_000
    assert (await db.call("presence_expire", base, token, far, far, 500, 1000))[0] == 1
    last = (await db.do("XREVRANGE", f"{base}:events", "+", "-", "COUNT", 1))[0][0]
    words = (player, json.dumps([GAME, 1, 2]), 1, f"{GAME}/20000", 7)
    assert (await db.call("presence_settle", base, token, "", last, 100, 3600, 20, 0, 256, *words))[0] == "ok"


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
