"""The page around the game: what it shows, and what it says when something is refused or away."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from playwright.async_api import Page

from core import keys
from core.boards import BoardStore
from core.clock import now_ms
from core.redis.client import open_database
from tests.browser.conftest import ARENA, TEAMS, OpenTab, Register, Rest
from tests.browser.player import Player
from tests.stack import Stack, running_stack

pytestmark = pytest.mark.slow


async def test_a_new_installation_says_what_to_do_next(open_tab: OpenTab, tmp_path: Path) -> None:
    """Queues, boards, matches and servers are there, and what is empty says how that changes."""
    with running_stack(tmp_path, forgets=True) as stack:
        await _look_at_empty_page(await open_tab(stack.url))


async def _look_at_empty_page(page: Page) -> None:
    for title in ("Queues", "Leaderboard", "Matches", "Servers"):
        await page.get_by_role("heading", name=title).wait_for()
    await page.get_by_role("row", name="Tanks, a duel").first.wait_for()
    await page.get_by_text("No one is waiting: press Play in two tabs.").wait_for()
    await page.get_by_text("No one is on this board yet").wait_for()
    await page.get_by_text("No match yet").wait_for()
    await page.get_by_text("No server is running").wait_for()
    assert await page.locator(".chart canvas").count() == 6
    await page.close()


async def test_the_keyboard_alone_can_queue_and_cancel(open_tab: OpenTab, register: Register) -> None:
    """Tab and Enter reach Play and Cancel; the queue shows the ticket and then none."""
    game = register("page-cancel")
    page = await open_tab()
    await page.locator(".play select").select_option(game)
    await page.get_by_role("button", name="Play", exact=True).focus()
    await page.keyboard.press("Enter")
    await page.locator(".steps .now").wait_for()
    waiting = page.get_by_role("row", name=game).locator("td").nth(1)  # after who is online
    await waiting.filter(has_text="1").wait_for()
    await page.get_by_role("button", name="Cancel").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Play", exact=True).wait_for()
    await waiting.filter(has_text="0").wait_for()


async def test_a_waiting_player_sees_why(open_tab: OpenTab, register: Register) -> None:
    """After a few seconds in the queue the page says what is missing, and says it no longer once there is a match."""
    game = register("page-why")
    first, second = Player(await open_tab()), Player(await open_tab())
    await first.press_play(game)
    await first.page.get_by_text("Too few players wait that would fill the teams: red of 1 player").wait_for()
    await second.press_play(game)
    await asyncio.gather(first.joined(), second.joined())
    assert await first.page.get_by_text("Not yet:").count() == 0


async def test_a_refusal_is_told_as_a_sentence(open_tab: OpenTab, register: Register, complaints: list[str]) -> None:
    """Where the queue is full, the page says so and when to try again, and Play is there still."""
    game = register("page-full", {"limits": {"queued_tickets": 1}})
    first, second = Player(await open_tab()), Player(await open_tab())
    await first.press_play(game)
    await first.page.locator(".steps .now").wait_for()
    await second.press_play(game)
    await second.page.get_by_text("it takes no more").wait_for()
    assert "Try again in 5 s." in await second.page.locator(".notice").inner_text()
    assert await second.page.get_by_role("button", name="Play", exact=True).is_enabled()
    complaints[:] = [told for told in complaints if "429" not in told]  # the browser itself logs the refusal


async def test_it_comes_back_when_the_server_does(
    open_tab: OpenTab, register: Register, stack: Stack, complaints: list[str]
) -> None:
    """When webapi is killed the page says that it reconnects, is live again, and a ticket waits on and is matched."""
    game = register("page-restart")
    first, second = Player(await open_tab()), Player(await open_tab())
    await first.press_play(game)
    await first.page.locator(".steps .now").wait_for()
    os.kill(stack.process.pid, signal.SIGSTOP)  # nobody starts it again before both pages were looked at
    try:
        os.kill(stack.pid("webapi"), signal.SIGKILL)
        for player in (first, second):
            await player.page.get_by_text("Reconnecting…").wait_for()
    finally:
        os.kill(stack.process.pid, signal.SIGCONT)
    for player in (first, second):
        await player.page.locator(".pill.live").wait_for()
    await second.press_play(game)
    await asyncio.gather(first.joined(), second.joined())
    # The browser itself logs what it could not load meanwhile.
    complaints[:] = [told for told in complaints if "ERR_CONNECTION" not in told and "ERR_INCOMPLETE" not in told]


async def test_a_narrow_screen_needs_no_sideways_scrolling(open_tab: OpenTab) -> None:
    """On a phone's width everything stands in one column."""
    page = await open_tab()
    await page.set_viewport_size({"width": 375, "height": 740})
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(overflow) == 0


async def test_boards_by_rating_mode_and_season(open_tab: OpenTab, register: Register, stack: Stack) -> None:
    """Ratings can be looked at by mode, and a season that is over beside the one that runs; activity has no seasons."""
    rules = {
        "ruleLanguageVersion": "1.0",
        "playerAttributes": [{"name": "skill", "type": "number"}, {"name": "mode", "type": "string"}],
        "teams": [{"name": "all", "minPlayers": 2, "maxPlayers": 2}],
    }
    shape = {"teams": [], "rules": rules, "rating": {"modes": ["duel", "squad"]}}
    game = register("page-boards", shape)
    await fill_boards(stack, game)
    page = await open_tab()
    board = page.locator("section", has=page.get_by_role("heading", name="Leaderboard"))
    await board.get_by_label("Game").select_option(game)
    await board.get_by_text("No one is on this board yet").wait_for()
    await board.get_by_label("Season").select_option("1")
    await board.get_by_role("cell", name="777").wait_for()
    await board.get_by_role("button", name="Rating").click()
    await board.get_by_role("cell", name="1,234").wait_for()
    await board.get_by_label("Mode").select_option("squad")
    await board.get_by_text("No one was on this board.").wait_for()
    await board.get_by_role("button", name="Activity").click()
    await board.get_by_text("No one is on this board yet").wait_for()
    assert await board.get_by_label("Season").count() == 0


async def fill_boards(stack: Stack, game: str) -> None:
    """A score and a rating, and the season over."""
    async with open_database(stack.redis_url) as db:
        base = keys.boards(game)
        await db.call("boards_add", base, "", 0, 0, "p-1", 0, 0, 777)
        await db.call("ratings_write", base, "m-1", "duel", 1, 0, "p-1", "", "1500.0 88.6 9 1", 1234)
        await BoardStore(db, game).end_season(1, carry=1, now_ms=now_ms())


async def test_versions_and_a_canary_are_shown(open_tab: OpenTab, register: Register, rest: Rest) -> None:
    """A game that changed, and the candidate that is tried on a share of its matches."""
    game = register("page-versions")
    spec = {"teams": TEAMS, "server": {"arena": ARENA | {"time_limit_s": 50}}}
    rest.call("PUT", f"/v1/games/{game}", spec)
    spec["server"] = {"arena": ARENA | {"time_limit_s": 60}}
    rest.call("PUT", f"/v1/games/{game}/canary", {"percent": 5, "spec": spec})
    page = await open_tab()
    rows = page.get_by_role("region", name="Versions").get_by_role("row", name=game)
    await rows.filter(has_text="95 %").wait_for()
    assert await rows.filter(has_text="canary").locator("td").all_inner_texts() == ["3 canary", "5 %", "0", "0", ""]
