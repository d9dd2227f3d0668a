"""Function libraries of two releases in one Redis: side by side under load, and removed when nobody uses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core import keys
from core.clock import new_id, now_ms
from core.redis import libraries
from core.redis.client import LOADS, Arg, Database, connected
from core.redis.errors import FunctionMissing
from core.redis.lean import LeanRedis
from core.redis.library import LIBRARY, Library
from core.release import Membership
from tests.support import eventually

GAMES = [f"game-{number}" for number in range(6)]  # in slots of all nodes of a cluster
ROUNDS, ROUND_S = 3, 0.3  # libraries are removed so often, at least so far apart


def library_of(digest: str) -> Library:
    """The library of another release: the same functions under other names."""
    own = LIBRARY.name.removeprefix("muster_")
    named = {name: full.replace(own, digest) for name, full in LIBRARY.functions.items()}
    return Library(f"muster_{digest}", LIBRARY.source.replace(own, digest), named)


class OtherRelease(Database):
    """A client of another release: it calls its own functions, and loads its own library where that is missing."""

    library = library_of("0123456789")

    async def call(self, function: str, base: str, *args: Arg) -> Any:
        command = ("FCALL", self.library.functions[function], 1, base, *args)
        for _ in range(LOADS):
            try:
                return await self.do(*command)
            except FunctionMissing:
                await self.load()
        return await self.do(*command)

    async def _load(self) -> None:
        await self._everywhere("FUNCTION LOAD", "REPLACE", self.library.source)


@pytest.fixture
async def other(backend: str, data: Database) -> AsyncIterator[OtherRelease]:
    """Another release on the same Redis, which has no library yet."""
    await data._everywhere("FUNCTION FLUSH")
    async with connected(backend) as client:
        yield OtherRelease(client)


async def some_tickets(db: Database | LeanRedis, game: str, until: asyncio.Event, told: list[int] | None = None) -> int:
    """Tickets of one player each that come and go; how many did, of which `told` has the last word all the while."""
    base, made = keys.game(game), 0
    told = [0] if told is None else told
    while not until.is_set() or not made:
        ticket, player = new_id("ticket"), new_id("player")
        created = await db.call("ticket_create", base, ticket, now_ms(), 1000, f'[{{"id": "{player}"}}]', "", player)
        ended = await db.call("ticket_end", base, ticket, "cancelled", now_ms(), "cancelled", "")
        assert [created[0], ended[0]] == ["ok", "ok"]
        made += 1
        told[0] = made
    return made


async def test_two_releases_work_on_one_redis_whatever_is_loaded_or_removed(
    backend: str, data: Database, other: OtherRelease
) -> None:
    """Both clients of this release and one of another, while libraries come, are replaced and go: no call fails."""
    for game in GAMES:
        await data.do("SET", keys.registration(game), '{"spec": {}}')
    lean = LeanRedis(backend)
    over = asyncio.Event()
    work = [(db, game, [0]) for db in (data, other, lean) for game in GAMES]

    seen = [-1] * len(work)

    async def all_found_it_again() -> bool:
        return all(told[0] > before + 1 for before, (_, _, told) in zip(seen, work, strict=True))

    async def stir() -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(ROUND_S)
            await eventually(all_found_it_again)  # a call finds its library gone once, however slow the machine is
            for name in (LIBRARY.name, other.library.name):
                await data.unload(name)
            seen[:] = [told[0] for _, _, told in work]
        await eventually(all_found_it_again)
        over.set()

    made = await asyncio.gather(stir(), *(some_tickets(db, game, over, told) for db, game, told in work))
    lean.close()
    assert len(made) == 1 + 3 * len(GAMES)
    created = sum([int(await data.do("HGET", f"{keys.game(game)}:stats", "tickets_created")) for game in GAMES])
    assert created == sum(count for count in made if count)
    assert await data.libraries() == {LIBRARY.name, other.library.name}


async def test_a_library_goes_when_nobody_has_used_it_for_longer_than_a_match_lasts(
    data: Database, other: OtherRelease
) -> None:
    """One in use stays, one of which nobody told stays a day; too old ones go on every node, foreign ones never."""
    foreign = "#!lua name=foreign\nredis.register_function('foreign', function() return 1 end)"
    await data._everywhere("FUNCTION LOAD", foreign)
    await data.load()
    over = asyncio.Event()
    over.set()
    await data.do("SET", keys.registration("game-0"), '{"spec": {}}')
    await some_tickets(other, "game-0", over)
    await Membership(data, "webapi").join()
    told = f"{keys.SCHEMA}:libraries"
    assert await libraries.tidy(data) == []
    assert await data.do("HGET", told, other.library.name) is not None
    await data.do("HSET", told, other.library.name, await data.now_ms() - libraries.UNUSED_MS - 1)
    assert await libraries.tidy(data) == [other.library.name]
    assert await data.libraries() == {"foreign", LIBRARY.name}
    assert await data.do("HKEYS", told) == [LIBRARY.name]


async def test_no_more_than_a_few_libraries_stay(data: Database, other: OtherRelease) -> None:
    """Of many releases in a day, the ones used longest ago go first."""
    await Membership(data, "webapi").join()
    names = [f"{number:010x}" for number in range(libraries.MOST + 1)]
    now = await data.now_ms()
    for age, digest in enumerate(names):
        await data._everywhere("FUNCTION LOAD", library_of(digest).source)
        await data.do("HSET", f"{keys.SCHEMA}:libraries", f"muster_{digest}", now - age)
    assert set(await libraries.tidy(data)) == {f"muster_{digest}" for digest in names[-2:]}
    assert len(await data.libraries()) == libraries.MOST
