"""The matchmaker of one process: holds leases, runs an engine for each game it holds, hears doorbells.

Killed at any line, it leaves nothing that the next one does not find in Redis or among the processes of the host:
leases run out, claimed matches are live, servers carry their names. Stopped cleanly it gives its leases back.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from core import keys, log
from core.drain import read_orders
from core.errors import MusterError
from core.migrations import Migrator
from core.process import version
from core.stored_versions import as_mapping
from matchmaker.engine import Engine
from matchmaker.leases import Lease, Leases
from matchmaker.presence import Presence
from matchmaker.reaper import Reaper
from matchmaker.shared import Contact, Shared, keep_doing

TURN_S: Final = 0.25  # how often leases are looked at, and always when one may run out: a free game waits no longer


class Matchmaker:
    """See the module. Run it with `run`; `hear` and `server_ended` may be called at any time before, too."""

    def __init__(self, shared: Shared, owner: str) -> None:
        self._shared = shared
        self._log = log.get("matchmaker.loop").bind(owner=owner)
        self._leases = Leases(shared.db, owner, shared.settings.lease_s)
        self._reaper_contact = Contact()
        self._reaper = Reaper(shared, self._reaper_contact)
        self._presence = Presence(shared, owner)
        self._migrator = Migrator(shared.db, owner, version(), hold=shared.settings.schema_hold)
        self._engines: dict[str, Engine] = {}
        self._turn = asyncio.Event()

    def hear(self, topic: str, ids: list[str]) -> None:
        """A doorbell rang for these games."""
        for game in ids:
            if (engine := self._engines.get(game)) is not None:
                engine.hear(topic)

    def server_ended(self, game: str, server: str) -> None:
        """The launcher saw the server of that name end."""
        if (engine := self._engines.get(game)) is not None:
            engine.mark(server)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Servers go on; leases are given back."""
        work = [
            asyncio.create_task(keep_doing(self._take_turn, self._turn, Contact(), self._log, self._trouble)),
            asyncio.create_task(
                keep_doing(self._reaper.step, asyncio.Event(), self._reaper_contact, self._log, self._trouble)
            ),
            asyncio.create_task(self._presence.run()),
            asyncio.create_task(keep_doing(self._migrator.step, asyncio.Event(), Contact(), self._log, self._trouble)),
        ]
        try:
            await stop.wait()
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await asyncio.gather(*(engine.close() for engine in self._engines.values()))
            with suppress(MusterError):  # Redis is away: they run out by themselves
                await self._leases.close()
                await self._reaper.withdraw()

    async def _take_turn(self) -> float:
        """Bring leases in order, and engines in line with them, even where Redis is away and leases run out."""
        try:
            await self._leases.turn(await self._games())
        finally:
            await self._align()
        return min(TURN_S, self._leases.due_s())

    async def _games(self) -> list[str]:
        """Registered games; and what is drained is read with them, so that an order is followed within a turn."""
        games, drains = await self._shared.db.do_many([("SMEMBERS", keys.GAMES), ("HGETALL", keys.DRAINS)])
        self._shared.drains.read(read_orders(as_mapping(drains)))
        return sorted(games)

    async def _align(self) -> None:
        """One engine for each lease, and none for a lease that is lost or has changed its token."""
        self._leases.expire()
        held = self._leases.held
        for game, engine in list(self._engines.items()):
            lease = held.get(game)
            if lease is None or lease.token != engine.lease.token:
                del self._engines[game]
                await engine.close()
                self._log.info("game left", game=game)
        for game, lease in held.items():
            if game not in self._engines:
                self._engines[game] = Engine(self._shared, lease, self._fenced)
                self._log.info("game taken", game=game, token=lease.token)
        self._shared.metrics.leases.set(len(held))

    def _fenced(self, lease: Lease) -> None:
        """Its engine has ended: forget the game, and see at once whether it is ours again."""
        if self._leases.held.get(lease.game) == lease:
            self._leases.forget(lease.game)
        self._turn.set()

    def _trouble(self) -> None:
        self._shared.metrics.errors.labels("none").inc()
