"""The mirror of a queue against a queue that changes under it: whatever is told, and when, it ends up the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import TicketPlayer, Waiting
from matchmaker.mirror import Mirror
from matchmaker.store import Changes, Queued

KEPT = 8  # changes that the queue remembers


class Queue:
    """What the Redis functions keep, in memory: tickets by id, and ids of what changed lately."""

    def __init__(self) -> None:
        self.tickets: dict[str, int] = {}
        self.changes: list[str] = []
        self.asked: list[str] = []  # matches whose request changed
        self.reads = 0

    def put(self, ticket: str, since_ms: int) -> None:
        self.tickets[ticket] = since_ms
        self.changes.append(ticket)

    def end(self, ticket: str) -> None:
        if self.tickets.pop(ticket, None) is not None:
            self.changes.append(ticket)

    def claim(self, ticket: str) -> None:
        self.tickets.pop(ticket, None)

    async def queue_changes(self, place: str, most: int, whole_most: int) -> Changes:
        start = int(place) if place else -1
        if start < max(0, len(self.changes) - KEPT):
            self.reads += 1
            order = sorted(self.tickets, key=lambda ticket: (self.tickets[ticket], ticket))
            return Changes(str(len(self.changes)), more=True, whole=order[:whole_most])
        part = self.changes[start : start + most]
        asked, self.asked = self.asked, []
        found = await self.waiting(part)
        return Changes(str(start + len(part)), more=len(part) == most, found=found, asked=asked)

    async def waiting(self, tickets: Sequence[str]) -> list[Queued | str]:
        return [self._look(ticket) for ticket in dict.fromkeys(tickets)]

    def _look(self, ticket: str) -> Queued | str:
        if ticket not in self.tickets:
            return ticket
        return Queued(Waiting(ticket, self.tickets[ticket], [TicketPlayer(f"p-{ticket}")]), searched=False)


names = st.sampled_from([f"t{number}" for number in range(12)])
steps = st.one_of(
    st.tuples(st.just("put"), names, st.integers(0, 50)),
    st.tuples(st.just("end"), names, st.just(0)),
    st.tuples(st.just("claim"), names, st.just(0)),
    st.tuples(st.just("read"), st.just(""), st.just(0)),
)


def mirrored(queue: Queue, most: int = 100) -> tuple[Mirror, dict[str, int]]:
    """A mirror, and what it told of comings and goings."""
    told: dict[str, int] = {}

    def came(ticket: Waiting) -> None:
        assert ticket.id not in told
        told[ticket.id] = ticket.since_ms

    return Mirror(queue, most, came, lambda ticket: told.pop(ticket)), told  # type: ignore[arg-type]  # a store's part


@settings(deadline=None)
@given(st.lists(steps, max_size=60))
def test_it_ends_up_as_the_queue_is(actions: list[tuple[str, str, int]]) -> None:
    """After each read the mirror is the queue, and so is what it told; the oldest is the oldest."""
    queue = Queue()
    mirror, told = mirrored(queue)
    for action, ticket, since_ms in [*actions, ("read", "", 0)]:
        match action:
            case "put":
                queue.put(ticket, since_ms)
            case "end":
                queue.end(ticket)
            case "claim":  # by this owner, who takes it out of both
                queue.claim(ticket)
                mirror.drop([ticket])
            case "read":
                asyncio.run(_read(mirror))
                assert {name: waiting.since_ms for name, waiting in mirror.items()} == queue.tickets == told
                assert mirror.oldest_ms() == min(queue.tickets.values(), default=None)
                assert set(mirror.overdue(20, 100)) == {name for name, since in queue.tickets.items() if since <= 20}


async def _read(mirror: Mirror) -> None:
    await mirror.read()


async def test_a_longer_queue_is_read_on_when_half_is_gone() -> None:
    """At most so many tickets are kept, the oldest; the rest is read when half of these are gone."""
    queue = Queue()
    for number in range(10):
        queue.put(f"t{number}", number)
    mirror, _ = mirrored(queue, most=4)
    assert await mirror.read()
    assert sorted(mirror) == ["t0", "t1", "t2", "t3"]
    for number in range(2):
        queue.claim(f"t{number}")
        mirror.drop([f"t{number}"])
    assert await mirror.read()
    assert sorted(mirror) == ["t2", "t3", "t4", "t5"]


async def test_requests_for_players_are_passed_on() -> None:
    """Matches whose request changed are told once, and after a whole read that any other may have changed."""
    queue = Queue()
    mirror, _ = mirrored(queue)
    await mirror.read()
    assert mirror.take_asked() == (set(), True)
    queue.asked = ["m1", "m2"]
    await mirror.read()
    queue.asked = ["m2"]
    await mirror.read()
    assert mirror.take_asked() == ({"m1", "m2"}, False)
    assert mirror.take_asked() == (set(), False)


async def test_no_news_costs_no_whole_read() -> None:
    """What changed is read alone; the whole is read once."""
    queue = Queue()
    mirror, _ = mirrored(queue)
    assert await mirror.read()
    queue.put("t1", 5)
    assert await mirror.read()
    assert not await mirror.read()
    assert queue.reads == 1
