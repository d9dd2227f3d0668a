"""Versions of the data: who may run on it, and migrations that begin, stop, go on and end; on each backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from core import keys
from core.errors import Misconfigured
from core.migrations import Migration, Migrator, look
from core.redis.client import Database
from core.release import Membership, member
from core.schema import READS, Data, Reads
from tests.support import eventually

OLD, NEW, NEXT = Reads(1, 2), Reads(1, 3), Reads(3, 4)
NAMES = [f"{number}" for number in range(6)]


class Spelling:
    """A migration for tests: 2 calls six things by lower case, 3 by upper case. It may be stopped before a step."""

    def __init__(self, stop_before: str = "") -> None:
        self.stop_before, self.steps, self.at_once = stop_before, list[str](), 0

    async def run(self, db: Database, place: str) -> AsyncIterator[str]:
        self.at_once += 1
        assert self.at_once == 1
        try:
            for name in NAMES[NAMES.index(place) + 1 if place else 0 :]:
                if name == self.stop_before:
                    self.stop_before = ""
                    raise RuntimeError("killed")
                await db.do("HSET", "things", name, "LETTER")
                self.steps.append(name)
                yield name
        finally:
            self.at_once -= 1

    def migrator(self, db: Database, owner: str) -> Migrator:
        return Migrator(db, owner, "0.3.0", migrations=[Migration(3, "spelling", self.run)], newest=3)


async def at_two(db: Database) -> None:
    """Data of form 2, as a release wrote it."""
    await db.do("HSET", f"{keys.SCHEMA}:state", "newest", 2, "oldest", 2, "by", "0.2.0")
    await db.do("HSET", "things", *[part for name in NAMES for part in (name, "letter")])


async def things(db: Database) -> set[str]:
    return set(await db.do("HVALS", "things"))


async def test_services_say_that_they_run_and_an_empty_redis_has_the_first_form(data: Database) -> None:
    """Whoever joins is listed with the release; who left is not; the form is the first until a migration."""
    one, other = Membership(data, "webapi"), Membership(data, "matchmaker")
    assert await one.join() == Data(1, 1)
    await one.join()
    await other.join()
    assert await data.do("HLEN", f"{keys.SCHEMA}:services") == 2
    await one.leave()
    assert await data.do("HLEN", f"{keys.SCHEMA}:services") == 1
    assert READS.oldest == 1


async def test_a_migration_waits_for_the_last_service_that_cannot_read_it(data: Database) -> None:
    """Old and new run side by side on the old form; when the old one is gone the data moves, and old is refused."""
    await at_two(data)
    spelling = Spelling()
    stop = asyncio.Event()
    async with member(data, "webapi", stop, NEW, "0.3.0"):
        async with member(data, "webapi", stop, OLD, "0.2.0"):
            assert await spelling.migrator(data, "a").step() > 0
            assert await look(data) == Data(2, 2, "0.2.0")
            with pytest.raises(Misconfigured, match=r"version 2; this is Muster 0\.4\.0, which reads versions 3 to 4"):
                await Membership(data, "webapi", NEXT, "0.4.0").join()
        assert await spelling.migrator(data, "a").step() == 0
        assert (await look(data), await things(data)) == (Data(3, 3, "0.3.0"), {"LETTER"})
        with pytest.raises(Misconfigured) as refused:
            async with member(data, "webapi", stop, OLD, "0.2.0"):
                raise AssertionError("it must not run")
        for words in (
            "version 3, written by Muster 0.3.0",
            "Muster 0.2.0, which reads versions 1 to 2",
            "restore a backup",
        ):
            assert words in refused.value.detail
        await Membership(data, "webapi", NEXT, "0.4.0").join()
    assert not stop.is_set()


@pytest.mark.parametrize("before", NAMES[:4])
async def test_a_migration_that_was_stopped_goes_on_where_it_was(data: Database, before: str) -> None:
    """Killed before any step: whoever reads both forms may run, and another process does the rest, not all anew."""
    await at_two(data)
    spelling = Spelling(stop_before=before)
    with pytest.raises(RuntimeError):
        await spelling.migrator(data, "a").step()
    found = await look(data)
    assert (found.newest, found.oldest, found.migrating) == (3, 2, True)
    await Membership(data, "webapi", NEW, "0.3.0").join()
    for reads in (OLD, NEXT):
        with pytest.raises(Misconfigured):
            await Membership(data, "webapi", reads).join()
    await data.do("DEL", f"{keys.SCHEMA}:lease")  # the killed one's has run out
    await spelling.migrator(data, "b").step()
    assert spelling.steps == NAMES
    assert (await look(data), await things(data)) == (Data(3, 3, "0.3.0"), {"LETTER"})


async def test_one_process_migrates_and_who_stalled_stops(data: Database) -> None:
    """Of two at once one has the lease. Whoever finds, after a step, that it is another's, does no further one."""
    await at_two(data)
    spelling = Spelling()
    stalled, other = spelling.migrator(data, "a"), spelling.migrator(data, "b")
    await asyncio.gather(stalled.step(), other.step())
    assert spelling.steps == NAMES
    await at_two(data)
    spelling.steps.clear()

    async def robbed(db: Database, place: str) -> AsyncIterator[str]:
        async for name in spelling.run(db, place):
            if name == "2":
                await db.do("DEL", f"{keys.SCHEMA}:lease")
                assert (await db.call("lease_take", keys.SCHEMA, "thief", 60_000, 0))[0]
            yield name

    late = Migrator(data, "a", "0.3.0", migrations=[Migration(3, "spelling", robbed)], newest=3)
    assert await late.step() > 0
    assert spelling.steps == ["0", "1", "2"]
    assert (await look(data)).place == "1"


async def test_held_data_stays_as_it_is(data: Database) -> None:
    """With `hold` no migration begins, and one that began is brought to its end."""
    await at_two(data)
    spelling = Spelling()
    held = Migrator(data, "a", "0.3.0", hold=True, migrations=[Migration(3, "spelling", spelling.run)], newest=3)
    await held.step()
    assert await things(data) == {"letter"}
    await data.do("HSET", f"{keys.SCHEMA}:state", "newest", 3)
    await held.step()
    assert await things(data) == {"LETTER"}


async def test_a_service_that_was_silent_for_too_long_ends(data: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that Redis did not hear of, while the data moved on, is told at its next word: it stops, and says why."""
    monkeypatch.setattr("core.release.EVERY_S", 0.01)
    await at_two(data)
    stop = asyncio.Event()

    async def stopped() -> bool:
        return stop.is_set()

    async def working() -> None:
        async with member(data, "webapi", stop, OLD, "0.2.0"):
            await data.do("HSET", f"{keys.SCHEMA}:state", "newest", 3, "oldest", 3)
            await eventually(stopped)

    with pytest.raises(Misconfigured, match="version 3"):
        await working()
    assert await data.do("HLEN", f"{keys.SCHEMA}:services") == 0


async def test_games_from_before_are_listed_among_those_that_ever_were(data: Database) -> None:
    """The first migration: games registered, and games removed, before there was the list; the rest is left alone."""
    await data.do("SADD", keys.GAMES, "duel")
    for game in ("duel", "gone-by"):
        await data.do("SET", keys.game_owner(game), "p-1")
    await data.do("SET", f"{keys.game('duel')}:other", "x")
    await Migrator(data, "a", "0.1.0").step()
    assert set(await data.do("SMEMBERS", keys.GAMES_EVER)) == {"duel", "gone-by"}
    assert (await look(data)).oldest == 2
