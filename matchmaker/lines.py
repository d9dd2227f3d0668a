"""Games that are ready once they wrote a line, where they run in containers: the launcher reads what a game wrote.

The sidecar sees nothing of the other container's output, and is to have no right to. So the matchmaker, which may read
it anyway, looks at the first `OUTPUT_BYTES` of it again and again, and tells the match, where the sidecar finds it.
Nothing is remembered between two looks: whoever takes the game over looks anew. Bounded by the match's start timer.
"""

from __future__ import annotations

import asyncio
from typing import Final

from core import log
from core.clock import now_ms
from core.errors import MusterError
from core.lines import any_matches
from matchmaker.launch.base import Launcher
from matchmaker.store import GameStore

LOOK_S: Final = 0.25  # between two looks at one game's output
AGAIN_S: Final = 5.0  # after it was told, until it is told again: a Redis that lost it needs it
LOOKS: Final = 8  # at once, of one game's matches
HOLD_S: Final = 0.2  # each at least: 40 looks a second of one game, however many of its matches start


class LineLooks:
    """The matches of one game that are looked at. `close` when done."""

    def __init__(self, launcher: Launcher, store: GameStore) -> None:
        self._launcher, self._store = launcher, store
        self._log = log.get("matchmaker.lines").bind(game=store.game)
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._looks = asyncio.Semaphore(LOOKS)

    def follow(self, match: str, line: str) -> None:
        """Look for `line` until it was told or `forget` is called. Again changes nothing."""
        if line and match not in self._looking:
            self._looking[match] = asyncio.create_task(self._look(match, line))

    def forget(self, match: str) -> None:
        """Its server is ready, or will not be."""
        if (task := self._looking.pop(match, None)) is not None:
            task.cancel()

    async def close(self) -> None:
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, match: str, line: str) -> None:
        while True:
            try:
                async with self._looks:
                    output = await self._launcher.output(match)
                    if found := any_matches(line, output):
                        await self._store.said(match, now_ms())
                    await asyncio.sleep(HOLD_S)
                if found:
                    await asyncio.sleep(AGAIN_S)
            except MusterError as error:
                self._log.warning("the output of a game cannot be looked at", match=match, error=error.detail)
            await asyncio.sleep(LOOK_S)
