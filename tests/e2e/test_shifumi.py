"""The example game, which knows nothing of Muster, is registered, queued for, played and over."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.stack import ROOT, Visit
from tests.support import eventually

EXAMPLE = ROOT / "examples" / "shifumi"


async def throw(connection: Any, throws: bytes) -> bytes:
    """Send throws one by one; returns the answers."""
    reader, writer = await asyncio.open_connection(connection["address"], connection["ports"][0]["port"])
    answers = b""
    for byte in throws:
        writer.write(bytes([byte]))
        answers += await reader.read(1)
    answers += await reader.read()
    writer.close()
    await writer.wait_closed()
    return answers


async def seated(here: Visit, game_id: str) -> tuple[str, list[Any]]:
    """Two players of a game registered as the example's README says: the match, and what each was given."""
    game = json.loads((EXAMPLE / "game.json").read_text())
    await here.register({**game, "id": game_id})
    tickets = [await here.post(await here.guest(), game_id) for _ in range(2)]
    placed = [await here.wait(ticket) for ticket in tickets]
    assert placed[0]["match"] == placed[1]["match"]
    return placed[0]["match"], [ticket["connection"] for ticket in placed]


async def is_over(here: Visit, game_id: str, match: str, state: str = "ENDED") -> dict[str, str]:
    """The match when it has this state and its process is gone."""

    async def over() -> dict[str, str]:
        found = await here.match(game_id, match)
        return found if found["state"] == state and not await here.server_processes({match}) else {}

    return await eventually(over)


async def test_two_players_play_rock_paper_scissors(here: Visit, game_id: str) -> None:
    """Port open means ready, exit means over: the winner of two rounds is told so and the match has ended `exited`."""
    match, (one, two) = await seated(here, game_id)
    answers = await asyncio.gather(throw(one, b"RPxP"), throw(two, b"RRR"))
    assert answers == [b"DW?W", b"DLL"]
    assert (await is_over(here, game_id, match))["reason"] == "exited"


async def test_player_who_hangs_up_loses(here: Visit, game_id: str) -> None:
    """Who leaves in the middle gives the game to the other, and the server still ends by itself."""
    match, (one, two) = await seated(here, game_id)
    _, writer = await asyncio.open_connection(one["address"], one["ports"][0]["port"])
    writer.write(b"R")
    quitter_left = asyncio.create_task(throw(two, b"RP"))
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await quitter_left == b"DW"
    assert (await is_over(here, game_id, match))["reason"] == "exited"


async def test_crash_of_a_strangers_game_puts_players_back(here: Visit, game_id: str) -> None:
    """A game that exits with an error has crashed: its players queue again, at most as often as the game allows."""
    # Whoever only tries the port says nothing; the first word is fatal.
    crash = (
        "import socket, sys\n"
        "server = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "while not server.accept()[0].recv(1): pass\n"
        "sys.exit(3)\n"
    )
    await here.register(
        {
            "id": game_id,
            "players_per_match": 1,
            "server": {
                "command": ["python3", "-c", crash, "{port}"],
                "ports": [{"name": "game", "protocol": "tcp"}],
                "ready": {"when": "port"},
            },
            "limits": {"tries": 2},
        }
    )
    ticket = await here.post(await here.guest(), game_id)
    for _ in range(2):
        placed = await here.wait(ticket, "COMPLETED")
        _, writer = await asyncio.open_connection("127.0.0.1", placed["connection"]["ports"][0]["port"])
        writer.write(b"!")
        await writer.drain()
        writer.close()
        await is_over(here, game_id, placed["match"], "FAILED")
    assert (await here.read(ticket))["status"] == "FAILED"
    assert [found["reason"] for found in (await here.matches(game_id)).values()] == ["crashed", "crashed"]
