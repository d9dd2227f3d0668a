"""An author's own rules over the arena, in a program of his that embeds gamepod, played by two clients of the arena."""

from __future__ import annotations

import asyncio
import json
import sys

from core import keys
from core.interactions import unpack
from tests.e2e.test_shifumi import is_over
from tests.gamepod.stage import TcpPlayer
from tests.stack import ROOT, Ticket, Visit
from tests.support import eventually

EXAMPLE = ROOT / "examples" / "arena_mod"
GOAL = 3


async def hill(here: Visit, game_id: str, **timers: float) -> list[Ticket]:
    """Two tickets for the example as its registration says; the hill is the whole map, so that nobody has to drive."""
    game = json.loads((EXAMPLE / "game.json").read_text())
    assert game["server"]["command"] == [".venv/bin/python", "examples/arena_mod/hill.py"]
    game["server"]["command"] = [sys.executable, str(EXAMPLE / "hill.py")]
    game["server"]["env"] = {"HILL_RADIUS_M": "1000", "HILL_GOAL": str(GOAL), "PYTHONPATH": str(ROOT)}
    await here.register({**game, "id": game_id, "timers": game["timers"] | timers})
    return [await here.post(await here.guest(), game_id) for _ in range(2)]


async def join(here: Visit, ticket: Ticket) -> tuple[str, TcpPlayer]:
    """Sit down at the match of a ticket, over TCP."""
    placed = await here.wait(ticket)
    found = {"connection": json.dumps(placed["connection"])}
    return placed["match"], await TcpPlayer.join(None, found, placed["join_token"])


async def test_the_only_one_on_the_hill_wins(here: Visit, game_id: str) -> None:
    """Two on the hill score nothing; one who stays alone scores a point a second, by the author's rule, and wins.

    What they did is in the log, the report and the boards, as in any match; who left has left. A forged token gets
    nobody in.
    """
    tickets = await hill(here, game_id)
    for ticket in tickets:  # who is there alone scores: both come at once
        placed = await here.wait(ticket)
    (match, one), (_, two) = await asyncio.gather(*(join(here, ticket) for ticket in tickets))
    head, claims, signature = placed["join_token"].split(".")
    forged = f"{head}.{claims[:-4]}AAAA.{signature}"
    refused = await TcpPlayer.join(None, {"connection": json.dumps(placed["connection"])}, forged)
    assert refused.errors == ["join-refused"]
    await refused.close()
    await asyncio.gather(one.drive_for(60), two.drive_for(60))
    accepted = await one.settled()
    assert accepted > 0
    two.send({"type": "leave"})
    await two.writer.drain()

    async def told() -> bool:
        return one.over is not None

    await eventually(told)
    assert one.over is not None
    assert (one.over["reason"], one.over["winner"]) == ("score-limit", tickets[0].player.id)
    assert {it["player"]: it["score"] for it in one.over["players"]} == {
        tickets[0].player.id: GOAL,
        tickets[1].player.id: 0,
    }
    for player in (one, two):
        await player.close()
    found = await is_over(here, game_id, match)
    assert found["reason"] == "exited"
    report = json.loads(found["report"])
    assert report == {"players": [{"player": tickets[0].player.id, "score": GOAL}], "left": [tickets[1].player.id]}
    batches = await here.db.do("XRANGE", f"{keys.shard(game_id, match)}:log", "-", "+")
    rows = [row for _, fields in batches for row in unpack(dict(fields)["data"])]
    assert sum(row.player == tickets[0].player.id for row in rows) == accepted
    board = await here.call("GET", f"/v1/games/{game_id}/boards/score")
    assert [(entry["player"], entry["score"]) for entry in board["entries"]] == [(tickets[0].player.id, GOAL)]


async def test_a_mod_is_ended_by_the_timers_of_its_match(here: Visit, game_id: str) -> None:
    """Nobody comes: the sidecar ends it, names the reason, and the program is gone."""
    tickets = await hill(here, game_id, join_s=2)
    placed = await here.wait(tickets[0])
    found = await is_over(here, game_id, placed["match"])
    assert found["reason"] == "no_show"
