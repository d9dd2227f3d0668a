"""A running match asks for players through its server, and whoever is seated plays."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from core import keys
from core.clock import new_id, now_ms
from core.model import Match, MatchPlayer, Ready, Server, Timers
from tests.gamepod.sdk.side import call
from tests.gamepod.stage import DRAIN_S, GAME, Stage, TcpPlayer
from tests.gamepod.test_command_match import python
from tests.support import eventually

MATCH, BACKFILL = "/muster/v1/match", "/muster/v1/backfill"
NOW = Ready(when="delay", delay_s=0)


async def asked(stage: Stage, match: Match) -> dict[str, str]:
    """The match's hash once it asks for players."""

    async def look() -> dict[str, str] | None:
        found = await stage.found(match)
        return found if found.get("backfill_ms") else None

    return await eventually(look)


async def quiet(stage: Stage, match: Match) -> None:
    """Wait until the match asks for nobody."""

    async def look() -> bool:
        return "backfill_ms" not in await stage.found(match)

    await eventually(look)


async def seat(stage: Stage, match: Match) -> Match:
    """Seat a new player in the match that asks, as a matchmaker does; returns the match with the new seats."""
    base, now = keys.game(GAME), now_ms()
    come = MatchPlayer(new_id("player"), "newcomer", "players", new_id("ticket"))
    roster = json.dumps([{"id": come.id, "name": come.name}])
    assert await stage.db.call("ticket_create", base, come.ticket, now, 1000, roster, "", come.id) == ["ok", 0]
    token = (await stage.db.call("lease_take", base, "stage", 30_000))[0]
    ((_, request, _, doc, left, *_),) = await stage.db.call("backfill_requests", base, match.id)
    there = [player for player in match.players if player.id not in json.loads(left)]
    after = msgspec.structs.replace(match, players=[*there, come])
    digest = hashlib.sha1(f"{doc}{left}".encode(), usedforsecurity=False).hexdigest()
    document = msgspec.json.encode(after).decode()
    reply = await stage.db.call("backfill_claim", base, token, now, match.id, request, digest, document, come.ticket)
    assert reply == ["ok"]
    return after


async def seats_told(port: int, wanted: Match) -> dict[str, Any]:
    """What the sidecar tells of the match, once it has the seats of `wanted`."""

    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = (await call(port, "GET", MATCH))[1]
        return found if [p["id"] for p in found["players"]] == [p.id for p in wanted.players] else None

    return await eventually(look)


async def test_the_arena_asks_for_a_player_in_place_of_one_who_left(stage: Stage) -> None:
    """The newcomer joins at once, before the server heard of the seat, and plays; who had the seat may not return."""
    server = Server(arena={"backfill": True, "capacity": 2, "time_limit_s": 0, "score_limit": 0})
    match = await stage.match(server, timers=Timers(join_s=60, empty_s=60, drain_s=DRAIN_S))
    pod = stage.start(match)
    found = await stage.reached(match, "RUNNING")
    players = [await TcpPlayer.join(match, found, stage.token(match, i)) for i in range(2)]
    assert "backfill" not in await stage.found(match)
    players[0].send({"type": "leave"})
    assert json.loads((await asked(stage, match))["left"]) == [match.players[0].id]
    after = await seat(stage, match)
    newcomer = await TcpPlayer.join(after, found, stage.token(after, 1))
    assert newcomer.errors == []
    await newcomer.drive_for(5)
    assert await newcomer.settled() == 5
    port = (await pod.said("attached"))["sdk_port"]
    told = await seats_told(port, after)
    assert (told["id"], told["left"], told["players"][1]["name"]) == (match.id, [], "newcomer")
    back = await TcpPlayer.join(match, found, stage.token(match, 0))
    assert back.errors == ["not-in-roster"]
    await quiet(stage, match)
    pod.process.terminate()
    ended = await stage.reached(match, "ENDED")
    assert len(json.loads(ended["result"])["players"]) == 3
    for player in (*players, newcomer, back):
        await player.close()


