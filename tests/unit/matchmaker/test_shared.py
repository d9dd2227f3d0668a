"""The loop that every worker of the matchmaker runs in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from core import log
from core.errors import Fenced, Unavailable
from matchmaker.shared import Contact, keep_doing, pause_s

NEVER_S = 3600.0


class Steps:
    """A step that does what it is told, one thing after the other, and then waits for ever."""

    def __init__(self, *outcomes: float | Exception) -> None:
        self._outcomes = list(outcomes)
        self.rung = asyncio.Event()
        self.contact = Contact()
        self.troubles = 0
        self.during: Callable[[], None] = lambda: None
        self.all_done = asyncio.Event()

    async def step(self) -> float:
        self.during()
        if len(self._outcomes) == 1:
            self.all_done.set()
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def trouble(self) -> None:
        self.troubles += 1

    async def run(self) -> None:
        """Run until all outcomes have come, or until the loop ends by itself."""
        work = keep_doing(self.step, self.rung, self.contact, log.get("test"), self.trouble)
        task = asyncio.create_task(work)
        done = asyncio.create_task(self.all_done.wait())
        await asyncio.wait({task, done}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        done.cancel()
        if not task.done():
            task.cancel()
        await asyncio.gather(done, return_exceptions=True)
        try:
            await task
        except asyncio.CancelledError:
            return


async def test_it_goes_on_after_any_error() -> None:
    """Errors are counted and tried again; Redis being away is no error of ours."""
    steps = Steps(ValueError("broken"), Unavailable("away"), 0.0, NEVER_S)
    await steps.run()
    assert steps.troubles == 1


async def test_being_fenced_off_ends_it() -> None:
    """Fenced is not survived: whoever runs the loop must forget the game."""
    with pytest.raises(Fenced):
        await Steps(0.0, Fenced("new holder"), NEVER_S).run()


async def test_rings_during_a_step_are_one_further_step() -> None:
    """Any number of rings while a step runs lead to exactly one more, at once."""
    steps = Steps(NEVER_S, NEVER_S)
    first = iter([True])

    def ring() -> None:
        if next(first, False):
            for _ in range(10):
                steps.rung.set()

    steps.during = ring
    await steps.run()
    assert not steps.rung.is_set()


def test_contact() -> None:
    """Silence is judged only after contact was unbroken for the time given; a break starts it anew."""
    contact = Contact()
    before = contact.deadlines(1.0)
    assert not before.trusted(before.contact_ms + 999)
    assert before.trusted(before.contact_ms + 1000)
    contact.made()
    made = contact.deadlines(1.0).contact_ms
    contact.made()
    assert contact.deadlines(1.0).contact_ms == made
    contact.lost()
    assert contact.deadlines(1.0).contact_ms >= made


def test_pauses_grow_to_their_bound() -> None:
    """Pauses double with the failures, with jitter, and are bounded."""
    for failures in range(1, 100):
        assert 0.05 <= pause_s(failures, 5.0) <= min(5.0, 0.1 * 2.0 ** (failures - 1))
