"""A game written for Agones, in Node, is registered, queued for, played and over; it never hears of Muster."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests import agones_node
from tests.e2e.test_shifumi import is_over
from tests.stack import Visit


async def call_side(connection: Any, side: str) -> str:
    """Connect, call heads or tails; returns what the player is told."""
    reader, writer = await asyncio.open_connection(connection["address"], connection["ports"][0]["port"])
    writer.write(f"{side}\n".encode())
    told = (await reader.read()).decode().strip()
    writer.close()
    await writer.wait_closed()
    return told


async def test_two_players_toss_a_coin(here: Visit, game_id: str) -> None:
    """Ready over gRPC places both players; Shutdown ends the match and its process."""
    game = json.loads((agones_node.EXAMPLE / "game.json").read_text())
    game["server"]["env"] = {"NODE_PATH": str(agones_node.modules())}
    await here.register({**game, "id": game_id})
    tickets = [await here.post(await here.guest(), game_id) for _ in range(2)]
    placed = [await here.wait(ticket) for ticket in tickets]
    assert placed[0]["match"] == placed[1]["match"]
    told = await asyncio.gather(
        call_side(placed[0]["connection"], "heads"), call_side(placed[1]["connection"], "tails")
    )
    assert sorted(told) == ["lost", "won"]
    found = await is_over(here, game_id, placed[0]["match"])
    assert found["reason"] == "exited"