async def test_the_arena_asks_no_more_when_the_player_comes_back(stage: Stage) -> None:
    """Who left may come back to his seat while nobody has it; without the setting nobody is asked for at all."""
    arenas = [Server(arena={"backfill": wanted, "time_limit_s": 0}) for wanted in (True, False)]
    matches = [await stage.match(server, timers=Timers(join_s=60, empty_s=60, drain_s=DRAIN_S)) for server in arenas]
    gone = []
    for match in matches:
        stage.start(match)
        player = await TcpPlayer.join(match, await stage.reached(match, "RUNNING"), stage.token(match))
        player.send({"type": "leave"})
        gone.append(player)
    await asked(stage, matches[0])
    found = await stage.found(matches[0])
    gone.append(await TcpPlayer.join(matches[0], found, stage.token(matches[0])))
    assert gone[-1].errors == []
    await quiet(stage, matches[0])

    async def told() -> bool:
        return (await stage.found(matches[1])).get("left", "[]") != "[]"

    await eventually(told)
    assert "backfill" not in await stage.found(matches[1])
    for player in gone:
        await player.close()


async def test_a_game_asks_through_its_sidecar(stage: Stage) -> None:
    """The newest request counts; the body may say who left; the game reads its new roster, and may ask no more."""
    match = await stage.match(python("import time; time.sleep(600)", ready=NOW))
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    port = (await pod.said("attached"))["sdk_port"]
    status, told = await call(port, "GET", MATCH)
    assert (status, told["id"], told["game"], told["left"]) == (200, match.id, GAME, [])
    assert told["players"] == [{"id": p.id, "name": p.name, "team": p.team} for p in match.players]

    status, first = await call(port, "POST", BACKFILL, b"")
    assert (status, (await stage.found(match))["backfill"]) == (200, first["request"])
    gone = match.players[1].id
    _, newest = await call(port, "POST", BACKFILL, json.dumps({"left": [gone]}).encode())
    found = await stage.found(match)
    assert (found["backfill"], json.loads(found["left"])) == (newest["request"], [gone])
    assert newest != first
    after = await seat(stage, match)
    assert (await seats_told(port, after))["left"] == []
    await quiet(stage, match)

    await call(port, "POST", BACKFILL)
    await asked(stage, match)
    assert await call(port, "DELETE", BACKFILL, b"") == (200, {})
    await quiet(stage, match)
    await call(port, "POST", "/shutdown")
    await stage.reached(match, "ENDED")
    assert await pod.ended() == 0


async def test_wrong_requests_for_players_are_refused(stage: Stage) -> None:
    """Before Ready, of the arena, in a wrong form, or for strangers: each has its answer, and nothing is asked."""
    match = await stage.match(python("import time; time.sleep(600)", ready=Ready(when="sdk")))
    pod = stage.start(match)
    port = (await pod.said("attached"))["sdk_port"]
    status, refused = await call(port, "POST", BACKFILL)
    assert (status, refused["code"], "PLACING" in refused["message"]) == (400, 9, True)
    await call(port, "POST", "/ready")
    await stage.reached(match, "RUNNING")
    for body in (b"[]", b"{", b'{"players": 2}', b'{"left": "p-1"}', b'{"left": ["p-1"]}', b'{"left": [7]}'):
        status, refused = await call(port, "POST", BACKFILL, body)
        assert (status, refused["code"]) == (400, 3), body
    assert (await call(port, "GET", BACKFILL))[0] == (await call(port, "POST", MATCH))[0] == 501
    assert (await call(port, "GET", "/muster/v1/nothing"))[0] == 404
    assert "backfill" not in await stage.found(match)

    arena = await stage.match(Server(arena={}))
    pod = stage.start(arena)
    await stage.reached(arena, "RUNNING")
    status, refused = await call((await pod.said("attached"))["sdk_port"], "POST", BACKFILL)
    assert (status, refused["message"]) == (400, "the built-in arena takes no commands")


async def test_a_request_while_redis_is_away_is_told_so(stage: Stage) -> None:
    """The game hears 503 and may ask again; asked again, it is done."""
    match = await stage.match(python("import time; time.sleep(600)", ready=NOW))
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    port = (await pod.said("attached"))["sdk_port"]
    await stage.db.do("CLIENT", "PAUSE", 600_000, "WRITE")
    status, refused = await call(port, "POST", BACKFILL)
    await stage.db.do("CLIENT", "UNPAUSE")
    assert (status, refused["code"]) == (503, 14)

    async def again() -> bool:
        return (await call(port, "POST", BACKFILL))[0] == 200

    await eventually(again)
    await asked(stage, match)
