"""What both clients promise beside calling functions: errors as one tree, a library that loads itself, cancellation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.errors import MusterError, Unavailable
from core.redis.client import Caller, Database, open_database
from core.redis.library import LIBRARY
from tests.redis.conftest import BASE, Game
from tests.redis.steps import NOW, register
from tests.support import free_port

# Functions that are tested by what calls them, on the same kinds of Redis or in whole services.
ELSEWHERE = {
    "commands/test_rows.py": ("balance_put", "pack_accept", "packs_done", "packs_look", "packs_return", "packs_take"),
    "gamepod/test_in_a_pod.py": ("match_keep",),
    "matchmaker/test_webhooks.py": ("hook_again", "hook_done", "hook_put"),
    "gamepod/test_plain_games.py": ("match_said",),
    "redis/test_schema.py": ("schema_join", "schema_move"),
    "webapi/test_keys.py": ("invitation_take",),
    "webapi/test_parties.py": ("invite_put",),
    "webapi/test_personal.py": (
        "account_erase",
        "boards_forget",
        "erasing_claim",
        "items_forget",
        "login_erase",
        "packs_forget",
    ),
    "webapi/test_sessions.py": ("guest_claim", "guest_write", "login_password"),
}


def test_every_function_is_tested() -> None:
    """Each function of the library is called by a test of this folder, or is said to be tested elsewhere."""
    here = Path(__file__).parent
    text = "".join(path.read_text() for path in here.glob("*.py") if path.name != Path(__file__).name)
    elsewhere = {name for names in ELSEWHERE.values() for name in names}
    assert {name for name in LIBRARY.functions if f'"{name}"' not in text} == elsewhere
    assert all((here.parent / file).exists() for file in ELSEWHERE)


async def test_the_library_loads_itself(client: Caller, data: Database) -> None:
    """A Redis that lost its functions gets them at the next call."""
    await data.do("FUNCTION FLUSH")
    assert await client.call("tickets_seen", BASE, NOW) == 0


async def test_a_pipeline_loads_the_library_too(data: Database, game: Game) -> None:
    """Calls in one round trip are answered in their order, with the library missing at first."""
    await register(game)
    await data.do("FUNCTION FLUSH")
    calls = [("lease_take", BASE, ["a", 1000, 0]), ("tickets_seen", BASE, [NOW])]
    lease, seen = await data.call_many(calls)
    assert (lease[2], seen) == ("a", 0)


async def test_a_wrong_command_is_an_error_of_ours(client: Caller) -> None:
    """What Redis refuses is a MusterError, and not one that says to try again."""
    with pytest.raises(MusterError) as caught:
        await client.call("lease_take", BASE, "a", "not a number", 0)
    assert not isinstance(caught.value, Unavailable)


async def test_an_unreachable_redis_is_unavailable() -> None:
    """Where nobody listens the error says so and may be retried."""
    async with open_database(f"redis://127.0.0.1:{free_port()}/0") as database:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await database.do("PING")


async def test_cancellation_is_never_lost(client: Caller, data: Database) -> None:
    """A task that is cancelled anywhere within a call ends; redis-py with a socket time-out would lose one in four."""
    await client.call("tickets_seen", BASE, NOW)

    async def work() -> str:
        await client.call("tickets_seen", BASE, NOW)
        await asyncio.sleep(0)
        return "went on"

    for ticks in range(60):
        task = asyncio.create_task(work())
        for _ in range(ticks % 12):
            await asyncio.sleep(0)
        cancelled = task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError) == cancelled
    assert await client.call("tickets_seen", BASE, NOW) == 0


async def test_a_reply_is_never_anothers(data: Database) -> None:
    """Where calls end half-way, those after them get their own answers, many at once and alone."""
    texts = [str(n) for n in range(8)]
    await data.do_many([("SET", f"reply:{text}", text) for text in texts])
    for ticks in range(40):
        leaving = asyncio.create_task(data.do("GET", "reply:left"))
        for _ in range(ticks % 10):
            await asyncio.sleep(0)
        leaving.cancel()
        assert await asyncio.gather(*(data.do("GET", f"reply:{text}") for text in texts)) == texts
        await asyncio.gather(leaving, return_exceptions=True)


async def test_connections_that_were_cut_are_made_again(data: Database) -> None:
    """Redis closes all connections that a process has at hand: nobody who asks next hears of it."""
    await data.do("SET", "reply:cut", "x")
    for _ in range(3):
        await asyncio.gather(*(data.do("GET", "reply:cut") for _ in range(6)))
        await data._everywhere("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await asyncio.gather(*(data.do("GET", "reply:cut") for _ in range(6))) == ["x"] * 6
