"""A game's developer asks for players for a running match."""

from __future__ import annotations

import pytest

from core import keys
from core.clock import new_id
from core.redis.client import Database
from tests.webapi.support import Api, claim, end, make_ready


@pytest.fixture
async def playing(api: Api, db: Database) -> tuple[str, str, str]:
    """A running match of `tanks`: where it asks for players, its developer's token, and its id."""
    developer = await api.game()
    match = await claim(db, "tanks", await api.ticket(await api.guest()))
    await make_ready(db, "tanks", match)
    return f"/v1/games/tanks/matches/{match}/backfill", developer["access_token"], match


async def test_a_developer_asks_and_asks_no_more(api: Api, db: Database, playing: tuple[str, str, str]) -> None:
    """The newest request is the one that counts, the match tells that it asks, and a withdrawal may be repeated."""
    path, token, match = playing
    first = await api.ask("POST", path, token=token)
    assert (first.status, first.body["match"], first.body["game"]) == (202, match, "tanks")
    newest = await api.ask("POST", path, token=token)
    stored = await db.do("HGET", keys.match("tanks", match), "backfill")
    assert stored == newest.body["request"] != first.body["request"]
    seen = await api.ask("GET", f"/v1/matches/tanks/{match}", token=token)
    assert seen.body["backfill_since"] == newest.body["created_at"]
    for _ in range(2):
        assert (await api.ask("DELETE", path, token=token)).status == 204
    assert "backfill_since" not in (await api.ask("GET", f"/v1/matches/tanks/{match}", token=token)).body


async def test_only_the_games_developer_and_admins_ask(api: Api, playing: tuple[str, str, str]) -> None:
    """A player, another developer and a stranger are refused."""
    path, _, _ = playing
    other = await api.account("another", "developer")
    assert (await api.ask("POST", path, token=other["access_token"])).problem == "not-yours"
    assert (await api.ask("DELETE", path, token=other["access_token"])).problem == "not-yours"
    assert (await api.ask("POST", path, token=(await api.guest())["access_token"])).status == 403
    assert (await api.ask("POST", path)).status == 401


async def test_only_a_running_match_asks(api: Api, db: Database, playing: tuple[str, str, str]) -> None:
    """One that is placing or over is a conflict, one that is not there is not found, and so is its game."""
    path, token, match = playing
    await end(db, "tanks", match)
    assert (await api.ask("POST", path, token=token)).problem == "not-running"
    assert (await api.ask("DELETE", path, token=token)).problem == "not-running"
    placing = await claim(db, "tanks", await api.ticket(await api.guest()))
    assert (await api.ask("POST", path.replace(match, placing), token=token)).problem == "not-running"
    missing = await api.ask("POST", path.replace(match, new_id("match")), token=token)
    assert (missing.status, missing.problem) == (404, "no-such-match")
    assert (await api.ask("POST", path.replace("tanks", "nothing"), token=token)).problem == "no-such-game"
