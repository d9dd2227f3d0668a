"""Tasks of which there is one at a time, and those who sleep until something happens."""

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
    """End the sleep of whoever waits for this, once."""
    if not sleeper.done():
        sleeper.set_result(None)
