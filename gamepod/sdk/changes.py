"""That something about the server has changed, told to everybody who watches."""

from __future__ import annotations

import asyncio


class Changes:
    """Counts changes. Who watches is told that there were some, never how many: a slow reader costs no memory."""

    def __init__(self) -> None:
        self.revision = 1
        self._next = asyncio.Event()

    def bump(self) -> None:
        self.revision += 1
        told, self._next = self._next, asyncio.Event()
        told.set()

    async def after(self, revision: int) -> int:
        """Wait until the revision is another than `revision`; returns it."""
        while self.revision == revision:
            await self._next.wait()
        return self.revision
