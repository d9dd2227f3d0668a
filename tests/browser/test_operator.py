"""The operator's view: who may see what, the story of a match, what was counted and flagged, and ending a match."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page

from core import keys
from core.cli.rest import Rest
from core.clock import now_ms
from core.interactions import Attack, Move, pack
from core.redis.client import open_database
from tests.browser.conftest import ARENA, TEAMS, OpenTab
from tests.stack import ROOT, Stack, running_stack
from tests.support import eventually

pytestmark = pytest.mark.slow

ADMIN = ("Root", "root-of-all-operators")
DEVELOPER = ("Dev Eloper", "develops-a-game")
HOSTILE = "<img src=x onerror=alert(1)>"
KEPT = 10_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with an admin, a developer's game, and somebody who counts."""
    folder = tmp_path_factory.mktemp("operated")
    admin = {"MUSTER_ADMIN_NAME": ADMIN[0], "MUSTER_ADMIN_PASSWORD": ADMIN[1]}
    with running_stack(folder, forgets=True, **admin) as stack:
        rest = Rest(stack.url)
        account = {"name": DEVELOPER[0], "password": DEVELOPER[1], "role": "developer"}
        rest.token = rest.call("POST", "/v1/accounts", account)["access_token"]
        game = {"id": "duel", "name": "Duel", "teams": TEAMS, "server": {"arena": ARENA}}
        rest.call("POST", "/v1/games", game | {"timers": {"join_s": 300}})
        env = stack.env | {"REDIS_URL": stack.redis_url, "MUSTER_ANALYTICS_METRICS_PORT": "0"}
        quiet = subprocess.DEVNULL
        counting = subprocess.Popen([sys.executable, "-m", "core.analytics"], cwd=ROOT, env=env, stderr=quiet)
        yield stack
        counting.terminate()
        assert counting.wait(60) == 0


@asynccontextmanager
async def a_match(stack: Stack, *names: str) -> AsyncIterator[tuple[str, list[str]]]:
    """A running match of guests of these names, and their ids; until the end of the block, or longer."""
    async with stack.visit() as here:
        players, tickets = [], []
        for name in names:
            rest = Rest(stack.url)
            session = await asyncio.to_thread(rest.call, "POST", "/v1/guests", {"name": name})
            rest.token = session["access_token"]
            players.append(session["player"])
            made = await asyncio.to_thread(rest.call, "POST", "/v1/tickets", {"game": "duel"})
            tickets.append(made["id"])

        async def running() -> Any:
            match = await here.db.do("HGET", keys.ticket("duel", tickets[0]), "match")
            return match if match and await here.db.do("HGET", keys.match("duel", match), "state") == "RUNNING" else ""

        yield await eventually(running, within_s=120), players


async def sign_in(page: Page, name: str, password: str) -> None:
    await page.goto(page.url.partition("#")[0] + "#/operate")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("button", name="Sign out").wait_for()


async def look_for(page: Page, what: str) -> None:
    await page.get_by_role("searchbox").fill(what)
    await page.get_by_role("button", name="Show its story").click()


async def test_an_admin_reads_a_match_and_ends_it(open_tab: OpenTab, site: Stack) -> None:
    """Found by its id, told from ticket to end; a hostile name is text; ending it asks once more."""
    page = await open_tab(site.url)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    async with a_match(site, HOSTILE, "Bob") as (match, players):
        await sign_in(page, *ADMIN)
        await look_for(page, match)
        for event in ("ticket created", "new match created", "session created", "ticket placed"):
            await page.locator(".event .what", has_text=event).first.wait_for()
        await page.get_by_role("img", name="events within").wait_for()
        assert await page.locator("img:not(.masthead img)").count() == 0
        await page.get_by_role("button", name="End this match").click()
        await page.get_by_role("button", name="Leave it").click()
        await page.get_by_role("button", name="End this match").click()
        await page.get_by_role("button", name="End it for all players").click()
        await page.locator(".state.ended").wait_for()
        await page.get_by_text("ended by operator").first.wait_for()
        await page.get_by_role("button", name="ticket", exact=True).click()
        await page.locator(".event.of-ticket").first.wait_for(state="detached")
    await look_for(page, players[0])
    await page.get_by_role("heading", name=HOSTILE).wait_for()
    await page.locator(".event", has_text="guest made").wait_for()  # which only admins are told
    await page.get_by_role("link", name="Counts and flags").click()
    await page.get_by_role("button", name="Drain this installation").click()
    await page.get_by_role("button", name="Make no new match").click()
    await page.get_by_text("No new match is made").wait_for()
    await page.get_by_role("button", name="Go on as usual").click()
    await page.get_by_role("button", name="Make matches again").click()
    await page.get_by_role("button", name="Drain this installation").wait_for()
    assert dialogs == []


