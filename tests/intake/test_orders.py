"""An outside matchmaker's `new_match_created` starts a match for the players it names, once, and they can play it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from typing import Any

import pytest

from core import keys
from core.redis.client import Database
from tests.gamepod.stage import TcpPlayer
from tests.intake.outside import COMMANDS, EVENTS, Intake, Outside
from tests.stack import ROOT, Player, Refused, Visit
from tests.support import eventually

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "intake.md"
DRIVE = {"type": "move", "throttle": 1.0}
TEAMS = [{"name": name, "min_players": 1, "max_players": 2} for name in ("red", "blue")]


def created(game: str, players: list[Player], **more: Any) -> dict[str, Any]:
    """The event, with the first player red and all others blue."""
    teams = ["red", *["blue"] * len(players)]
    named = [{"id": player.id, "team": team} for player, team in zip(players, teams, strict=False)]
    return {"event": "new_match_created", "game": game, "players": named, **more}


async def current(here: Visit, game: str, player: Player) -> Any:
    """The player's ticket, once its match can be played."""

    async def look() -> Any:
        try:
            found = await here.call("GET", f"/v1/tickets/{game}/current", token=player.token)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        return found if found["status"] == "COMPLETED" else None

    return await eventually(look, within_s=60)


async def test_an_ordered_match_is_played_by_commands(
    here: Visit, redis: Database, intake: Intake, sender: Outside, game_id: str
) -> None:
    """Its players find it by their accounts, a repeat is the same match; one drives by the queue."""
    await here.register({"id": game_id, "teams": TEAMS, "server": {"arena": {"score_limit": 0}}})
    players = [await here.guest("Ada"), await here.guest("Bob")]
    event = created(game_id, players)
    event["players"][1]["name"] = "Robert"
    await sender.send(EVENTS, event, "their-1")
    await sender.send(EVENTS, event, "their-1")
    ticket, other = [await current(here, game_id, player) for player in players]
    match = ticket["match"]
    assert (other["match"], other["id"]) == (match, ticket["id"])
    assert await here.matches(game_id) == {match: (await here.match(game_id, match))}
    seats = json.loads((await here.match(game_id, match))["doc"])["players"]
    assert [(seat["name"], seat["team"]) for seat in seats] == [("Ada", "red"), ("Robert", "blue")]
    found = {"connection": json.dumps(ticket["connection"])}
    client = await TcpPlayer.join(None, found, ticket["join_token"])  # type: ignore[arg-type]  # it needs no more
    try:
        await play(here, redis, sender, game_id, match, players)
    finally:
        await client.close()


async def play(here: Visit, redis: Database, sender: Outside, game_id: str, match: str, players: list[Player]) -> None:
    """The first player, who has joined, drives and shoots by the queue; others are told why they cannot."""
    ada, bob = (player.id for player in players)
    named, moved = {"game": game_id, "match": match}, f"{keys.shard(game_id, ada)}:move:{ada}"

    async def drove() -> bool:
        return bool(await redis.do("EXISTS", moved))

    assert not await drove()
    await sender.send(COMMANDS, {**named, "player": ada, "command": DRIVE}, "drive")
    await eventually(drove)
    await sender.send(COMMANDS, {**named, "player": ada, "command": DRIVE}, "drive")
    await sender.send(COMMANDS, {"game": game_id, "player": ada, "command": "shoot", "aim": 90}, "shoot")
    await sender.send(COMMANDS, {**named, "player": bob, "command": DRIVE}, "not joined")
    await sender.send(COMMANDS, {**named, "player": "p-nobody", "command": DRIVE}, "stranger")
    await sender.send(COMMANDS, {**named, "player": ada, "command": "fly"}, "unknown command")
    await sender.send(COMMANDS, {**named, "player": ada, "command": "move"}, "no throttle")
    assert dict(await sender.dead(COMMANDS, 4)) == {
        "not joined": "not-in-match", "stranger": "not-in-match",
        "unknown command": "bad-form", "no throttle": "bad-form",
    }  # fmt: skip
    told = await redis.do("HGETALL", f"{keys.game(game_id)}:inbox:{match}:told")
    assert told["drive"] == told["shoot"] == "done"


