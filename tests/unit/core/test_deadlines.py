"""A bound for many works at once: who is late is ended, nobody else."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from core.deadlines import Deadlines


async def test_what_takes_too_long_is_ended_and_the_rest_goes_on() -> None:
    """Of two works that began together the one that hangs is ended; the other, and later ones, give their answers."""
    deadlines, hang, ended = Deadlines(0.05), asyncio.Event(), []

    async def hangs() -> None:
        try:
            await hang.wait()
        finally:
            ended.append(True)

    async def answers() -> int:
        return 7

    late = asyncio.create_task(deadlines.keep(hangs()))
    assert await deadlines.keep(answers()) == 7
    with pytest.raises(TimeoutError):
        await late
    assert ended == [True]
    assert late.cancelling() == 0  # it may go on, and be cancelled anew
    with pytest.raises(TimeoutError):  # the timer is set again
        await deadlines.keep(hangs())
    assert await deadlines.keep(answers()) == 7


async def test_who_was_held_up_takes_the_answer_that_has_come() -> None:
    """Beyond the bound without processor time is no time-out where the answer was there in time."""
    deadlines = Deadlines(0.05)
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=near)
    with far:
        asked = asyncio.create_task(deadlines.keep(reader.readexactly(1)))
        await asyncio.sleep(0)
        far.send(b"7")
        time.sleep(0.3)
        assert await asked == b"7"
        with pytest.raises(TimeoutError):  # who does not answer is late all the same
            await deadlines.keep(reader.readexactly(1))
    writer.close()
    await writer.wait_closed()


async def test_a_cancel_from_outside_stays_one() -> None:
    """Who is cancelled, as a client that left is, is not told of a time-out."""
    deadlines, began = Deadlines(60.0), asyncio.Event()

    async def hangs() -> None:
        began.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(deadlines.keep(hangs()))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_work_is_passed_on_and_nothing_is_kept() -> None:
    """What is over is forgotten, however it ended."""
    deadlines = Deadlines(60.0)

    async def fails() -> None:
        raise KeyError("no")

    for _ in range(100):
        with pytest.raises(KeyError):
            await deadlines.keep(fails())
    assert not deadlines._works