async def told(site: Stack, *words: str) -> str:
    """What `muster` prints to the developer."""
    rest = Rest(site.url)
    session = await asyncio.to_thread(rest.call, "POST", "/v1/login", {"name": DEVELOPER[0], "password": DEVELOPER[1]})
    env = site.env | {"MUSTER_TOKEN": session["access_token"], "MUSTER_URL": site.url}
    command = [sys.executable, "-m", "core.cli", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_developer_reads_his_own_games(open_tab: OpenTab, site: Stack, complaints: list[str]) -> None:
    """He sees counts and flags of his game with the way to the match, and nothing that he could end; not of others."""
    page = await open_tab(site.url)
    async with a_match(site, "Ann", "Bob") as (match, (ann, bob)), open_database(site.redis_url) as db:
        base, at = keys.shard("duel", match), now_ms()
        rows = [Move(f"x-{n}", at + n, ann, 48.0 + n, 2.0) for n in range(2)] + [Attack("x-9", at, ann, bob, 4000.0)]
        await db.call("log_append", base, f"{match}", 10_000, len(rows), pack(rows), KEPT)
        await sign_in(page, *DEVELOPER)
        flags = page.locator("section", has=page.get_by_role("heading", name="What cannot be right"))
        await flags.get_by_text("4000, 50 allowed").first.wait_for()
        counts = page.locator("section", has=page.get_by_role("heading", name="The last hour"))
        await counts.get_by_role("row", name="Matches started").wait_for()
        assert "The installation" not in await counts.inner_text()
        await flags.get_by_role("link", name=match[-8:]).first.click()
        await page.locator(".event.of-flag").first.wait_for()
        assert await page.get_by_role("button", name="End this match").count() == 0
        assert await page.get_by_role("button", name="Drain this installation").count() == 0
        await page.set_viewport_size({"width": 375, "height": 740})
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(overflow) == 0
        shown = await told(site, "story", "duel", match)
        assert "session_created" in shown
        assert "impossible_damage" in shown
        assert "impossible_damage" in await told(site, "flags", "duel")
    await page.goto(f"{site.url}#/match/tanks/{match}")
    await page.get_by_text("there is no such match").wait_for()
    complaints[:] = [told for told in complaints if "404" not in told]  # the browser itself logs the refusal
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("heading", name="Sign in to operate").wait_for()


async def test_who_is_no_operator_is_told_so(open_tab: OpenTab, site: Stack, complaints: list[str]) -> None:
    """A wrong password, and a player's account."""
    page = await open_tab(site.url)
    rest = Rest(site.url)
    await asyncio.to_thread(rest.call, "POST", "/v1/accounts", {"name": "Just Plays", "password": "plays-and-plays"})
    await page.goto(f"{site.url}#/operate")
    for name, password, said in (("Just Plays", "wrong", "password"), ("Just Plays", "plays-and-plays", "a player's")):
        await page.get_by_label("Name").fill(name)
        await page.get_by_label("Password").fill(password)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("alert").filter(has_text=said).wait_for()
    complaints[:] = [told for told in complaints if "401" not in told]
