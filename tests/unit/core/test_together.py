"""Works at once: all results, or the first trouble and nobody left behind."""

from __future__ import annotations

import asyncio

import pytest

from core.together import together


async def test_all_results_come_in_order() -> None:
    """However long each took."""

    async def late(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    assert await together(late(turns) for turns in (3, 1, 2)) == [3, 1, 2]
    assert await together(late(turns) for turns in ()) == []


async def test_the_first_trouble_is_raised_as_it_is_and_ends_the_others() -> None:
    """A time-out of the same task is a time-out afterwards; before Python 3.11.4 a TaskGroup's failure spoils that."""
    ended = asyncio.Event()

    async def fails() -> None:
        raise OSError("away")

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    with pytest.raises(OSError, match="away"):
        await together([waits(), fails(), waits()])
    assert ended.is_set()
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()


async def test_who_is_cancelled_takes_them_along() -> None:
    """Nothing runs on."""
    begun, gone = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    task = asyncio.create_task(together([waits()]))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone.is_set()
