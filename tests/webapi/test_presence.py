"""Heartbeats, play-time and its limits, over HTTP. Minutes that were played are put there by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from core import keys
from core.clock import now_ms
from core.presence import DAY_MS, Session, day_of, member
from core.redis.client import Database
from tests.support import eventually
from tests.webapi.support import Answer, Api, next_event, open_api

MINUTE_MS = 60_000


async def _beat(api: Api, who: dict[str, Any], game: str = "tanks") -> Answer:
    return await api.ask("POST", "/v1/heartbeat", {"game": game}, token=who["access_token"])


async def _playtime(api: Api, who: dict[str, Any], of: dict[str, Any], game: str = "tanks") -> Answer:
    return await api.ask("GET", f"/v1/games/{game}/players/{of['player']}/playtime", token=who["access_token"])


async def _played(db: Database, who: dict[str, Any], minutes: int, *, day: int = 0, game: str = "tanks") -> None:
    """A session that is over, of so many minutes, so many days ago by UTC."""
    base = keys.presence(keys.presence_number(who["player"]))
    today = day_of(now_ms(), 0) - day
    began = today * DAY_MS
    session = msgspec.json.encode(Session(game, began, began + minutes * MINUTE_MS))
    await db.do("HINCRBY", f"{base}:days:{who['player']}", f"{game}/{today}", minutes * MINUTE_MS)
    await db.do("LPUSH", f"{base}:sessions:{who['player']}", session)


async def test_a_heartbeat_makes_a_player_online(api: Api) -> None:
    """It tells when the next is wanted; the player is counted once in his game, however often he is heard."""
    await api.game()
    await api.game("chess")
    ann, bob = await api.guest("Ann"), await api.guest("Bob")
    first = await _beat(api, ann)
    assert (first.status, first.body) == (200, {"interval_s": 60.0, "timeout_s": 180.0})
    await asyncio.gather(*(_beat(api, who) for who in (ann, ann, bob, bob)))
    await _beat(api, ann, "chess")
    assert (await api.ask("GET", "/v1/games/tanks/online")).body == {"game": "tanks", "online": 2}
    assert (await api.ask("GET", "/v1/games/chess/online")).body["online"] == 1
    games = (await api.ask("GET", "/v1/overview")).body["games"]
    assert {game["id"]: game["online"] for game in games} == {"tanks": 2, "chess": 1}


async def test_a_heartbeat_is_for_a_game_by_a_player(api: Api) -> None:
    """Without a token, for no game, or for one that is not there: refused, and nobody is tracked."""
    await api.game()
    ann = await api.guest()
    assert (await api.ask("POST", "/v1/heartbeat", {"game": "tanks"})).status == 401
    assert (await _beat(api, ann, "nothing")).problem == "no-such-game"
    assert (await _beat(api, ann, "../tanks")).problem == "no-such-game"
    assert (await api.ask("POST", "/v1/heartbeat", {}, token=ann["access_token"])).status == 422
    assert (await api.ask("GET", "/v1/games/tanks/online")).body["online"] == 0


async def test_many_heartbeats_are_few_calls(api: Api, db: Database) -> None:
    """A hundred players heard at once cost Redis at most a call a shard."""
    await api.game()
    guests = [await api.guest() for _ in range(30)]
    calls: list[str] = []
    call = api.services.beats._call

    async def counted(name: str, *given: Any) -> Any:
        calls.append(name)
        return await call(name, *given)

    api.services.beats._call = counted
    await asyncio.gather(*(api.services.beats.beat("tanks", who["player"]) for who in guests for _ in range(10)))
    assert len(calls) <= 2 * keys.PRESENCE_SHARDS  # a call that tells that we listen may come in between
    assert sum((await api.services.presence.online(["tanks"])).values()) == 30


async def test_who_waits_for_a_ticket_is_there(redis_url: str, db: Database) -> None:
    """An open ticket stream counts as heartbeats, without one being sent."""
    async with open_api(redis_url, presence_interval_s=1.0, presence_timeout_s=3.0) as api:
        await api.game()
        ann = await api.guest()
        ticket = await api.ticket(ann)
        response = await api.open("GET", f"/v1/tickets/tanks/{ticket['id']}/events", token=ann["access_token"])
        assert (await next_event(response) or {})["data"]["status"] == "QUEUED"

        async def online() -> bool:
            return (await api.ask("GET", "/v1/games/tanks/online")).body["online"] == 1

        await eventually(online)
        response.close()


async def test_playtime_is_told_to_whom_it_concerns(api: Api, db: Database) -> None:
    """By day, with the running session and those that are over; to the player, the developer, not to others."""
    developer = await api.game()
    ann, bob = await api.guest("Ann"), await api.guest("Bob")
    await _played(db, ann, 30, day=1)
    await _played(db, ann, 45, day=1, game="chess")
    await _beat(api, ann)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    for who in (ann, developer):
        found = (await _playtime(api, who, ann)).body
        assert (found["online"], found["limited"], found["utc_offset_min"]) == (True, False, 0)
        assert {"day": yesterday, "played_s": 1800} in found["days"]
        assert [session["played_s"] for session in found["sessions"]] == [1800]
        assert found["since"] <= found["heard_at"]
        assert "play" not in found
    other = await api.account("another", "developer")
    for who in (bob, other):
        assert (await _playtime(api, who, ann)).problem == "not-yours"
    nobody = (await _playtime(api, bob, bob)).body
    assert (nobody["online"], nobody["days"], nobody["sessions"]) == (False, [], [])


async def test_a_daily_limit_is_warned_of_and_refused(api: Api, db: Database) -> None:
    """With ten minutes left a heartbeat warns; at the limit a ticket is refused until the game's midnight."""
    await api.game(play={"daily_min": 60, "warn_min": 15})
    ann = await api.guest("Ann")
    assert (await _beat(api, ann)).body["play"]["warn"] is False
    await _played(db, ann, 50)
    warned = (await _beat(api, ann)).body["play"]
    assert (warned["allowed"], warned["warn"], warned["why"]) == (True, True, "daily")
    assert 0 < warned["left_s"] <= 600
    ticket = await api.ticket(ann)
    await api.ask("DELETE", f"/v1/tickets/tanks/{ticket['id']}", token=ann["access_token"])
    await _played(db, ann, 10)
    refused = await api.ask("POST", "/v1/tickets", {"game": "tanks"}, token=ann["access_token"])
    assert (refused.status, refused.problem) == (429, "play-limit")
    assert refused.body["detail"] == "you may play 60 minutes a day, and did so today"
    assert 0 < refused.body["retry_after_s"] <= 86_400
    assert refused.headers["Retry-After"] == str(refused.body["retry_after_s"])
    found = (await _beat(api, ann)).body["play"]
    assert (found["allowed"], found["why"]) == (False, "daily")
    assert abs(found["retry_after_s"] - refused.body["retry_after_s"]) < 600


