"""Servers that are there before their match, with real matchmakers and game servers: pools and guesses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core import keys
from core.clock import now_ms
from core.model import Limits, Server, Timers
from core.redis.client import Database
from tests.matchmaker.pools import GAMEPOD, TIMERS, duel, early, pool, so_many, spent, standbys
from tests.matchmaker.support import Matchmakers, match, queue, register, spec, status, ticket
from tests.support import eventually

pytestmark = pytest.mark.slow


async def test_a_pool_is_filled_given_away_and_filled_again(db: Database, stack: Matchmakers) -> None:
    """Matches take what stands ready, each its own; the pool is filled beside them."""
    await register(db, "duel", pool(2))
    stack.start(**GAMEPOD)
    ready = await so_many(db, "duel", "Ready", 2)
    matches = [await duel(db) for _ in range(2)]
    taken = {found["standby"] for _, found in matches}
    assert len(taken) == 2
    assert taken & set(ready)
    assert {fields["match"] for fields in (await standbys(db, "duel", "Allocated")).values()} == {m for m, _ in matches}
    again = await so_many(db, "duel", "Ready", 2)
    assert not taken & set(again)
    counted = await spent(db, "duel")
    assert (counted["used_warm"], counted.get("cold", 0)) == (2, 0)
    assert counted["idle_warm_ms"] > 0


async def test_a_server_starts_while_its_group_fills(db: Database, stack: Matchmakers) -> None:
    """One of two players waits: a server starts, and the match takes it when the other comes."""
    await register(db, "duel", early(hold_s=60, idle_s=60))
    stack.start(**GAMEPOD)
    one = await queue(db, "duel")
    [name] = await so_many(db, "duel", "Ready", 1)
    assert (await ticket(db, "duel", one))["state"] == "SEARCHING"
    await queue(db, "duel")
    found = await match(db, "duel", (await status(db, "duel", one, "COMPLETED"))["match"])
    assert found["standby"] == name
    assert (await spent(db, "duel"))["used_early"] == 1


async def test_a_wrong_guess_ends_and_is_counted(db: Database, stack: Matchmakers) -> None:
    """Nobody else comes, and the first leaves: the server goes after its time, the game is at zero, which is told."""
    await register(db, "duel", early(hold_s=1, probability=0.05))
    stack.start(**GAMEPOD)
    one = await queue(db, "duel")
    await so_many(db, "duel", "Ready", 1)
    await db.call("ticket_end", keys.game("duel"), one, "cancelled", now_ms(), "cancelled", "")
    await so_many(db, "duel", "Ready", 0)
    await stack.gone()
    ended = await standbys(db, "duel", "Shutdown")
    assert {fields["reason"] for fields in ended.values()} == {"unneeded"}
    counted = await spent(db, "duel")
    assert counted["unused_early"] == len(ended)
    assert counted["idle_early_ms"] >= 1000

    async def at_zero() -> bool:
        told = json.loads(await db.do("GET", f"{keys.game('duel')}:plan"))
        return bool((told["want"], told["ready"], told["starting"]) == (0, 0, 0))

    await eventually(at_zero)


async def test_a_host_full_of_waiting_servers_has_room_for_their_matches(db: Database, stack: Matchmakers) -> None:
    """Where a pool takes the last place of a host, a match is made all the same: it takes that place."""
    await register(db, "duel", pool(1))
    stack.start(**GAMEPOD, MUSTER_MAX_SERVERS="1")
    [name] = await so_many(db, "duel", "Ready", 1)
    _, found = await duel(db)
    assert found["standby"] == name


async def test_a_pool_gives_way_to_a_match_of_another_game(db: Database, stack: Matchmakers) -> None:
    """A host full of one game's idle servers: a match of another is made, in the place of one of them, and no more."""
    await register(db, "duel", pool(2))
    stack.start(**GAMEPOD, MUSTER_MAX_SERVERS="2")
    await so_many(db, "duel", "Ready", 2)
    await register(db, "other", pool(0))
    name, found = await duel(db, "other")
    assert (found["state"], "standby" in found) == ("RUNNING", False)
    gone = await so_many(db, "duel", "Shutdown", 1)
    assert {fields["reason"] for fields in gone.values()} == {"gave_way"}
    assert len(stack.servers(name)) == 1
    assert len(await standbys(db, "duel", "Ready")) == 1


