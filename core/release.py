"""Which release this is, and that it runs: told to Redis by every service, and checked there against the data.

A service joins before it works and says so again each few seconds. Where the data is of a form that this release does
not read it is refused, and ends: at its start, or later, when it was silent for so long that a migration did not wait
for it. While Redis is away nobody is refused: a service starts, waits for Redis as ever, and joins when it is back.
Game servers do not join: they last a match, and what they read and write is kept readable by every migration.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec
from msgspec import Struct

from core import keys, log
from core.clock import now_ms
from core.errors import Misconfigured, MusterError
from core.process import unique_name, version
from core.redis.client import Database
from core.redis.library import LIBRARY
from core.schema import READS, Data, Reads, refusal

EVERY_S: Final = 5.0
AWAY_S: Final = 0.5  # while Redis is away
KEPT_S: Final = 30.0  # a service that was silent for so long does not count as running


class Who(Struct, frozen=True):
    """A service as others see it."""

    service: str
    release: str
    host: str


class Membership:
    """One service among those that run. Use `member`."""

    def __init__(self, db: Database, service: str, reads: Reads = READS, release: str = "") -> None:
        self._db, self._reads = db, reads
        self._id = f"{service}-{unique_name()}"
        self._who = Who(service, release or version(), socket.gethostname())

    async def join(self) -> Data:
        """Say that it runs; what form the data has. Raises Unavailable; Misconfigured where it must not run here."""
        told, newest, oldest, by, place = await self._db.call(
            "schema_join", keys.SCHEMA, self._id, self._reads.oldest, self._reads.newest, int(KEPT_S * 1000),
            msgspec.json.encode(self._who), LIBRARY.name, now_ms(),
        )  # fmt: skip
        data = Data(int(newest), int(oldest), by, place)
        if told == "refused":
            why = refusal(data, self._reads, self._who.release)
            assert why is not None, "Redis and this release judge by the same numbers"
            raise why
        return data

    async def leave(self) -> None:
        """It does not run any more. Where Redis is away it is forgotten after `KEPT_S`."""
        with suppress(MusterError):
            await self._db.do("HDEL", f"{keys.SCHEMA}:services", self._id)

    async def keep(self) -> Misconfigured:
        """Join again and again; returns why it must not run any more."""
        while True:
            pause_s = AWAY_S
            try:
                await self.join()
                pause_s = EVERY_S
            except Misconfigured as error:
                return error
            except MusterError as error:
                log.get("release").debug("not told that it runs", error=error.detail)
            await asyncio.sleep(pause_s)


@asynccontextmanager
async def member(
    db: Database, service: str, stop: asyncio.Event, reads: Reads = READS, release: str = ""
) -> AsyncIterator[Membership]:
    """Run as one of the services of this Redis for the length of the block.

    Raises Misconfigured at the start where the data is of another form; and where that turns out later, sets `stop`
    and raises it when the block is left.
    """
    membership = Membership(db, service, reads, release)
    try:
        await membership.join()
    except Misconfigured:
        raise
    except MusterError as error:
        log.get("release").warning("redis is away: its data is looked at later", error=error.detail)
    keeping = asyncio.create_task(membership.keep())
    keeping.add_done_callback(lambda task: None if task.cancelled() else stop.set())
    try:
        yield membership
    finally:
        refused = keeping.done()
        if not refused:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await membership.leave()
    if refused:
        raise keeping.result()