async def test_a_curfew_of_listed_players(api: Api) -> None:
    """It applies to whom the developer names; a party with one of them is refused, and told who it is."""
    now = datetime.now(UTC)
    curfew = {"begins": f"{now - timedelta(hours=1):%H:%M}", "ends": f"{now + timedelta(hours=1):%H:%M}"}
    developer = await api.game(play={"curfew": curfew, "applies_to": "listed"})
    ann, bob = await api.guest("Ann"), await api.guest("Bob")
    assert "play" not in (await _beat(api, bob)).body
    path = f"/v1/games/tanks/players/{bob['player']}/limits"
    assert (await api.ask("PUT", path, {"limited": True}, token=bob["access_token"])).status == 403
    listed = await api.ask("PUT", path, {"limited": True}, token=developer["access_token"])
    assert (listed.status, listed.body["limited"], listed.body["play"]["why"]) == (200, True, "curfew")
    await api.ticket(ann)
    alone = await api.ask("POST", "/v1/tickets", {"game": "tanks"}, token=bob["access_token"])
    assert alone.body["detail"] == f"you may not play between {curfew['begins']} and {curfew['ends']}"
    code = (await api.ask("POST", "/v1/parties", {}, token=ann["access_token"])).body["code"]
    await api.ask("POST", f"/v1/parties/{code}/join", token=bob["access_token"])
    for who in (ann, bob):
        await api.ask("PUT", f"/v1/parties/{code}/ready", {}, token=who["access_token"])
    together = await api.ask("POST", "/v1/tickets", {"game": "tanks", "party": code}, token=ann["access_token"])
    assert together.problem == "play-limit"
    assert together.body["detail"].startswith("Bob may not play between")
    await api.ask("PUT", path, {"limited": False}, token=developer["access_token"])
    assert "play" not in (await _beat(api, bob)).body


async def test_limits_are_checked_at_the_registration(api: Api) -> None:
    """No limit, an hour that is none, a curfew without length: each is told with its place."""
    developer = await api.account("dev", "developer")
    for play, pointer in (
        ({}, "/play"),
        ({"daily_min": 0}, "/play/daily_min"),
        ({"curfew": {"begins": "24:00", "ends": "06:00"}}, "/play/curfew/begins"),
        ({"curfew": {"begins": "06:00", "ends": "06:00"}}, "/play/curfew/ends"),
        ({"daily_min": 60, "utc_offset_min": 900}, "/play/utc_offset_min"),
    ):
        body = {"id": "tanks", "players_per_match": 2, "server": {"arena": {}}, "play": play}
        answer = await api.ask("POST", "/v1/games", body, token=developer["access_token"])
        assert (answer.status, answer.body.get("pointer")) == (422, pointer), answer
    developer = await api.game("free")
    path = f"/v1/games/free/players/{developer['player']}/limits"
    answer = await api.ask("PUT", path, {"limited": True}, token=developer["access_token"])
    assert answer.status == 422


async def test_presence_is_there_under_its_own_name(api: Api, db: Database) -> None:
    """A game called `presence` shares no key with it."""
    await api.game("presence")
    ann = await api.guest()
    await _beat(api, ann, "presence")
    base = keys.presence(keys.presence_number(ann["player"]))
    assert await db.do("ZSCORE", f"{base}:heard", member("presence", ann["player"])) is not None
    assert not base.startswith(keys.shard("presence", ann["player"]))
