"""Two tabs play a match in a real browser, with real key and mouse events."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import pytest
from playwright.async_api import WebSocketRoute

from core.cli.rest import Rest
from tests.browser.conftest import OpenTab, Register
from tests.browser.player import Player
from tests.stack import ROOT
from tests.support import eventually

pytestmark = pytest.mark.slow


async def test_two_tabs_play_a_match_to_its_end(open_tab: OpenTab, register: Register, rest: Rest) -> None:
    """Two tabs press Play, are matched, drive and shoot, see the result and the moved board, and the server is gone."""
    game = register("page-duel", time_limit_s=120.0)  # its score ends it
    players = [Player(await open_tab()) for _ in range(2)]
    for player in players:
        await player.press_play(game)
    await asyncio.gather(*(player.joined() for player in players))
    await asyncio.gather(*(player.drive() for player in players))  # both, before either can end the match
    await asyncio.gather(*(player.fight(for_s=130) for player in players))
    for player in players:
        await player.page.get_by_role("button", name="Play again").wait_for()

    verdicts = sorted([await player.page.locator(".verdict").inner_text() for player in players])
    assert verdicts in (["You lost", "You won"], ["A draw", "A draw"])
    for player in players:
        await player.page.locator(".result table").nth(1).locator("tr.own").wait_for()
        assert await player.page.locator(".result table").first.locator("tr.own").count() == 1
    match = rest.call("GET", f"/v1/games/{game}/matches")["matches"][0]
    assert match["state"] == "ENDED"
    assert sum(player["damage"] for player in match["result"]["players"]) > 0
    assert all(player["interactions"] > 0 for player in match["result"]["players"])
    board = rest.call("GET", f"/v1/games/{game}/boards/score")["entries"]
    assert {entry["player"] for entry in board} == {player["player"] for player in match["result"]["players"]}

    async def no_server() -> bool:
        launchers = rest.call("GET", "/v1/overview")["servers"]
        return not [server for launcher in launchers for server in launcher["servers"] if server["game"] == game]

    assert await eventually(no_server)


async def test_a_reload_goes_on_in_the_same_match(open_tab: OpenTab, register: Register) -> None:
    """A reloaded tab is the same player in the same match."""
    game = register("page-reload", time_limit_s=300.0)
    first, second = Player(await open_tab()), Player(await open_tab())
    for player in (first, second):
        await player.press_play(game)
    await asyncio.gather(first.joined(), second.joined())
    name = await first.page.locator(".scores .own th").inner_text()
    async with first.page.expect_response("**/v1/tickets/page-reload*/current") as asked:
        await first.page.reload()
    assert (await (await asked.value).json())["connection"]["ports"]
    await first.joined()
    assert await first.page.locator(".scores .own th").inner_text() == name
    await first.page.get_by_role("button", name="Leave").click()
    await first.page.get_by_role("button", name="Play", exact=True).wait_for()


async def test_a_lost_connection_is_made_again(open_tab: OpenTab, register: Register) -> None:
    """A tab whose socket breaks says so, joins again with a fresh token, and drives on."""
    game = register("page-rejoin", time_limit_s=300.0)
    first, second = Player(await open_tab()), Player(await open_tab())
    sockets: list[WebSocketRoute] = []

    seen = asyncio.Event()  # that the first is lost; the second waits for it

    async def through(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if len(sockets) > 1:
            await seen.wait()
        socket.connect_to_server()

    await first.page.route_web_socket("**/ws", through)
    for player in (first, second):
        await player.press_play(game)
    await asyncio.gather(first.joined(), second.joined())
    await sockets[0].close(code=1011)
    await first.page.get_by_text("Connection lost").wait_for()
    seen.set()
    await first.page.get_by_text("Connection lost").wait_for(state="detached")
    assert len(sockets) == 2
    await first.joined()


async def test_a_killed_server_leads_to_a_new_match(
    open_tab: OpenTab, register: Register, rest: Rest, complaints: list[str]
) -> None:
    """When the server dies both tabs are back in the queue, and in a new match without a key pressed."""
    game = register("page-killed", time_limit_s=300.0)
    players = [Player(await open_tab()) for _ in range(2)]
    for player in players:
        await player.press_play(game)
    await asyncio.gather(*(player.joined() for player in players))
    before = rest.call("GET", f"/v1/games/{game}/matches")["matches"][0]

    async def server() -> int:
        launchers = rest.call("GET", "/v1/overview")["servers"]
        mine = [server for launcher in launchers for server in launcher["servers"] if server["match"] == before["id"]]
        return mine[0]["pid"] if mine else 0

    os.kill(await eventually(server), signal.SIGKILL)

    async def played_anew() -> bool:
        matches = rest.call("GET", f"/v1/games/{game}/matches")["matches"]
        return [match["state"] for match in matches] == ["RUNNING", "FAILED"]

    assert await eventually(played_anew, within_s=90)
    for player in players:
        await player.page.get_by_text("Connection lost").wait_for(state="detached")
        await player.joined()
    # Browsers report each connection that a dying server resets or a dead one refuses; how many is chance.
    # The dead server's port, and the edge, by which the page then tries.
    complaints[:] = [one for one in complaints if "ERR_CONNECTION" not in one and "WebSocket" not in one]


async def test_a_duplicated_tab_is_another_player(open_tab: OpenTab, register: Register) -> None:
    """A tab opened with a copy of this one's storage becomes a guest of its own, so the two can be matched."""
    game = register("page-copy")
    first = Player(await open_tab())
    await first.press_play(game)
    await first.page.locator(".steps .now").wait_for()
    async with first.page.expect_popup() as opening:
        await first.page.evaluate("() => { window.open(location.href); }")
    second = Player(await opening.value)
    await second.press_play(game)
    await asyncio.gather(first.joined(), second.joined())


async def test_a_game_with_rules_of_its_own_is_played(open_tab: OpenTab, register: Register, rest: Rest) -> None:
    """A program that embeds the arena is offered on the page, and played; a tab reloaded in it is back in the match."""
    server = json.loads((ROOT / "examples" / "arena_mod" / "game.json").read_text())["server"]
    server["command"] = [sys.executable, str(ROOT / "examples" / "arena_mod" / "hill.py")]
    server["env"] = {"HILL_RADIUS_M": "1000", "HILL_GOAL": "12", "PYTHONPATH": str(ROOT)}
    game = register("page-hill", {"server": server, "players_per_match": 2, "teams": []})
    first, second = Player(await open_tab()), Player(await open_tab())
    for player in (first, second):
        await player.press_play(game)
    for player in (first, second):  # two Pythons start, one after the other
        await player.canvas.wait_for()
    await asyncio.gather(first.joined(), second.joined())
    await first.page.reload()
    await first.joined()
    await second.page.get_by_role("button", name="Leave").click()
    await first.page.get_by_text("You won").wait_for()  # alone on the hill

    async def on_the_board() -> bool:
        board = rest.call("GET", f"/v1/games/{game}/boards/score")["entries"]
        return bool(board) and board[0]["score"] == 12  # the other may have some, of the time that the reload took

    await eventually(on_the_board)
