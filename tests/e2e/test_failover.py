"""The whole stack on a Redis behind Sentinel, whose primary dies: players notice nothing, nothing is started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.test_chaos import assert_sound, has_state, register, seats_of
from tests.redis.sentinels import CALM_MS, SETTLED_S, Watched, watched
from tests.seat import settle
from tests.stack import Ticket, Visit, running_stack
from tests.support import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Watched]:
    """A primary, its replica and three Sentinels."""
    with watched(tmp_path / "redis", down_ms=CALM_MS) as made:
        yield made


@pytest.fixture
async def here(pair: Watched, tmp_path: Path) -> AsyncIterator[Visit]:
    """A stack on them."""
    with running_stack(tmp_path / "stack", REDIS_URL=pair.url) as stack:
        async with stack.visit() as visit:
            yield visit


async def lose_the_primary(pair: Watched) -> None:
    """kill -9, and wait until the replica has taken over."""
    pair.wait_replicated()
    pair.alert()
    pair.primary.kill()

    async def over() -> bool:
        return pair.failed_over()

    await eventually(over, within_s=SETTLED_S)


async def streamed(here: Visit, ticket: Ticket, status: str, opened: asyncio.Event) -> str:
    """What a ticket's stream says until it says `status`, over one connection; it is `opened` with the first line."""
    said = ""
    headers = {"Authorization": f"Bearer {ticket.player.token}"}
    url = f"{here.url}{ticket.path}/events"
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as stream:
        async for line in stream.content:
            said += line.decode()
            opened.set()
            if f'"{status}"' in said:
                return said
    return said


async def test_a_fail_over_while_a_ticket_waits(here: Visit, pair: Watched) -> None:
    """The stream that was open tells of the match, which is played to its end with every ticket's wait kept."""
    game, processes = "failing", {name: here.stack.pid(name) for name in ("webapi", "matchmaker")}
    await register(here, game)
    first = await here.post(await here.guest("ann"), game)
    await has_state(here, [first], "SEARCHING")
    opened = asyncio.Event()
    streaming = asyncio.create_task(streamed(here, first, "COMPLETED", opened))
    await opened.wait()
    await lose_the_primary(pair)
    second = await here.post(await here.guest("bob"), game)
    tickets = [first, second]
    since = [(await here.facts(ticket))["since_ms"] for ticket in tickets]
    playing = [asyncio.create_task(seat.play()) for seat in seats_of(here, tickets)]
    async with asyncio.timeout(90):
        assert '"COMPLETED"' in await streaming
    ended = await settle(playing)
    await assert_sound(here, game, tickets, since, ended)
    assert {name: here.stack.pid(name) for name in processes} == processes


async def test_a_fail_over_while_a_match_is_played(here: Visit, pair: Watched) -> None:
    """Players play on, and the result is told to the new primary."""
    game = "failing"
    await register(here, game)
    tickets = [await here.post(await here.guest(name), game) for name in ("ann", "bob")]
    since = [(await here.facts(ticket))["since_ms"] for ticket in tickets]
    seats = seats_of(here, tickets)
    playing = [asyncio.create_task(seat.play()) for seat in seats]
    await asyncio.gather(*(seat.playing.wait() for seat in seats))
    await lose_the_primary(pair)
    await assert_sound(here, game, tickets, since, await settle(playing))
