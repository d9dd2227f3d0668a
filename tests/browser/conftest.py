"""A running stack, a real Chromium, and tabs that report what went wrong in them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, async_playwright

from core.cli.rest import Rest
from core.cli.settings import StackSettings
from core.cli.stack import Stack, own_ports

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

# Small enough that both tanks are in one picture, quick enough that a match ends while a test waits.
ARENA: dict[str, Any] = {
    "width_m": 100.0, "height_m": 66.0, "walls": [], "shot_damage": 50.0, "respawn_s": 0.5, "score_limit": 2,
    "time_limit_s": 30.0,
}  # fmt: skip
TEAMS = [{"name": name, "min_players": 1, "max_players": 1} for name in ("red", "blue")]

Register = Callable[..., str]
OpenTab = Callable[..., Awaitable[Page]]  # of another stack with its URL


@contextmanager
def running_stack(folder: Path) -> Iterator[str]:
    """Redis, webapi and matchmaker as `muster up` runs them, on free ports; gives the URL."""
    settings = own_ports(StackSettings(), str(folder))
    with Stack(settings, lambda _: None, threading.Event()):
        yield settings.url


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the page of one stack for all tests is."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def rest(url: str) -> Rest:
    """The API as a developer uses it."""
    client = Rest(url)
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
        browser = await playwright.chromium.launch(executable_path=program, args=list(SWITCHES))
        yield await browser.new_context(viewport={"width": 1280, "height": 800})
        await browser.close()


@pytest.fixture
async def complaints() -> AsyncIterator[list[str]]:
    """What browsers complained of: errors, failed loads, breaches of the security policy. A test ends without any."""
    told: list[str] = []
    yield told
    assert told == []


@pytest.fixture
async def open_tab(context: BrowserContext, url: str, complaints: list[str]) -> OpenTab:
    """Open the page in a new tab and wait until it is live."""

    def listen(page: Page) -> None:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: _keep_error(message, complaints))

    context.on("page", listen)

    async def open_one(address: str = url) -> Page:
        page = await context.new_page()
        await page.goto(address)
        await page.locator(".pill.live").wait_for()
        return page

    return open_one


def _keep_error(message: ConsoleMessage, complaints: list[str]) -> None:
    if message.type == "error":
        complaints.append(f"{message.text} ({message.location.get('url', '')})")
