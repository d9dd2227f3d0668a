"""Whoever is killed around an allocation: a server has one match, a match one server, and all players play."""

from __future__ import annotations

import signal
from contextlib import suppress

import psutil
import pytest

from core import keys
from core.model import Limits
from core.redis.client import Database
from tests.matchmaker.pools import GAMEPOD, ByHand, pool, so_many
from tests.matchmaker.support import SOON, Matchmakers, match, over, queue, register, status, ticket
from tests.support import eventually

pytestmark = pytest.mark.slow


async def test_a_start_that_was_cut_off_is_made_by_the_next(db: Database, stack: Matchmakers) -> None:
    """Killed between writing a server down and starting it: whoever takes the game over starts it."""
    await register(db, "duel", pool(1))
    name = await (await ByHand.take(db, "duel")).create()
    stack.start(**GAMEPOD)
    assert (await so_many(db, "duel", "Ready", 1)).keys() == {name}


async def test_allocated_to_a_match_before_it_was_started(db: Database, stack: Matchmakers) -> None:
    """Killed after a match took a server that had not begun to start: the next one starts it, for that match."""
    await register(db, "duel", pool(1))
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    by_hand = await ByHand.take(db, "duel")
    name = await by_hand.create()
    made, took = await by_hand.claim()
    assert took == name
    stack.start(**GAMEPOD)
    assert (await status(db, "duel", one, "COMPLETED"))["match"] == made.id
    assert (await match(db, "duel", made.id))["standby"] == name


async def test_killed_right_after_the_claim_the_players_are_told_all_the_same(db: Database, stack: Matchmakers) -> None:
    """A ready server that a match took needs no matchmaker any more: it tells its players itself."""
    await register(db, "duel", pool(1))
    first = stack.start(**GAMEPOD)
    [name] = await so_many(db, "duel", "Ready", 1)
    first.kill()
    first.wait()
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    by_hand = await ByHand.take_when_free(db, "duel")
    made, took = await by_hand.claim()
    assert took == name
    assert (await status(db, "duel", one, "COMPLETED"))["match"] == made.id


async def test_the_matchmaker_is_killed_again_and_again(db: Database, stack: Matchmakers) -> None:
    """Killed at any moment while it fills a pool and matches take from it: no server has two matches, none is left."""
    await register(db, "duel", pool(3))
    tickets: list[str] = []

    async def claimed() -> str:
        return (await ticket(db, "duel", tickets[-1])).get("match", "")

    for _ in range(4):
        process = stack.start(**GAMEPOD, MUSTER_LEASE_S="0.6")
        tickets += [await queue(db, "duel") for _ in range(2)]
        await eventually(claimed) if len(tickets) == 2 else None
        process.kill()
        process.wait()
    stack.start(**GAMEPOD, MUSTER_LEASE_S="0.6")
    matches = {(await status(db, "duel", one, "COMPLETED"))["match"] for one in tickets}
    assert len(matches) == 4
    servers = [(await match(db, "duel", name))["server"] for name in matches]
    assert len(set(servers)) == 4
    await register(db, "duel", pool(3, limits=Limits(tries=3)), version=2)
    await so_many(db, "duel", "Ready", 3)

    async def none_else() -> bool:
        names = set()
        for process in stack.servers():
            with suppress(psutil.Error, KeyError):  # those that end may be gone by now
                names.add(process.environ()["MUSTER_SERVER"])
        return len(names) == 3 + 4  # the pool's, and one of each match

    await eventually(none_else, every_s=0.2)


async def test_a_server_killed_just_before_a_match_takes_it(db: Database, stack: Matchmakers) -> None:
    """Dead, and not yet known to be: the match that took it fails as died_early, and its players get another."""
    await register(db, "duel", pool(1))
    first = stack.start(**GAMEPOD)
    [name] = await so_many(db, "duel", "Ready", 1)
    first.kill()
    first.wait()
    (await stack.server_of(name)).kill()
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    by_hand = await ByHand.take_when_free(db, "duel")
    made, took = await by_hand.claim()
    if took:  # it beat a moment ago
        stack.start(**GAMEPOD, **SOON)
        assert (await over(db, "duel", made.id))["reason"] == "died_early"
    else:
        stack.start(**GAMEPOD)
    assert (await status(db, "duel", one, "COMPLETED"))["match"]


@pytest.mark.parametrize("killed", ["before", "after"])
async def test_a_server_killed_around_its_allocation(db: Database, stack: Matchmakers, killed: str) -> None:
    """With a matchmaker that looks: its players are put back with their wait, and play on another server."""
    await register(db, "duel", pool(1))
    stack.start(**GAMEPOD)
    [name] = await so_many(db, "duel", "Ready", 1)
    server = await stack.server_of(name)
    if killed == "before":
        server.kill()
        one, _ = await queue(db, "duel"), await queue(db, "duel")
    else:
        server.suspend()
        one, _ = await queue(db, "duel"), await queue(db, "duel")
        await status(db, "duel", one, "PLACING")
        server.kill()

    async def elsewhere() -> dict[str, str] | None:
        found = await ticket(db, "duel", one)
        if found["state"] != "COMPLETED":
            return None
        return found if (await match(db, "duel", found["match"])).get("standby") != name else None

    assert await eventually(elsewhere)


async def test_a_hung_server_whose_place_is_gone_is_ended(db: Database, stack: Matchmakers) -> None:
    """What Redis knows nothing of is ended by who sees it, though it hears nothing any more."""
    await register(db, "duel", pool(1))
    stack.start(**GAMEPOD, **SOON)
    [name] = await so_many(db, "duel", "Ready", 1)
    server: psutil.Process = await stack.server_of(name)
    server.send_signal(signal.SIGSTOP)
    await db.do("ZREM", f"{keys.game('duel')}:standbys", name)
    await db.do("DEL", keys.standby("duel", name))
    await stack.gone(name)
