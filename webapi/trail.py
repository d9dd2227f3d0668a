"""The durable trail of who tried to come in: audit events on their way to Redis, from where sinks carry them away.

Whoever tells an event never waits: it is put into a bounded buffer, and one task writes what is there, call after call,
each again until Redis has acknowledged it, in which it is recognised. While Redis is away or slow the buffer fills, and
at its bound the newest are dropped and counted; the log of this process has each all the same. What this gives up: a
crash of this process loses what was not written yet, a few milliseconds' worth.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from core import keys
from core.clock import new_id
from core.errors import MusterError
from core.log import get
from core.redis.batch import Batch

log = get("audit.trail")

WAITING_MOST: Final = 10_000  # events, 400 bytes each
AT_ONCE: Final = 100  # of one call: well under a millisecond of Redis
KEPT: Final = 10_000  # in Redis, and up to four times as many that a reader has not read
KEPT_S: Final = 30 * 86_400  # names and addresses are kept no longer than that
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0
CLOSE_S: Final = 2.0  # to write what is left at the end

Row = tuple[str, bytes]  # key and JSON of an event


class Trail:
    """Of one process. `run` is its task; `close` comes after it."""

    def __init__(self, batch: Batch, dropped: Callable[[], None]) -> None:
        """`dropped` is told of each event that found no room."""
        self._batch, self._dropped = batch, dropped
        self._writer = new_id("event")
        self._number = 0
        self._waiting: deque[Row] = deque()
        self._sending: list[Row] = []  # under its number; never changed until it is acknowledged
        self._rung = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Events that Redis has not acknowledged."""
        return len(self._waiting) + len(self._sending)

    def put(self, key: str, document: bytes) -> None:
        """Take an event in; those of one `key` stay in order. Never waits."""
        if self.waiting >= WAITING_MOST:
            self._dropped()
            return
        self._waiting.append((key, document))
        self._rung.set()

    async def run(self) -> None:
        """Write for ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            await self._rung.wait()
            try:
                await self._write()
                pause_s = FIRST_PAUSE_S
            except MusterError as error:
                log.warning("audit events wait", waiting=self.waiting, error=error.detail, again_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def close(self) -> None:
        """Write what is left, as far as Redis takes it in time."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._write()
        except (MusterError, TimeoutError):
            log.error("audit events are in this log only", events=self.waiting)

    async def _write(self) -> None:
        self._rung.clear()
        try:
            while self._sending or self._waiting:
                if not self._sending:
                    self._number += 1
                    self._sending = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                words = [word for row in self._sending for word in row]
                await self._batch.call("facts_append", keys.AUDIT, self._writer, self._number, KEPT, KEPT_S, *words)
                self._sending = []
        finally:
            if self._sending:  # cancelled or failed in the middle: there is work
                self._rung.set()
