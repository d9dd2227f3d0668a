"""A bound on how long each of many works may take, one length for all: so they are due in the order of beginning.

`asyncio.timeout` sets a timer for each, of which a request has several and needs none; here
one timer waits for the eldest, and what is over is forgotten in passing.

A process that got no processor time for a while finds the timer due together with the answers that have come
meanwhile. It takes these first: nobody was late but itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

HELD_UP_S: Final = 0.1  # later than that, a timer tells of a loop that was held up
TAKE_S: Final = 0.05  # for the answers that came meanwhile


class _Work:
    """One work under way. `task` is None once it is over, `late` once it was ended."""

    __slots__ = ("due_s", "late", "task")

    def __init__(self, task: asyncio.Task[Any], due_s: float) -> None:
        self.task: asyncio.Task[Any] | None = task
        self.due_s = due_s
        self.late = False


class Deadlines:
    """See the module. Used on one event loop."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._works: deque[_Work] = deque()  # the eldest is under way, but for a moment
        self._timed = False

    async def keep(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives. Raises TimeoutError, and has ended it, where it took too long."""
        task = asyncio.current_task()
        assert task is not None, "called from a coroutine"
        mine = _Work(task, asyncio.get_running_loop().time() + self._within_s)
        cancels = task.cancelling()
        self._works.append(mine)
        if not self._timed:
            self._wait()
        try:
            return await work
        except asyncio.CancelledError:
            if mine.late and task.uncancel() <= cancels:
                raise TimeoutError from None
            raise
        finally:
            mine.task = None
            self._forget()

    def _forget(self) -> None:
        while self._works and self._works[0].task is None:
            self._works.popleft()

    def _wait(self) -> None:
        self._timed = True
        due_s = self._works[0].due_s
        asyncio.get_running_loop().call_at(due_s, self._due, due_s)

    def _due(self, due_s: float) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - due_s > HELD_UP_S:
            loop.call_later(TAKE_S, self._end)
        else:
            self._end()

    def _end(self) -> None:
        """End what is due, and wait for the next."""
        self._timed = False
        now = asyncio.get_running_loop().time()
        for work in self._works:
            if work.due_s > now:
                break
            if work.task is not None and not work.late:
                work.late = True
                work.task.cancel()
        while self._works and (self._works[0].task is None or self._works[0].late):
            self._works.popleft()
        if self._works:
            self._wait()
