"""The page and the client kit through Muster's own address, in a real browser, while Muster restarts."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, WebSocketRoute

from core.cli.rest import Rest
from tests.browser.conftest import OpenTab, Register
from tests.browser.player import Player
from tests.stack import Stack
from tests.support import eventually

pytestmark = pytest.mark.slow

# Nobody is in the match while the API starts again, which takes a busy machine half a minute.
PATIENT = {"timers": {"empty_s": 180, "reconnect_s": 180}}


def _sockets(page_urls: list[str]) -> list[str]:
    """Of the URLs of opened WebSockets, those of the edge."""
    return [url for url in page_urls if "/v1/matches/" in url]


async def test_a_match_is_played_through_one_address(
    open_tab: OpenTab, register: Register, stack: Stack, complaints: list[str]
) -> None:
    """Two tabs play through the page's own address, and go on in the same match when Muster's API restarts."""
    game = register("page-edge", PATIENT, score_limit=50, time_limit_s=600.0)
    players = [Player(await open_tab(f"{stack.url}?via=edge")) for _ in range(2)]
    urls: list[str] = []
    for player in players:
        player.page.on("websocket", lambda socket: urls.append(socket.url))
        await player.press_play(game)
    await asyncio.gather(*(player.joined() for player in players))
    assert len(urls) == len(_sockets(urls)) >= 2  # a page whose join takes long tries again
    before = len(urls)
    await players[0].drive()

    os.kill(stack.pid("webapi"), signal.SIGTERM)

    async def back() -> bool:
        return len(urls) >= before + 2

    assert await eventually(back, within_s=90)
    for player in players:
        await player.page.get_by_text("Connection lost").wait_for(state="detached")
        await player.joined()
    assert len(_sockets(urls)) == len(urls)
    await players[0].drive()
    for player in players:
        await player.page.get_by_role("button", name="Leave").click()
    # Browsers report each connection that a stopped server refuses; how many is chance.
    complaints[:] = [one for one in complaints if "ERR_CONNECTION" not in one and "WebSocket" not in one]


async def test_a_server_out_of_reach_is_reached_through_the_page_s_address(
    open_tab: OpenTab, register: Register, complaints: list[str]
) -> None:
    """Where no connection to the server itself comes about, the page goes through its own address, unasked."""
    game = register("page-blocked")
    players = [Player(await open_tab()) for _ in range(2)]
    urls: list[str] = []
    for player in players:
        player.page.on("websocket", lambda socket: urls.append(socket.url))
        await player.page.route_web_socket(re.compile(r"^ws://[^/]+/ws$"), _closes)
        await player.press_play(game)
    await asyncio.gather(*(player.joined() for player in players))
    assert len(_sockets(urls)) >= 2  # a page whose join takes long tries again
    complaints[:] = [one for one in complaints if "WebSocket" not in one]


async def _closes(socket: WebSocketRoute) -> None:
    await socket.close(code=1011)


def _snapshots(pages: list[Page]) -> Callable[[], Awaitable[bool]]:
    async def all_hear() -> bool:
        return all(["snapshot" in await page.evaluate("() => window.kit.heard") for page in pages])

    return all_hear


KIT = """async ([game, via]) => {
  const { Muster } = await import("/assets/muster.js");
  const muster = new Muster(location.origin);
  await muster.guest("Kit");
  window.kit = { statuses: [], lost: [], heard: [], opened: 0, end: null };
  const ticket = await muster.queue(game, { onStatus: ({ status }) => window.kit.statuses.push(status) });
  window.kit.ticket = ticket;
  window.kit.muster = muster;
  window.kit.socket = muster.connect(ticket, {
    via,
    onOpen: (socket, { join_token }) => {
      window.kit.opened += 1;
      socket.send(JSON.stringify({ type: "join", token: join_token }));
    },
    onMessage: ({ data }) => {
      const { type } = JSON.parse(data);
      if (!window.kit.heard.includes(type)) window.kit.heard.push(type);
    },
    onLost: (detail) => window.kit.lost.push(detail.code),
    onEnd: (ending) => { window.kit.end = ending; },
  });
  return [ticket.status, (await muster.board(game, "score", { top: 3 })).board, muster.account.name];
}"""


@pytest.mark.parametrize("via", ["edge", "direct"])
async def test_the_client_kit_plays_a_match(
    open_tab: OpenTab, register: Register, rest: Rest, stack: Stack, complaints: list[str], via: str
) -> None:
    """One file: a guest, a queue, a match; through the edge it is back after a restart with a fresh token (1012)."""
    game = register(f"kit-{via}", PATIENT, score_limit=50, time_limit_s=600.0)
    pages = [await open_tab() for _ in range(2)]
    found = await asyncio.gather(*(page.evaluate(KIT, [game, via]) for page in pages))
    assert found == [["COMPLETED", "score", "Kit"]] * 2

    async def playing() -> bool:
        heard = [await page.evaluate("() => window.kit.heard") for page in pages]
        return all({"welcome", "snapshot"} <= set(one) for one in heard)

    assert await eventually(playing)
    if via == "edge":
        os.kill(stack.pid("webapi"), signal.SIGTERM)

        async def back() -> bool:
            return all([await page.evaluate("() => window.kit.opened") >= 2 for page in pages])

        assert await eventually(back, within_s=90)
        for page in pages:
            assert await page.evaluate("() => window.kit.lost[0]") == 1012
            await page.evaluate("() => { window.kit.heard.length = 0; }")
        assert await eventually(_snapshots(pages))
        await pages[0].locator(".pill.live").wait_for()
    await pages[0].evaluate("() => window.kit.socket.send(JSON.stringify({ type: 'leave' }))")
    await asyncio.gather(*(page.evaluate("() => window.kit.socket.close()") for page in pages))
    assert (await pages[1].evaluate("() => window.kit.end"))["reason"] == "left"
    complaints[:] = [one for one in complaints if "ERR_CONNECTION" not in one and "WebSocket" not in one]