async def test_an_order_that_cannot_be_played_is_refused(
    here: Visit, redis: Database, sender: Outside, game_id: str
) -> None:
    """With the reason; nobody of it is in a match or a queue afterwards."""
    players = [await here.guest() for _ in range(5)]
    await sender.send(EVENTS, created(game_id, players[:2]), "unknown-a-game")
    assert await sender.dead(EVENTS) == [("unknown-a-game", "unknown-game")]
    limits = {"servers": 1}
    arena = {"arena": {}}
    await here.register({"id": game_id, "teams": TEAMS, "server": arena, "limits": limits, "timers": {"join_s": 60}})
    nobody = Player("p-nobody", "", "")
    await sender.send(EVENTS, created(game_id, [players[0], nobody]), "unknown-a-player")
    await sender.send(EVENTS, created(game_id, players[:4]), "too-many-blue")
    wrong = created(game_id, players[:2])
    wrong["players"][0]["team"] = "green"
    await sender.send(EVENTS, wrong, "green")
    await sender.send(EVENTS, created(game_id, players[:1] * 2), "twice")
    await sender.send(EVENTS, {**created(game_id, players[:2]), "event": "match_failed"}, "event")
    await sender.send(EVENTS, created(game_id, players[:2]), "with a blank")
    assert dict(await sender.dead(EVENTS, 6)) == {
        "unknown-a-player": "unknown-player", "too-many-blue": "wrong-teams", "green": "wrong-teams",
        "twice": "bad-form", "event": "bad-form", "with a blank": "bad-form",
    }  # fmt: skip
    await redis.do("HSET", keys.DRAINS, game_id, '{"since_ms": 1}')
    await sender.send(EVENTS, created(game_id, players[:2]), "drained")
    assert await sender.dead(EVENTS) == [("drained", "game-closed")]
    await redis.do("HDEL", keys.DRAINS, game_id)
    assert await redis.do("HLEN", f"{keys.game(game_id)}:open") == 0
    await sender.send(EVENTS, created(game_id, players[:2], id="first"))
    await current(here, game_id, players[0])
    await sender.send(EVENTS, created(game_id, players[1:3]), "busy")
    await sender.send(EVENTS, created(game_id, players[2:4]), "no-more-room")
    await sender.send(EVENTS, created(game_id, players[2:4]), "first")
    assert dict(await sender.dead(EVENTS, 3)) == {
        "busy": "player-busy", "no-more-room": "no-room", "first": "other-match",
    }  # fmt: skip


async def test_musters_own_events_are_passed_on(sender: Outside, here: Visit, game_id: str) -> None:
    """Unread, to a queue for whoever wants them."""
    await sender.send(EVENTS, {"event": "new_match_created", "game": game_id}, "ours", app_id="muster")

    async def passed() -> Any:
        return await sender.get(f"{EVENTS}.muster")

    found = await eventually(passed)
    assert (found.message_id, found.app_id, json.loads(found.body)["game"]) == ("ours", "muster", game_id)
    assert await sender.get(f"{EVENTS}.dead") is None


async def test_a_game_of_ones_own_takes_no_commands(here: Visit, sender: Outside, game_id: str) -> None:
    """Its server says so; its matches can be ordered as any."""
    program = "import time; time.sleep(60)"
    server = {"command": [sys.executable, "-c", program], "ready": {"when": "delay"}}
    await here.register({"id": game_id, "players_per_match": 1, "server": server})
    player = await here.guest()
    order = {"event": "new_match_created", "game": game_id, "players": [{"id": player.id}], "id": "their-2"}
    await sender.send(EVENTS, order)
    await current(here, game_id, player)
    await sender.send(COMMANDS, {"game": game_id, "player": player.id, "command": DRIVE}, "one")
    assert await sender.dead(COMMANDS) == [("one", "takes-no-commands")]


@pytest.mark.parametrize("language", ["python", "sh"])
async def test_the_examples_of_the_page_do_what_it_says(
    here: Visit, sender: Outside, intake: Intake, game_id: str, language: str
) -> None:
    """Taken out of it as they stand there: a match of the two players; in a shell a command too."""
    await here.register({"id": game_id, "teams": TEAMS, "server": {"arena": {}}})
    ada, bob = await here.guest("Ada"), await here.guest("Bob")
    (program,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    env = {
        "RABBITMQ_URL": intake.url.rstrip("/"),
        "GAME": game_id,
        "ADA": ada.id,
        "BOB": bob.id,
        "MINE": f"mine-{game_id}",
    }
    command = [sys.executable, "-c", program] if language == "python" else ["bash", "-eu", "-c", program]
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | env)
    assert await process.wait() == 0
    ticket = await current(here, game_id, ada)
    assert (await current(here, game_id, bob))["match"] == ticket["match"]
    if language == "sh":  # before the player has joined, or before the match has begun
        ((_, reason),) = await sender.dead(COMMANDS)
        assert reason in ("not-in-match", "not-begun", "no-match")
