"""A whole match through the public API, with a real client on each transport."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import get_args

from core.cli.demo import logged_by_player
from core.cli.wires import Kind
from tests.seat import Seat, settle
from tests.stack import Visit
from tests.support import eventually

WIRES = get_args(Kind)


async def test_three_players_on_three_transports_play_one_match(here: Visit, game_id: str) -> None:
    """UDP, TCP and WebSocket clients meet in one match; its result, log, boards and end are all there afterwards."""
    await here.register(
        {
            "id": game_id,
            "teams": [{"name": name, "min_players": 1, "max_players": 1} for name in WIRES],
            "server": {"arena": {"time_limit_s": 6, "score_limit": 0}},
        }
    )
    players = [await here.guest(wire) for wire in WIRES]
    seats = [Seat(here, await here.post(player, game_id), wire) for player, wire in zip(players, WIRES, strict=True)]
    for seat in seats:  # its time begins with the first who is in it: all come at once
        await here.wait(seat.ticket)
    ended = await settle([asyncio.create_task(seat.play()) for seat in seats])
    assert len(set(ended)) == 1
    match = ended[0]

    seen = await here.call("GET", f"/v1/matches/{game_id}/{match}", token=players[0].token)
    assert (seen["state"], seen["reason"]) == ("ENDED", "finished")
    assert {row["player"]: row["interactions"] for row in seen["result"]["players"]} == {
        seat.ticket.player.id: seat.accepted[match] for seat in seats
    }
    logged = await logged_by_player(here.db, game_id, [match])
    assert logged == {seat.ticket.player.id: seat.accepted[match] for seat in seats}
    assert all(logged.values())

    async def on_the_board() -> bool:
        board = await here.call("GET", f"/v1/games/{game_id}/boards/activity?top=5")
        return {line["player"]: line["score"] for line in board["entries"]} == logged

    await eventually(on_the_board)

    async def gone() -> bool:
        return not await here.server_processes({match})

    await eventually(gone)


async def test_join_needs_the_player_s_own_token_of_this_match(here: Visit, game_id: str) -> None:
    """A token for another match is refused at the door, and the match goes on for those who belong to it."""
    await here.register(
        {"id": game_id, "players_per_match": 1, "server": {"arena": {"time_limit_s": 2, "score_limit": 0}}}
    )
    tickets = [await here.post(await here.guest(), game_id) for _ in range(2)]
    mine, other = [await here.wait(ticket) for ticket in tickets]
    assert mine["match"] != other["match"]
    port = next(port["port"] for port in mine["connection"]["ports"] if port["protocol"] == "tcp")
    reader, writer = await asyncio.open_connection(mine["connection"]["address"], port)
    writer.write(json.dumps({"type": "join", "token": other["join_token"]}).encode() + b"\n")
    assert json.loads(await reader.readline())["code"] == "join-forged"  # each match has a key of its own
    writer.close()
    await writer.wait_closed()
    ended = await settle([asyncio.create_task(Seat(here, ticket).play()) for ticket in tickets])
    assert ended == [mine["match"], other["match"]]


async def test_a_waiting_player_learns_why(here: Visit, game_id: str) -> None:
    """The rule and both values, from the game's matchmaker; and from its heir when that one is killed."""
    await here.register(
        {
            "id": game_id,
            "server": {"arena": {}},
            "rules": {
                "ruleLanguageVersion": "1.0",
                "playerAttributes": [{"name": "skill", "type": "number"}],
                "teams": [{"name": "side", "minPlayers": 1, "maxPlayers": 1, "quantity": 2}],
                "rules": [{"name": "Skill", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": 50}],
            },
        }
    )
    low, high = [await here.guest(name) for name in ("low", "high")]
    tickets = [
        await here.call("POST", "/v1/tickets", {"game": game_id, "attributes": {"skill": skill}}, token=player.token)
        for player, skill in ((low, 1200), (high, 1420))
    ]

    async def explained() -> bool:
        why = await here.call("GET", f"/v1/tickets/{game_id}/{tickets[0]['id']}/why", token=low.token)
        return bool(why["detail"] == "Skill: within 50; you 1200, met 1420")

    await eventually(explained)
    pid = here.stack.pid(await here.owner(game_id))
    os.kill(pid, signal.SIGKILL)
    await eventually(explained)

    async def shown() -> bool:
        queue = await here.call("GET", f"/v1/games/{game_id}/queue", token=await here.developer())
        return f"-{pid}-" not in queue.get("matchmaker", f"-{pid}-") and "Skill" in queue.get("lately", {}).get(
            "rejections", {}
        )

    await eventually(shown)
