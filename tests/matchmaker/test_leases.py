"""How replicas share games, on a real Redis; the clock of the process is an argument."""

from __future__ import annotations

import json

from core import keys
from core.clock import now_ms
from core.redis.client import Database
from matchmaker.leases import SHORTEST_S, Leases, fair_share
from tests.support import eventually

GAMES = ["alpha", "beta", "gamma"]


async def listeners(db: Database, count: int) -> None:
    """So many replicas listen for queues; a webapi, and one that is gone, do not count."""
    await db.do("DEL", keys.DOORBELLS)
    for number in range(count):
        entry = json.dumps({"topics": ["queue", "match"], "until_ms": now_ms() + 60_000})
        await db.do("HSET", keys.DOORBELLS, f"tcp://replica-{number}", entry)
    for name, topics, until in (("webapi", ["ticket"], now_ms() + 60_000), ("gone", ["queue"], now_ms() - 1)):
        await db.do("HSET", keys.DOORBELLS, name, json.dumps({"topics": topics, "until_ms": until}))


def test_fair_share() -> None:
    """All replicas keep the same number of games, or one less; alone, all of them."""
    assert [fair_share(5, n) for n in (0, 1, 2, 3, 5, 9)] == [5, 5, 3, 2, 1, 1]


async def test_one_replica_takes_all(db: Database) -> None:
    """Alone, a replica works every game, and renews its leases without a new token."""
    await listeners(db, 1)
    now = 100.0
    leases = Leases(db, "one", 90.0, clock=lambda: now)
    await leases.turn(GAMES)
    first = dict(leases.held)
    assert sorted(first) == GAMES
    now += 29.0
    await leases.turn(GAMES)
    assert leases.held == first  # it is not time yet
    now += 1.0
    await leases.turn(GAMES)
    assert all(leases.held[game].until_s > first[game].until_s for game in GAMES)
    assert {game: lease.token for game, lease in leases.held.items()} == {g: first[g].token for g in GAMES}


async def test_a_second_replica_gets_its_share(db: Database) -> None:
    """The first drops what is above its share and does not take it back; the second takes it."""
    await listeners(db, 1)
    now = 100.0  # theirs; by Redis' own clock no lease runs out meanwhile
    one, two = (Leases(db, name, 60.0, clock=lambda: now) for name in ("one", "two"))
    await one.turn(GAMES)
    await two.turn(GAMES)
    assert two.held == {}
    await listeners(db, 2)

    async def shared() -> bool:
        nonlocal now
        now += 10.0
        await one.turn(GAMES)
        await two.turn(GAMES)
        return sorted([*one.held, *two.held]) == GAMES and len(one.held) == 2

    await eventually(shared)


async def test_a_replica_takes_more_than_its_share_of_the_dead(db: Database) -> None:
    """While the registry still counts a killed replica, its games are taken all the same."""
    await listeners(db, 2)
    dead, other = Leases(db, "dead", 25.0), Leases(db, "other", 3.0)
    await dead.turn(GAMES[:1])
    assert list(dead.held) == GAMES[:1]
    await other.turn(GAMES)
    assert len(other.held) == 2
    await db.do("HINCRBY", f"{keys.game(GAMES[0])}:lease", "until_ms", -25_000)  # its time is over

    async def all_taken() -> bool:
        await other.turn(GAMES)
        return sorted(other.held) == GAMES

    await eventually(all_taken)


async def test_a_lease_that_could_not_be_renewed_is_not_held(db: Database) -> None:
    """When its time is over a lease is gone, whatever Redis would say; nobody had it, so its token is the same."""
    now = 100.0
    leases = Leases(db, "one", 60.0, clock=lambda: now)
    await leases.turn(GAMES)
    first = dict(leases.held)
    now += 60.0
    leases.expire()
    assert leases.held == {}
    await leases.turn(GAMES)
    assert {game: lease.token for game, lease in leases.held.items()} == {g: first[g].token for g in GAMES}


async def test_a_removed_game_is_dropped(db: Database) -> None:
    """The lease of a game that is not registered any more is given back, as are all at a clean stop."""
    leases = Leases(db, "one", 3.0)
    await leases.turn(GAMES)
    await leases.turn(GAMES[1:])
    assert sorted(leases.held) == GAMES[1:]
    await leases.close()
    assert leases.held == {}
    other = Leases(db, "other", 3.0)
    await other.turn(GAMES)
    assert sorted(other.held) == GAMES


async def test_a_late_owners_lease_is_awaited_to_the_moment(db: Database) -> None:
    """Only where an owner did not renew in time is the moment of its end known; who renews hurries nobody."""
    await listeners(db, 2)
    now = 100.0
    owner, other = Leases(db, "owner", 300.0), Leases(db, "other", 300.0, clock=lambda: now)
    await owner.turn(GAMES[:1])
    await other.turn(GAMES[:1])
    assert other.held == {}
    assert other.due_s() == float("inf")
    await db.do("HINCRBY", f"{keys.game(GAMES[0])}:lease", "until_ms", -250_000)
    now += 100.0
    await other.turn(GAMES[:1])
    assert other.held == {}
    assert 10.0 < other.due_s() <= 50.0
    await db.do("HINCRBY", f"{keys.game(GAMES[0])}:lease", "until_ms", -50_000)
    now += 50.0
    assert other.due_s() == SHORTEST_S
    await other.turn(GAMES[:1])
    assert list(other.held) == GAMES[:1]
    assert other.due_s() == float("inf")
