"""Heartbeats of many, gathered into few calls: one for each shard every few ms, whoever they came from.

A heartbeat of its own would cost Redis and this process a command; in company it costs a tenth. Who asks hears when
his has landed. The same loop tells each shard that somebody listens, on which it depends whether silence counts
(`core.presence`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from core import keys
from core.errors import Unavailable
from core.presence import AT_ONCE, beat_head, member, tell_every_s

GATHER_S: Final = 0.005
WAITING_MOST: Final = 50_000  # heartbeats that have not landed; a further one is refused, a sign of life forgotten

Call = Callable[..., Awaitable[Any]]  # of a function of the library: name, base, arguments


class _Round:
    """Heartbeats of one shard that leave together; a repeat is one."""

    __slots__ = ("landed", "members")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.members: dict[str, None] = {}
        self.landed: asyncio.Future[frozenset[str]] = loop.create_future()  # whom there was no room for


class Beats:
    """See the module. Made on the loop that it is used on; `run` is the part that listens."""

    def __init__(self, call: Call, timeout_ms: int) -> None:
        self._call, self._timeout_ms = call, timeout_ms
        self._head = beat_head(timeout_ms)
        self._loop = asyncio.get_running_loop()
        self._gathering: dict[int, _Round] = {}
        self._trips: set[asyncio.Task[None]] = set()
        self.waiting = 0
        self.landed = 0  # since the start
        self.lost = 0

    async def beat(self, game: str, player: str) -> None:
        """A player was heard of. Returns when Redis has it. Raises Unavailable."""
        if self.waiting >= WAITING_MOST:
            raise Unavailable(f"{WAITING_MOST} heartbeats wait for Redis", code="storage-unavailable")
        name = member(game, player)
        landed = self._add(player, name).landed
        if name in await asyncio.shield(landed):
            raise Unavailable("no more players can be tracked here", retry_after_s=60, code="presence-full")

    def sign(self, game: str, player: str) -> None:
        """As `beat`, for whom nobody waits: what does not land is made good by the next one."""
        if self.waiting < WAITING_MOST:
            self._add(player, member(game, player))
        else:
            self.lost += 1

    async def run(self) -> None:
        """Listen, and say so, for ever."""
        while True:
            for number in range(keys.PRESENCE_SHARDS):
                self._round(number)
            await asyncio.sleep(tell_every_s(self._timeout_ms))

    async def close(self) -> None:
        """Let what was gathered land, or fail; connections are not to be closed under it."""
        self._leave_all()
        await asyncio.gather(*self._trips, return_exceptions=True)

    def _add(self, player: str, name: str) -> _Round:
        found = self._round(keys.presence_number(player))
        if name not in found.members:
            found.members[name] = None
            self.waiting += 1
        return found

    def _round(self, number: int) -> _Round:
        found = self._gathering.get(number)
        if found is not None and len(found.members) < AT_ONCE:
            return found
        if found is not None:
            self._leave(number, found)  # the next one is another call
        if not self._gathering:
            self._loop.call_later(GATHER_S, self._leave_all)
        made = self._gathering[number] = _Round(self._loop)
        return made

    def _leave_all(self) -> None:
        gathered, self._gathering = self._gathering, {}
        for number, found in gathered.items():
            self._leave(number, found)

    def _leave(self, number: int, found: _Round) -> None:
        trip = self._loop.create_task(self._travel(number, found))
        self._trips.add(trip)
        trip.add_done_callback(self._trips.discard)

    async def _travel(self, number: int, found: _Round) -> None:
        members, landed = list(found.members), found.landed
        try:
            _, *full = await self._call("presence_beat", keys.presence(number), *self._head, 1, *members)
        except Exception as error:  # whatever it is, each asker must hear of it
            self.lost += len(members)
            landed.set_exception(error)
            landed.exception()  # signs of life have nobody who asks
        else:
            self.landed += len(members)
            landed.set_result(frozenset(full))
        finally:
            self.waiting -= len(members)
            if not landed.done():  # cancelled with the application
                landed.cancel()
