"""Take the pictures of the README from the real page: `python -m tests.browser.screenshots`.

A stack of its own, bots that play through it, and two tabs that fight; the pictures go to docs/images.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from core.cli.games import DEMO_GAME
from core.cli.rest import Rest
from tests.browser.conftest import CHROMIUM, SWITCHES, TEAMS
from tests.browser.player import Player
from tests.stack import running_stack

IMAGES = Path(__file__).parents[2] / "docs" / "images"
MOST_BYTES = 300_000
FRAMES = 30  # of the arena, to choose from
ADMIN = ("Operator", "watches-over-it-all")
BOTS = (20, 40, 30, 40)  # one round after the other, so that the charts have a shape
ARENA = {
    "width_m": 100.0, "height_m": 66.0, "walls": [[26, 12, 31, 28], [72, 44, 84, 49], [44, 12, 58, 16]],
    "shot_damage": 15.0, "respawn_s": 1.0, "score_limit": 4, "time_limit_s": 60.0,
}  # fmt: skip


async def main() -> None:
    """All pictures, from one run of the stack."""
    program = next(filter(None, map(shutil.which, CHROMIUM)))
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(Path(folder), MUSTER_ADMIN_NAME=ADMIN[0], MUSTER_ADMIN_PASSWORD=ADMIN[1]) as stack,
    ):
        url = stack.url
        register(url)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=list(SWITCHES))
            overview = await open_tab(browser, url, height=1200)
            for bots in BOTS[:-1]:
                await (await play_bots(stack.data, bots)).wait()
            demo = await play_bots(stack.data, BOTS[-1])
            await fight(browser, url, overview)
            await demo.wait()
            await tell_story(browser, url)
            await browser.close()


def register(url: str) -> None:
    """A duel on a map small enough to see both tanks."""
    rest = Rest(url)
    account = {"name": "Photographer", "password": "say-cheese-please", "role": "developer"}
    rest.token = rest.call("POST", "/v1/accounts", account)["access_token"]
    game = {"id": "duel", "name": "Tanks on a small map", "teams": TEAMS, "server": {"arena": ARENA}}
    rest.call("POST", "/v1/games", game)


async def open_tab(browser: Browser, url: str, height: int = 800, scheme: Literal["light", "dark"] = "light") -> Page:
    """A tab in a window of its own, sharp."""
    size: ViewportSize = {"width": 1280, "height": height}
    context = await browser.new_context(viewport=size, device_scale_factor=1.5, color_scheme=scheme)
    page = await context.new_page()
    await page.goto(url)
    await page.locator(".pill.live").wait_for()
    return page


async def play_bots(data: Path, players: int) -> asyncio.subprocess.Process:
    """Start bots against the running stack."""
    command = (sys.executable, "-m", "core.cli", "demo", "--players", str(players))
    env = os.environ | {"MUSTER_DATA_DIR": str(data)}
    quiet = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(*command, env=env, stdout=quiet, stderr=quiet)


async def fight(browser: Browser, url: str, overview: Page) -> None:
    """Two tabs fight: the overview beside it, then the arena when it is lively."""
    players = [Player(await open_tab(browser, url, scheme="dark")) for _ in range(2)]
    for player in players:
        await player.press_play("duel")
    await asyncio.gather(*(player.joined() for player in players))
    await asyncio.gather(*(player.drive() for player in players))
    fights = [asyncio.create_task(player.fight(for_s=30)) for player in players]
    await asyncio.sleep(4)
    await overview.locator(".card select[aria-label=Game]").select_option(DEMO_GAME)
    await overview.locator(".card tbody tr").nth(12).wait_for()
    save("overview", await overview.screenshot())
    await overview.close()
    pictures = [await players[0].page.screenshot() for _ in range(FRAMES)]
    # The more happens in a frame, the worse it compresses.
    save("arena", max(pictures, key=len))
    for player in players:
        await player.page.close()
    await asyncio.gather(*fights, return_exceptions=True)


async def tell_story(browser: Browser, url: str) -> None:
    """What an operator sees of the match of the two tabs."""
    page = await open_tab(browser, url, height=860)
    await page.goto(f"{url}#/operate")
    await page.get_by_label("Name").fill(ADMIN[0])
    await page.get_by_label("Password").fill(ADMIN[1])
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("button", name="Sign out").wait_for()
    match = Rest(url).call("GET", "/v1/games/duel/matches")["matches"][0]["id"]
    await page.get_by_role("searchbox").fill(match)
    await page.get_by_role("button", name="Show its story").click()
    await page.locator(".event").nth(8).wait_for()
    save("story", await page.screenshot())


def save(name: str, picture: bytes) -> None:
    """Keep a picture; one that is too large for a README is an error."""
    print(f"{name}.png: {len(picture) // 1000} kB")
    assert len(picture) <= MOST_BYTES, f"{name} has {len(picture)} bytes"
    (IMAGES / f"{name}.png").write_bytes(picture)


if __name__ == "__main__":
    asyncio.run(main())
