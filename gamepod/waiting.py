"""Tasks and sleepers of which there is one at a time."""

from __future__ import annotations

import asyncio


def free(task: asyncio.Task[None] | None) -> bool:
    """Whether another one may be started. Raises what the last one came to grief over, which is a defect."""
    if task is None:
        return True
    if task.done():
        task.result()
    return task.done()


def wake(sleeper: asyncio.Future[None]) -> None:
    """Let who waits for it go on; nothing for one who does already."""
    if not sleeper.done():
        sleeper.set_result(None)
