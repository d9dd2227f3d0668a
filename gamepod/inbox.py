"""Commands that come to this server from outside, through Redis (docs/intake.md).

    a beat says that some wait -> take -> execute -> answer, and take the next -> ... -> none for a minute: wait

Nothing is asked of Redis for a match that gets none; while some come it is asked every 20 ms, and less often the longer
none came. What was taken is answered with the next call, and again until Redis has it; a command is executed once, also
where Redis hands it out again because it forgot the answer. A player who sends too much is held back, in his order,
and the others are not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from core.errors import MusterError
from gamepod.store import Store

LOOK_S: Final = 0.02
SHARE: Final = 0.1  # of the time since the last command: so late the next may be
SLOWEST_S: Final = 0.25
QUIET_S: Final = 60.0  # without a command; then the beats tell
AT_ONCE: Final = 256  # that are taken and not answered
HELD_S: Final = 2.0  # a command waits so long for its player to be allowed another
KNOWN: Final = 1024  # commands whose repeat is recognised here: more than may wait in Redis
LAST_S: Final = 0.5  # for the last answers, when the match is over


class Inbox:
    """See the module. `execute` returns the answer, or None where the player has to wait."""

    def __init__(self, store: Store, execute: Callable[[str], str | None]) -> None:
        self._store, self._execute = store, execute
        self._known: dict[str, str] = {}  # message id -> answer
        self._answers: dict[str, tuple[str, str]] = {}  # place -> message id and answer, that Redis does not have yet
        self._held: dict[str, float] = {}  # message id -> since when its player has to wait
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Commands wait."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Answer what can be answered, and stop."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(LAST_S):
                while await self._round() and self._answers:
                    pass
        except (MusterError, TimeoutError):
            pass  # whoever waits for an answer hears that the match is over

    async def _run(self) -> None:
        came_s = time.monotonic()
        while (quiet_s := time.monotonic() - came_s) < QUIET_S:
            try:
                if await self._round():
                    came_s = time.monotonic()
            except MusterError:
                came_s = time.monotonic()  # Redis is away: what waits there waits for us
                quiet_s = SLOWEST_S / SHARE
            await asyncio.sleep(min(max(LOOK_S, quiet_s * SHARE), SLOWEST_S))

    async def _round(self) -> int:
        """Answer what was executed, and execute what comes. Returns how many came. Raises MusterError."""
        told = list(self._answers)
        rows = [(place, *self._answers[place]) for place in told]
        found = await self._store.commands(AT_ONCE, rows)
        for place in told:
            del self._answers[place]
        waiting: set[str] = set()  # players who are held back
        for place, message, text in found:
            answer = self._known.get(message) or self._try(message, text, waiting)
            if answer is not None:
                self._answers[place] = (message, answer)
                self._remember(message, answer)
        self._held = {message: since for message, since in self._held.items() if message not in self._known}
        return len(found)

    def _try(self, message: str, text: str, waiting: set[str]) -> str | None:
        # The player comes first in what is handed out, and is compared with nothing else.
        player = text.partition(',"command"')[0]
        now = time.monotonic()
        answer = None if player in waiting else self._execute(text)
        if answer is not None:
            return answer
        waiting.add(player)
        if now - self._held.setdefault(message, now) < HELD_S:
            return None
        return "too-many-commands this player sends more than a client may"

    def _remember(self, message: str, answer: str) -> None:
        self._known[message] = answer
        if len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]
