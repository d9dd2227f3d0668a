"""Several works at once, of which each must succeed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each gives, in order. The first trouble ends the others, and is raised as it is once they have ended.

    A TaskGroup raises a group; and one that fails leaves its caller counted as cancelled, so that before Python 3.11.4
    the next time-out of that task ends it.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
