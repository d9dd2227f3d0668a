"""Waiting to be woken, but not for ever."""

from __future__ import annotations

import asyncio


class Waker:
    """Wakes the one that waits; a wake before the wait is not lost, and two are one."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """End the wait, or the next one."""
        self._event.set()

    async def wait(self, within_s: float) -> bool:
        """Until woken; False after `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
