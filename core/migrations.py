"""Migrations of the data in Redis from one form to the next, and who runs them.

A migration runs beside everything else: its steps are bounded, with a pause after each; each may be done twice; and
what services of the release before read and write stays valid until it is through. One process at a time migrates,
under a lease. Killed anywhere, the next one goes on from the last `place`, or from the beginning where there is none.

To add one: write `run`, append it here, raise `READS.newest`, and leave `READS.oldest` for one more release.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from core import keys, log
from core.errors import Fenced
from core.redis.client import Database
from core.redis.libraries import tidy
from core.schema import READS, Data

LEASE_MS: Final = 15_000
IDLE_S: Final = 5.0  # between two looks
WAITING_S: Final = 1.0  # for a service of the release before to end
PAUSE_S: Final = 0.02  # after a step: players go first
TIDY_S: Final = 600.0  # between two looks at function libraries
STEP: Final = 500  # keys of one step
OWNER: Final = re.compile(r"muster:\{([a-z0-9-]+)\}:owner")


@dataclass(frozen=True, slots=True)
class Migration:
    """To the form `to`, from the one before. `run` is given the last place and yields one after each step."""

    to: int
    what: str
    run: Callable[[Database, str], AsyncIterator[str]]


async def _games_ever(db: Database, place: str) -> AsyncIterator[str]:
    """`muster:games_ever` lists the games that were registered, or removed, before there was that set.

    Who asks for all that is known of a player, or to be forgotten, is then served in those games at once, which only a
    walk over all keys of Redis found before.
    """
    if place != "removed":
        if listed := sorted(await db.do("SMEMBERS", keys.GAMES)):
            await db.do("SADD", keys.GAMES_EVER, *listed)
        yield "removed"
    found: list[str] = []
    async for key in db.scan("muster:{*}:owner", STEP):
        if (owner := OWNER.fullmatch(key)) is not None:
            found.append(owner[1])
        if len(found) >= STEP:
            await db.do("SADD", keys.GAMES_EVER, *found)
            found.clear()
            yield "removed"
    if found:
        await db.do("SADD", keys.GAMES_EVER, *found)


MIGRATIONS: Final[tuple[Migration, ...]] = (Migration(2, "games that were ever registered are listed", _games_ever),)


class Migrator:
    """Brings the data to the newest form of this release, when every service that runs reads it. `step` is repeated."""

    def __init__(
        self, db: Database, owner: str, release: str, *, hold: bool = False,
        migrations: Sequence[Migration] = MIGRATIONS, newest: int = READS.newest,
    ) -> None:  # fmt: skip
        """`hold` leaves the data as it is, so that one can go back to the release before."""
        self._db, self._owner, self._release, self._hold = db, owner, release, hold
        self._migrations = {migration.to: migration for migration in migrations}
        self._newest = newest
        self._log = log.get("migrations")
        self._waits = ""
        self._tidy_at = float("-inf")

    async def step(self) -> float:
        """One look, or one whole migration. Returns the seconds until the next. Raises Unavailable."""
        try:
            token = await self._lease()
            if not token:
                return IDLE_S
            if time.monotonic() >= self._tidy_at:
                if gone := await tidy(self._db):
                    self._log.info("function libraries removed that nobody uses", names=gone)
                self._tidy_at = time.monotonic() + TIDY_S
            data = await look(self._db)
            if data.oldest >= self._newest or (self._hold and not data.migrating):
                return IDLE_S
            return await self._migrate(data, token)
        except Fenced:
            return IDLE_S  # another goes on with it

    async def _lease(self) -> int:
        token, _, _ = await self._db.call("lease_take", keys.SCHEMA, self._owner, LEASE_MS, 0)
        return int(token)

    async def _migrate(self, data: Data, token: int) -> float:
        to = data.oldest + 1
        told = await self._move(token, "begin", to, self._release)
        if told[0] == "waits":
            if told[1] != self._waits:
                self._log.info("a migration waits for a service of a release that cannot read it", to=to, of=told[1])
            self._waits = told[1]
            return WAITING_S
        if told[0] != "ok":  # a newer release's doing
            return IDLE_S
        migration = self._migrations[to]
        self._log.info("migration begins", to=to, what=migration.what, place=data.place)
        async for place in migration.run(self._db, data.place):
            token = await self._lease()  # renewed, and whoever stalled finds that it is another's
            if not token:
                return IDLE_S
            await self._move(token, "step", to, place)
            await asyncio.sleep(PAUSE_S)
        await self._move(token, "done", to, "")
        self._log.info("migration done", to=to)
        return 0.0

    async def _move(self, token: int, what: str, to: int, more: str) -> list[str]:
        return list(await self._db.call("schema_move", keys.SCHEMA, token, what, to, more))


async def look(db: Database) -> Data:
    """What form the data has; that of an empty Redis is the first. Raises Unavailable."""
    row = await db.do("HMGET", f"{keys.SCHEMA}:state", "newest", "oldest", "by", "place")
    newest, oldest, by, place = row
    return Data(int(newest or 1), int(oldest or 1), by or "", place or "")
