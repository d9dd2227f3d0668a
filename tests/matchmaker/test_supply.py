"""Servers that are there before their match, with real matchmakers and game servers: pools, guesses, and kills."""

from __future__ import annotations

import json
import signal
from typing import Any

import psutil
import pytest

from core import keys
from core.clock import new_id, now_ms
from core.model import EarlySpec, Game, GameSpec, Limits, Match, Server, SupplySpec, Timers, WarmSpec
from core.redis.client import Database
from core.rules import rule_set
from matchmaker.leases import Leases
from matchmaker.matching import match_of
from matchmaker.mirror import Mirror
from matchmaker.rules import Pool, form
from matchmaker.standby_store import standby_document
from matchmaker.store import GameStore
from tests.matchmaker.support import Matchmakers, match, over, queue, register, spec, status, ticket
from tests.support import eventually

pytestmark = pytest.mark.slow

GAMEPOD = {"MUSTER_SERVER_COMMAND": ""}  # real game servers
EARLY = SupplySpec(early=EarlySpec())


def pool(servers: int, **more: Any) -> GameSpec:
    """A duel in the arena with so many servers that stand ready."""
    timers = Timers(start_s=20, join_s=60, drain_s=1)
    return spec(server=Server(arena={}), timers=timers, supply=SupplySpec(warm=WarmSpec(servers=servers)), **more)


def early(**more: Any) -> GameSpec:
    timers = Timers(start_s=20, join_s=60, drain_s=1)
    return spec(server=Server(arena={}), timers=timers, supply=SupplySpec(early=EarlySpec(**more)))


async def standbys(db: Database, game: str, state: str) -> dict[str, dict[str, str]]:
    """Servers of the game in that state, by id; with Allocated and Shutdown also those that are not in the pool."""
    names = [str(name).rpartition(":")[2] for name in await db.do("KEYS", f"{keys.game(game)}:standby:*")]
    found = {name: dict(await db.do("HGETALL", keys.standby(game, name))) for name in names}
    return {name: fields for name, fields in found.items() if fields.get("state") == state}


async def so_many(db: Database, game: str, state: str, wanted: int) -> dict[str, dict[str, str]]:
    """The servers in that state, once there are as many."""

    async def there() -> list[dict[str, dict[str, str]]]:
        found = await standbys(db, game, state)
        return [found] if len(found) == wanted else []

    return (await eventually(there, within_s=30))[0]


async def spent(db: Database, game: str) -> dict[str, int]:
    return {name: int(n) for name, n in (await db.do("HGETALL", f"{keys.game(game)}:supply")).items()}


async def duel(db: Database, game: str = "duel") -> tuple[str, dict[str, str]]:
    """Two tickets, and the match that they are in, once it can be played."""
    one, _ = await queue(db, game), await queue(db, game)
    name = (await status(db, game, one, "COMPLETED"))["match"]
    return name, await match(db, game, name)


class ByHand:
    """A matchmaker that stops where the test wants it to: it holds the lease, and does one step after another."""

    def __init__(self, db: Database, store: GameStore, game: Game) -> None:
        self.db, self.store, self.game = db, store, game

    @classmethod
    async def take(cls, db: Database, game: str) -> ByHand:
        leases = Leases(db, "one that is killed", 3.0)
        await leases.turn([game])
        store = GameStore(db, game, leases.held[game].token)
        found = await store.registration()
        assert found is not None
        return cls(db, store, found)

    async def create(self) -> str:
        """Write that a server is to be started, and start none."""
        name = new_id("standby")
        assert await self.store.standbys.create(standby_document(self.game, name, now_ms()), "warm", 10, now_ms())
        return name

    async def claim(self) -> tuple[Match, str]:
        """Claim a match of the tickets that wait; what server it took."""
        made_of = Pool(rule_set(self.game.spec))
        mirror = Mirror(self.store, 10, made_of.add, made_of.remove)
        await mirror.read()
        [proposal] = form(made_of, made_of.rules, now_ms(), seed=1).proposals
        made = match_of(proposal, mirror, self.game, new_id("match"), now_ms())
        [claim], _ = await self.store.claim([made], [], now_ms=now_ms(), live_most=10)
        assert claim.made
        return made, claim.standby


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
    await register(db, "duel", early(hold_s=1))
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


