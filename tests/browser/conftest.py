"""A running stack, a real Chromium, and tabs that report what went wrong in them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, TimeoutError, async_playwright

from core.cli.rest import Rest
from tests.stack import Stack, running_stack

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

# A container that starts beside the tests gives this host a new network, and Chromium drops what it was loading.
NETWORK_CHANGED = "ERR_NETWORK_CHANGED"
LOADS = 3
PATIENCE_MS = 90_000  # for whatever a test waits for: a browser, a service or a server may get no CPU time for long

# Small enough that both tanks are in one picture, quick enough that a match ends while a test waits.
ARENA: dict[str, Any] = {
    "width_m": 100.0, "height_m": 66.0, "walls": [], "shot_damage": 50.0, "shot_range_m": 200.0, "respawn_s": 0.5,
    "score_limit": 2, "time_limit_s": 30.0,
}  # fmt: skip
TEAMS = [{"name": name, "min_players": 1, "max_players": 1} for name in ("red", "blue")]

Register = Callable[..., str]
OpenTab = Callable[..., Awaitable[Page]]  # of another stack with its URL


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests here; each brings its own game."""
    with running_stack(tmp_path_factory.mktemp("stack"), forgets=True) as running:
        yield running


@pytest.fixture(scope="session")
def rest(stack: Stack) -> Rest:
    """The API as a developer uses it."""
    client = Rest(stack.url)
    account = {"name": "Page Tester", "password": "page-tester-page", "role": "developer"}
    client.token = client.call("POST", "/v1/accounts", account)["access_token"]
    return client


@pytest.fixture(scope="session")
def register(rest: Rest) -> Register:
    """Register a duel under an id; what is given replaces its arena's settings or, as `spec`, the registration's."""

    def add(game: str, spec: dict[str, Any] | None = None, **arena: Any) -> str:
        document = {"id": game, "name": game, "teams": TEAMS, "server": {"arena": ARENA | arena}}
        rest.call("POST", "/v1/games", document | (spec or {}))
        return game

    return add


@pytest.fixture
async def context() -> AsyncIterator[BrowserContext]:
    """A fresh browser."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.skip("no chromium on PATH")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(SWITCHES), timeout=PATIENCE_MS)
        made = await browser.new_context(viewport={"width": 1280, "height": 800})
        made.set_default_timeout(PATIENCE_MS)
        yield made
        await browser.close()


@pytest.fixture
async def complaints() -> AsyncIterator[list[str]]:
    """What browsers complained of: errors, failed loads, breaches of the security policy. A test ends without any."""
    told: list[str] = []
    yield told
    assert [one for one in told if NETWORK_CHANGED not in one] == []


@pytest.fixture
async def open_tab(context: BrowserContext, stack: Stack, complaints: list[str]) -> OpenTab:
    """Open the page in a new tab and wait until it is live."""

    def listen(page: Page) -> None:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: _keep_error(message, complaints))

    context.on("page", listen)

    async def open_one(url: str = stack.url) -> Page:
        page = await context.new_page()
        for _ in range(LOADS):
            known = len(complaints)
            await page.goto(url)
            with suppress(TimeoutError):
                await page.locator(".pill.live").wait_for(timeout=10_000)
                break
            if not any(NETWORK_CHANGED in one for one in complaints[known:]):  # it is only late
                await page.locator(".pill.live").wait_for()
                break
        return page

    return open_one


def _keep_error(message: ConsoleMessage, complaints: list[str]) -> None:
    if message.type == "error":
        complaints.append(f"{message.text} ({message.location.get('url', '')})")
