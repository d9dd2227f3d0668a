"""Bounds how many servers start at the same time: more than a machine can start only makes each of them late."""

from __future__ import annotations

import asyncio
from typing import Final

START_SLOT_S: Final = 5.0  # a start that takes longer does not hold up the next one any more


class StartSlots:
    """A slot is held from `take` until `free`, which may be called at any time and any number of times."""

    def __init__(self, most: int) -> None:
        self.waiting = 0  # for a slot
        self._slots = asyncio.Semaphore(most)
        self._held: dict[str, asyncio.TimerHandle] = {}

    async def take(self, match: str) -> None:
        """Wait for a slot for the server of `match`."""
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self._held[match] = asyncio.get_running_loop().call_later(START_SLOT_S, self.free, match)

    def free(self, match: str) -> None:
        """Its server has started, or never will."""
        if (timer := self._held.pop(match, None)) is not None:
            timer.cancel()
            self._slots.release()

    def close(self) -> None:
        """Forget the timers."""
        for timer in self._held.values():
            timer.cancel()
        self._held.clear()
