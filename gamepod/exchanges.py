"""Carries what a match agreed on to the inventories, and their answers back to it.

    join -> items_open -> told to the player        both agreed -> items_move -> done or refused, told to both

Nothing in the match waits for it: while Redis is slow, exchanges are. A move has one id and is sent again with it until
Redis answers, for SETTLE_S; then its outcome is unknown to the match, though not to the inventories. If this process
dies the same holds: before the move was sent nothing happened, after it all of it; and the players see what they have.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, Final

from core.clock import new_id
from core.errors import MusterError, Refused, Unavailable
from core.inventory import Inventories
from core.items import Item, name_of
from gamepod.arena import Session
from gamepod.arena.trading import Settlement, Stage

log = logging.getLogger(__name__)

SETTLE_S: Final = 30.0  # a fail-over takes seconds; the id is known to Redis for ten minutes
PAUSE_S: Final = 0.2  # before a move is sent again
END_S: Final = 3.0  # that the end of a match waits for what is under way


class Exchanges:
    """Of one match. `close` ends what is under way."""

    def __init__(self, inventories: Inventories, match: str) -> None:
        self._inventories = inventories
        self._match = match
        self._tasks: set[asyncio.Task[None]] = set()

    def joined(self, session: Session, player: str) -> None:
        """Read what a player brings; from now on items can be given to him."""
        if session.settings.trade_range_m:
            self._start(self._load(session, player, join=True))

    def settle(self, session: Session, settlement: Settlement) -> None:
        """Ask the inventories to make an exchange."""
        self._start(self._settle(session, settlement))

    async def settled(self, session: Session, within_s: float) -> None:
        """Wait until every trade of an ended match was told its outcome, or the time is over."""
        deadline = time.monotonic() + within_s
        while session.settling and time.monotonic() < deadline:  # noqa: ASYNC110 - ticks hear it, and go on
            await asyncio.sleep(1 / session.settings.tick_rate_hz)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, session: Session, wanted: Settlement) -> None:
        id_, stage, reason = new_id("exchange"), Stage.UNKNOWN, "no-answer"
        deadline = time.monotonic() + SETTLE_S
        who = {"by": wanted.a, "match": self._match, "id": id_}
        while time.monotonic() < deadline:
            try:
                await self._inventories.exchange(wanted.a, wanted.b, give=wanted.give, get=wanted.get, **who)
                stage, reason = Stage.DONE, ""
                break
            except Refused as error:
                stage, reason = Stage.REFUSED, error.code
                break
            except Unavailable:
                await asyncio.sleep(PAUSE_S)
            except MusterError as error:
                log.error("an exchange could not be asked for", extra={"exchange": id_, "error": error.detail})
                break
        if stage is Stage.UNKNOWN:
            log.warning("the outcome of an exchange is not known", extra={"exchange": id_})
        session.settled(wanted.offer, stage, reason, id_)
        if stage is not Stage.REFUSED:
            for player in (wanted.a, wanted.b):
                await self._load(session, player)

    async def _load(self, session: Session, player: str, *, join: bool = False) -> None:
        read = self._inventories.open if join else self._inventories.inventory
        while player in session.present:
            try:
                session.hold(player, as_names(await read(player)))
                return
            except Unavailable:
                await asyncio.sleep(PAUSE_S)
            except MusterError as error:
                log.error("an inventory could not be read", extra={"player": player, "error": error.detail})
                return


def as_names(items: list[Item]) -> dict[str, int]:
    """Items by the names that clients use."""
    return {name_of(item): item.quantity for item in items}