async def test_a_pool_gives_way_to_a_match_of_its_developers_other_game(db: Database, stack: Matchmakers) -> None:
    """A developer who may have one server has it idle: a match of another game of his is made in its place."""
    await register(db, "duel", pool(1), owner="p-dev")
    for _ in range(2):  # whoever works which of the games
        stack.start(**GAMEPOD, MUSTER_DEVELOPER_SERVERS="1")
    [idle] = await so_many(db, "duel", "Ready", 1)

    async def counted() -> bool:
        return str(await db.do("HGET", keys.developer("p-dev"), "duel")).startswith("1 ")

    await eventually(counted)
    await register(db, "other", pool(0), owner="p-dev")
    _, found = await duel(db, "other")
    assert found["state"] == "RUNNING"
    gone = await standbys(db, "duel", "Shutdown")
    assert (gone.keys(), gone[idle]["reason"]) == ({idle}, "gave_way")


async def test_a_large_pool_starts_some_at_a_time(db: Database, stack: Matchmakers) -> None:
    """A pool of five with two starts at once: never three that start, and all five are ready in the end."""
    await register(db, "duel", pool(5))
    stack.start(**GAMEPOD, MUSTER_POOL_STARTS="2")

    async def filled() -> bool:
        assert len(await standbys(db, "duel", "Starting")) <= 2
        return len(await standbys(db, "duel", "Ready")) == 5

    await eventually(filled, within_s=60)


async def test_on_demand_nothing_stands_idle(db: Database, stack: Matchmakers) -> None:
    """Without a policy no server is there before a match is made."""
    await register(db, "duel", spec(server=Server(arena={}), timers=TIMERS))
    stack.start(**GAMEPOD)
    one = await queue(db, "duel")
    await status(db, "duel", one, "SEARCHING")
    assert not stack.servers()
    await queue(db, "duel")
    await status(db, "duel", one, "COMPLETED")
    assert await spent(db, "duel") == {"cold": 1}


async def test_players_who_are_asked_get_a_ready_server_once_they_accept(db: Database, stack: Matchmakers) -> None:
    """With acceptance a match takes its server when all have accepted, not before."""
    await register(db, "duel", pool(1, acceptance_timeout_s=60))
    stack.start(**GAMEPOD)
    [name] = await so_many(db, "duel", "Ready", 1)
    tickets = [await queue(db, "duel") for _ in range(2)]
    for one in tickets:
        found = await status(db, "duel", one, "REQUIRES_ACCEPTANCE")
    assert (await standbys(db, "duel", "Ready")).keys() == {name}
    for one in tickets:
        [player] = json.loads((await ticket(db, "duel", one))["doc"])
        await db.call("ticket_accept", keys.game("duel"), one, player["id"], now_ms(), "")
    await status(db, "duel", tickets[0], "COMPLETED")
    assert (await match(db, "duel", found["match"]))["standby"] == name


async def test_a_new_version_drains_servers_of_the_old_one(db: Database, stack: Matchmakers) -> None:
    """Servers belong to the version that they were started of: a change ends those that wait and starts others."""
    await register(db, "duel", pool(2))
    stack.start(**GAMEPOD)
    before = await so_many(db, "duel", "Ready", 2)
    await register(db, "duel", pool(2, limits=Limits(tries=3)), version=2)
    gone = await so_many(db, "duel", "Shutdown", 2)
    assert gone.keys() == before.keys()
    assert {fields["reason"] for fields in gone.values()} == {"old_version"}
    after = await so_many(db, "duel", "Ready", 2)
    assert {fields["version"] for fields in after.values()} == {"2"}


async def test_a_policy_that_ends_leaves_nothing(db: Database, stack: Matchmakers) -> None:
    """Without its pool a game is at zero again."""
    await register(db, "duel", pool(2))
    stack.start(**GAMEPOD)
    await so_many(db, "duel", "Ready", 2)
    await register(db, "duel", spec(server=Server(arena={}), timers=Timers(drain_s=1)))
    await so_many(db, "duel", "Shutdown", 2)
    await stack.gone()


async def test_servers_that_cannot_start_are_not_tried_without_end(db: Database, stack: Matchmakers) -> None:
    """A pool whose game dies at once is tried at growing intervals, and its developer is told why it is empty."""
    wanted = pool(1)
    broken = Server(command=["sh", "-c", "echo out of tanks; exit 7"])
    await register(db, "duel", spec(server=broken, timers=wanted.timers, supply=wanted.supply))
    stack.start(**GAMEPOD, MUSTER_ALLOW_COMMANDS="true")

    async def told() -> dict[str, Any] | None:
        found = json.loads(await db.do("GET", f"{keys.game('duel')}:plan") or "{}")
        return found if found.get("held") == "failing" else None

    assert (await eventually(told) or {})["detail"].endswith("out of tanks")
    assert len(await standbys(db, "duel", "Shutdown")) < 10
