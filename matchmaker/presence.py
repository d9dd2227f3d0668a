"""Reports who is offline. Replicas share the shards of presence by leases, as they share games.

A report is one step in Redis: the player leaves the index, and his report is appended to the shard's events. So a
replica may be killed at any line, and two may work one shard at once: nobody is reported twice, and nobody forgotten.
What is reported is settled by `matchmaker.settling`, beside this, so that it never makes a report late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from core import keys, log
from core.errors import Fenced, MusterError
from core.presence import AT_ONCE, UNSETTLED_MOST, Look, Verdict, decide, next_look_s, read_look
from core.redis.client import function_call
from matchmaker.leases import Leases
from matchmaker.settling import Settling
from matchmaker.shared import Contact, Shared, keep_doing

SHARDS: Final = [str(number) for number in range(keys.PRESENCE_SHARDS)]
LEASES_S: Final = 0.25  # how often leases are looked at
LOOK_S: Final = 0.5  # how often a shard is looked at in which nobody is due
SHORTEST_S: Final = 0.02  # between two looks: who falls due in between is that late


class Presence:
    """See the module. `run` is all there is to do with it."""

    def __init__(self, shared: Shared, owner: str) -> None:
        self._shared = shared
        self._log = log.get("matchmaker.presence").bind(owner=owner)
        self._leases = Leases(shared.db, owner, shared.settings.lease_s, base=keys.presence)
        self._timeout_ms = int(shared.settings.presence_timeout_s * 1000)
        self._settling = Settling(shared, self._leases, self._log)
        self._looked = asyncio.Event()  # rung when a lease was taken

    async def run(self) -> None:
        """Work for ever; cancelled, give the leases back."""
        contact = Contact()
        steps = ((self._turn, asyncio.Event()), (self.report, self._looked), (self._settling.step, self._settling.rung))
        try:
            async with asyncio.TaskGroup() as tasks:
                for step, rung in steps:
                    tasks.create_task(keep_doing(step, rung, contact, self._log, self._trouble))
        finally:
            await self.close()

    async def close(self) -> None:
        """Give the leases back, for others to take at once."""
        try:
            await self._leases.close()
        except MusterError as error:
            self._log.debug("leases run out by themselves", error=error.detail)

    async def _turn(self) -> float:
        before = set(self._leases.held)
        await self._leases.turn(SHARDS)
        if set(self._leases.held) - before:
            self._looked.set()
        return min(LEASES_S, self._leases.due_s())

    async def report(self) -> float:
        """Look at each shard that is ours, and report who is offline. Returns the seconds until the next look."""
        self._leases.expire()
        held = sorted(self._leases.held)
        looks: dict[str, Look] = {}
        for shard, reply in zip(held, await self._ask([("presence_look", shard, ()) for shard in held]), strict=True):
            if reply is not None:
                looks[shard] = read_look(reply)
        verdicts = {shard: decide(look, self._timeout_ms) for shard, look in looks.items()}
        self._tell(looks, verdicts)
        more = await self._expire({shard: it for shard, it in verdicts.items() if it.work}, looks)
        if more:
            return 0.0
        waits = [next_look_s(looks[it], self._timeout_ms, LOOK_S) for it in looks if not verdicts[it].held]
        return max(SHORTEST_S, min(waits, default=LOOK_S))

    async def _expire(self, verdicts: dict[str, Verdict], looks: dict[str, Look]) -> bool:
        """Carry verdicts out; whether some shards have more than what was done at once."""
        calls = [
            (
                "presence_expire",
                shard,
                (self._leases.held[shard].token, it.cutoff_ms, it.ahead_ms, AT_ONCE, UNSETTLED_MOST),
            )
            for shard, it in verdicts.items()
        ]
        more = False
        for (_, shard, _), reply in zip(calls, await self._ask(calls), strict=True):
            if reply is None:
                continue
            gone, first_ms, ahead = (int(it) for it in reply)
            more = more or AT_ONCE in (gone, ahead)
            if gone:
                self._settling.rung.set()
                self._shared.metrics.offline.inc(gone)
                due_ms = max(first_ms + self._timeout_ms, looks[shard].hold_ms)
                self._shared.metrics.offline_late.observe((looks[shard].now_ms - due_ms) / 1000)
            if ahead:
                self._log.warning("the clock of Redis was set back", shard=shard, players=ahead)
        return more

    async def _ask(self, calls: Sequence[tuple[str, str, Sequence[Any]]]) -> list[Any]:
        """Call functions on shards in one round trip; None where a shard did not answer, or is another's by now.

        Raises Unavailable where none of them could be asked.
        """
        commands = [function_call(name, keys.presence(shard), *args) for name, shard, args in calls]
        replies = await self._shared.db.run_many(commands)
        failed = [reply for reply in replies if isinstance(reply, Exception)]
        for (_, shard, _), reply in zip(calls, replies, strict=True):
            if isinstance(reply, Fenced):
                self._leases.forget(shard)
        passing = [error for error in failed if not isinstance(error, Fenced)]
        if passing and len(failed) == len(replies):
            raise passing[0]
        return [None if isinstance(reply, Exception) else reply for reply in replies]

    def _tell(self, looks: dict[str, Look], verdicts: dict[str, Verdict]) -> None:
        metrics = self._shared.metrics
        metrics.shards.set(len(looks))
        metrics.tracked.set(sum(look.tracked for look in looks.values()))
        metrics.held.set(sum(it.held for it in verdicts.values()))

    def _trouble(self) -> None:
        self._shared.metrics.errors.labels("none").inc()
