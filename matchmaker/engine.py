"""Everything about one game while this replica holds its lease: its queue is worked, its matches are watched, its
board is kept to its window, readers of its log are watched, its finished matches move ratings, its webhook is called,
and who asks about it is told.

They run side by side, so a slow look at the matches never delays a player. An engine ends when it is fenced off or
cancelled, and takes with it whatever it knew; the next one starts from what Redis holds. No engine can stop another's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final

from core import log
from core.errors import Fenced
from matchmaker.boards import Boards
from matchmaker.leases import Lease
from matchmaker.loglag import LogLag
from matchmaker.matching import Matching
from matchmaker.ratings import Ratings
from matchmaker.shared import Contact, Shared, keep_doing
from matchmaker.store import Claimed, GameStore
from matchmaker.supplier import Supplier
from matchmaker.telling import Telling
from matchmaker.watch import Watch
from matchmaker.webhooks import Webhooks

SOON_S: Final = 0.02  # matches change many times a second, and seldom is that news for the queue


class Engine:
    """See the module. `fenced` is called with the game when another replica turns out to own it."""

    def __init__(self, shared: Shared, lease: Lease, fenced: Callable[[Lease], None]) -> None:
        self.lease = lease
        self._shared, self._fenced = shared, fenced
        self._log = log.get("matchmaker.engine").bind(game=lease.game)
        self._queue_rung, self._match_rung = asyncio.Event(), asyncio.Event()
        self._rating_rung, self._asked_rung = asyncio.Event(), asyncio.Event()
        self._soon: asyncio.TimerHandle | None = None  # when the queue is looked at for what became of matches
        self._feed_rung = asyncio.Event()
        self._contact = Contact()
        shared.metrics.begin(shared.metrics.name(lease.game))
        store = GameStore(shared.db, lease.game, lease.token)
        self._watch = Watch(shared, store, self._contact, self._match_rung)
        self._supply_rung = asyncio.Event()
        self._matching = Matching(shared, store, self._made, self._watch.mark, self._supply_rung.set)
        self._supplier = Supplier(shared, store, self._contact, self._matching, self._watch)
        self._boards = Boards(shared.db, lease.game)
        self._ratings = Ratings(shared, lease.game)
        self._webhooks = Webhooks(shared, lease)
        self._log_lag = LogLag(shared.db, lease.game, shared.metrics)
        self._telling = Telling(shared, lease, self._matching.insight)
        self._task = asyncio.create_task(self._run())

    def hear(self, topic: str) -> None:
        """A doorbell rang for this game."""
        if topic in ("asked", "feed"):
            (self._asked_rung if topic == "asked" else self._feed_rung).set()
            return
        if topic == "match":
            # A match that ended makes room, one that failed puts its tickets back: both concern the queue too.
            self._matching.room_again()
            self._match_rung.set()
            self._rating_rung.set()
            if self._soon is None:
                self._soon = asyncio.get_running_loop().call_later(SOON_S, self._look_at_queue)
        else:
            self._look_at_queue()

    def _look_at_queue(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._queue_rung.set()

    def mark(self, server: str) -> None:
        """The launcher saw this server end."""
        self._watch.ended(server)
        self._supply_rung.set()

    def _made(self, claim: Claimed) -> None:
        self._watch.made(claim)
        self._supply_rung.set()

    async def close(self) -> None:
        """Stop working; servers go on. Never raises."""
        self._task.cancel()
        if self._soon is not None:
            self._soon.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._watch.close()
        self._shared.metrics.forget(self.lease.game)

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_doing(self._matching.step, self._queue_rung))
                tasks.create_task(self._keep_doing(self._watch.step, self._match_rung))
                tasks.create_task(self._keep_doing(self._supplier.step, self._supply_rung))
                tasks.create_task(self._keep_doing(self._boards.step, asyncio.Event()))
                tasks.create_task(self._keep_doing(self._log_lag.step, asyncio.Event()))
                tasks.create_task(self._keep_doing(self._ratings.step, self._rating_rung))
                tasks.create_task(self._keep_doing(self._webhooks.step, self._feed_rung))
                tasks.create_task(self._keep_doing(self._telling.step, self._asked_rung))
        except* Fenced:
            self._log.warning("another replica works this game now", token=self.lease.token)
            self._fenced(self.lease)

    async def _keep_doing(self, step: Callable[[], Coroutine[None, None, float]], rung: asyncio.Event) -> None:
        await keep_doing(step, rung, self._contact, self._log, self._count_error)

    def _count_error(self) -> None:
        self._shared.metrics.errors.labels(self._shared.metrics.name(self.lease.game)).inc()