async def test_on_demand_nothing_stands_idle(db: Database, stack: Matchmakers) -> None:
    """Without a policy no server is there before a match is made."""
    await register(db, "duel", spec(server=Server(arena={}), timers=Timers(start_s=20, drain_s=1)))
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

    async def free() -> ByHand | None:
        try:
            return await ByHand.take(db, "duel")
        except KeyError:
            return None

    by_hand = await eventually(free)
    assert by_hand is not None
    made, took = await by_hand.claim()
    assert took == name
    assert (await status(db, "duel", one, "COMPLETED"))["match"] == made.id


async def test_the_matchmaker_is_killed_again_and_again(db: Database, stack: Matchmakers) -> None:
    """Killed at any moment while it fills a pool and matches take from it: no server has two matches, none is left."""
    await register(db, "duel", pool(3))
    tickets: list[str] = []
    for _ in range(4):
        process = stack.start(**GAMEPOD, MUSTER_LEASE_S="0.6")
        tickets += [await queue(db, "duel") for _ in range(2)]
        await status(db, "duel", tickets[-1], "PLACING", within_s=30) if len(tickets) == 2 else None
        process.kill()
        process.wait()
    stack.start(**GAMEPOD, MUSTER_LEASE_S="0.6")
    matches = {(await status(db, "duel", one, "COMPLETED", within_s=40))["match"] for one in tickets}
    assert len(matches) == 4
    servers = [(await match(db, "duel", name))["server"] for name in matches]
    assert len(set(servers)) == 4
    await register(db, "duel", pool(3, limits=Limits(tries=3)), version=2)
    await so_many(db, "duel", "Ready", 3)

    async def none_else() -> bool:
        names = {p.environ()["MUSTER_SERVER"] for p in stack.servers() if p.is_running()}
        return len(names) == 3 + 4  # the pool's, and one of each match

    await eventually(none_else, within_s=30, every_s=0.2)


async def test_a_server_killed_just_before_a_match_takes_it(db: Database, stack: Matchmakers) -> None:
    """Dead, and not yet known to be: the match that took it fails as died_early, and its players get another."""
    await register(db, "duel", pool(1))
    first = stack.start(**GAMEPOD)
    [name] = await so_many(db, "duel", "Ready", 1)
    first.kill()
    first.wait()
    (await stack.server_of(name)).kill()
    one, _ = await queue(db, "duel"), await queue(db, "duel")

    async def free() -> ByHand | None:
        try:
            return await ByHand.take(db, "duel")
        except KeyError:
            return None

    by_hand = await eventually(free)
    assert by_hand is not None
    made, took = await by_hand.claim()
    if took:  # it beat a moment ago
        stack.start(**GAMEPOD)
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

    assert await eventually(elsewhere, within_s=30)


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

    assert (await eventually(told, within_s=30) or {})["detail"].endswith("out of tanks")
    assert len(await standbys(db, "duel", "Shutdown")) < 10


async def test_a_hung_server_whose_place_is_gone_is_ended(db: Database, stack: Matchmakers) -> None:
    """What Redis knows nothing of is ended by who sees it, though it hears nothing any more."""
    await register(db, "duel", pool(1))
    stack.start(**GAMEPOD)
    [name] = await so_many(db, "duel", "Ready", 1)
    server: psutil.Process = await stack.server_of(name)
    server.send_signal(signal.SIGSTOP)
    await db.do("ZREM", f"{keys.game('duel')}:standbys", name)
    await db.do("DEL", keys.standby("duel", name))
    await stack.gone(name, within_s=40)
