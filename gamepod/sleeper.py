"""How a loop sleeps that is woken now and then: until its beat, or until there is something to do at all."""

from __future__ import annotations

import asyncio
from typing import Final

REST_S: Final = 60.0


class Sleeper:
    """For one task. A time-out around an event would cost, thirty times a second, as much as packing what comes."""

    def __init__(self) -> None:
        self._asleep: asyncio.Future[None] | None = None
        self._resting = False

    async def sleep(self, seconds: float) -> None:
        """Until then, or `wake`."""
        if seconds <= 0:
            return
        loop = asyncio.get_running_loop()
        self._asleep = loop.create_future()
        timer = loop.call_later(seconds, _wake, self._asleep)
        try:
            await self._asleep
        finally:
            timer.cancel()
            self._asleep = None

    async def rest(self) -> None:
        """There is nothing to do: until `stir` or `wake`, or a minute later to look anyway."""
        self._resting = True
        try:
            await self.sleep(REST_S)
        finally:
            self._resting = False

    def wake(self) -> None:
        if self._asleep is not None:
            _wake(self._asleep)

    def stir(self) -> None:
        """End a rest; a sleep goes on until its beat."""
        if self._resting:
            self.wake()


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
