"""Two tabs are asked whether they want their match."""

from __future__ import annotations

import asyncio

import pytest

from tests.browser.conftest import TEAMS, OpenTab, Register
from tests.browser.player import Player

pytestmark = pytest.mark.slow


async def test_who_is_asked_accepts_or_declines(open_tab: OpenTab, register: Register) -> None:
    """Both see the question and the time left; one accepts, the other declines and is out; asked anew both play."""
    game = register("page-asked", {"teams": TEAMS, "acceptance_timeout_s": 600})
    first, second = Player(await open_tab()), Player(await open_tab())
    for player in (first, second):
        await player.press_play(game)
        await player.page.locator(".steps .now").wait_for()
    for player in (first, second):
        await player.page.get_by_text("0 of 2 players accepted").wait_for()
    assert (await first.page.get_by_role("timer").inner_text()).endswith((" s", "min"))
    await first.page.get_by_role("button", name="Accept", exact=True).click()
    await second.page.get_by_text("1 of 2 players accepted").wait_for()
    assert await first.page.get_by_role("button", name="Accepted").is_disabled()
    await second.page.get_by_role("button", name="Decline").click()
    await second.page.get_by_role("button", name="Play", exact=True).wait_for()
    await first.page.get_by_text("Another player turned the match down").wait_for()
    await second.press_play(game)
    for player in (first, second):
        await player.page.get_by_role("button", name="Accept", exact=True).click()
    await asyncio.gather(first.joined(), second.joined())
