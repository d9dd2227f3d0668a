"""A binary in C that has never heard of Muster is registered, queued for, played over UDP, and over."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_shifumi import is_over
from tests.stack import ROOT, Visit

EXAMPLE = ROOT / "examples" / "cards"
AGAIN_S = 0.2  # UDP may lose the question, or the answer


def compiled(folder: Path) -> Path:
    """The example, made as its README says."""
    binary = folder / "server"
    compiler = shutil.which("cc")
    assert compiler, "the example needs a C compiler (Debian package: gcc)"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, "-O2", *warnings, "-o", str(binary), str(EXAMPLE / "server.c")], check=True)
    return binary


class Hand(asyncio.DatagramProtocol):
    """What a player hears."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.put_nowait(data.decode().strip())


async def draw(connection: Any) -> list[str]:
    """Ask until the game is decided; returns the last answer's words."""
    where = connection["address"], connection["ports"][0]["port"]
    transport, hand = await asyncio.get_running_loop().create_datagram_endpoint(Hand, remote_addr=where)
    try:
        while True:
            transport.sendto(b"?")
            try:
                async with asyncio.timeout(AGAIN_S):
                    words = (await hand.heard.get()).split()
            except TimeoutError:
                continue
            if words[0] != "card":
                return words
            await asyncio.sleep(AGAIN_S)
    finally:
        transport.close()


async def test_two_players_draw_a_card(here: Visit, game_id: str, tmp_path: Path) -> None:
    """The line it writes means ready, though nobody can see a UDP port open; its exit code is in the result."""
    game = json.loads((EXAMPLE / "game.json").read_text())
    assert game["server"]["command"][0] == "examples/cards/server"
    game["server"]["command"][0] = str(compiled(tmp_path))
    await here.register({**game, "id": game_id})
    tickets = [await here.post(await here.guest(), game_id) for _ in range(2)]
    placed = [await here.wait(ticket) for ticket in tickets]
    assert placed[0]["match"] == placed[1]["match"]
    one, two = await asyncio.gather(*(draw(ticket["connection"]) for ticket in placed))
    assert sorted([one[0], two[0]]) in (["lost", "won"], ["draw", "draw"])
    assert (one[1], one[2]) == (two[2], two[1])
    found = await is_over(here, game_id, placed[0]["match"])
    assert (found["reason"], json.loads(found["result"])) == ("exited", {"exit_code": 0})


@pytest.mark.parametrize(("line", "why"), [("dealing on tcp *", "never_ready")])
async def test_a_line_that_never_comes(here: Visit, game_id: str, tmp_path: Path, line: str, why: str) -> None:
    """A registration that waits for another line: the match is never ready, and shows what the game did say."""
    game = json.loads((EXAMPLE / "game.json").read_text())
    game["server"]["command"][0] = str(compiled(tmp_path))
    game["server"]["ready"]["line"] = line
    game |= {"timers": {"start_s": 2}, "limits": {"tries": 1}, "players_per_match": 1}
    await here.register({**game, "id": game_id})
    ticket = await here.post(await here.guest(), game_id)
    await here.wait(ticket, "FAILED")
    ((match, found),) = (await here.matches(game_id)).items()
    assert found["reason"] == why
    await is_over(here, game_id, match, "FAILED")
