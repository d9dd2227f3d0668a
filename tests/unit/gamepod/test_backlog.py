"""The bounded queue of batches on their way to the log."""

from __future__ import annotations

import pytest

from core.interactions import MAX_BATCH, Happening, Interaction, Move, read_batch, unpack
from gamepod.backlog import EVENT_BYTES, MAX_EVENTS, OPEN_BYTES, Backlog


def moves(first: int, number: int) -> list[Interaction]:
    return [Move(f"m-{i}", i, "p", 1.0, 2.0) for i in range(first, first + number)]


def drain(backlog: Backlog) -> list[Interaction]:
    found: list[Interaction] = []
    backlog.seal(9.0)
    while (batch := backlog.head()) is not None:
        found += unpack(batch.payload)
        backlog.done(9.0)
        backlog.seal(9.0)
    return found


def test_batches_are_numbered_and_stay_until_done() -> None:
    """The head is the same batch however often it is asked for, and the next has the next number."""
    backlog = Backlog(1000, 1_000_000)
    backlog.add(moves(0, 3), 1.0)
    backlog.seal(9.0)
    first = backlog.head()
    backlog.add(moves(3, 2), 2.0)
    assert first is not None
    assert backlog.head() == first == (1, 3, first.payload, 1.0)
    backlog.done(9.0)
    backlog.seal(9.0)
    second = backlog.head()
    assert second is not None
    assert (second.number, second.size, second.since_s) == (2, 2, 2.0)
    backlog.done(9.0)
    assert backlog.head() is None
    assert (backlog.interactions, backlog.bytes) == (0, 0)


def test_a_long_queue_is_packed_in_full_batches() -> None:
    """What waits is packed as soon as a batch is full, so that it takes a tenth of the memory."""
    backlog = Backlog(100_000, 100_000_000)
    backlog.add(moves(0, 2 * MAX_BATCH + 5), 0.0)
    assert backlog.bytes < 2 * MAX_BATCH * OPEN_BYTES / 4 + 5 * OPEN_BYTES
    backlog.seal(9.0)
    head = backlog.head()
    assert head is not None
    assert head.size == MAX_BATCH
    assert len(drain(backlog)) == 2 * MAX_BATCH + 5


def test_at_the_bound_of_interactions_the_newest_are_dropped_and_counted() -> None:
    """What fits is kept in its order; what does not is dropped, exactly counted, and room made is used again."""
    backlog = Backlog(10, 1_000_000)
    assert backlog.add(moves(0, 8), 0.0) == 0
    assert backlog.add(moves(8, 5), 0.0) == 3
    assert (backlog.accepted, backlog.dropped, backlog.interactions) == (10, 3, 10)
    assert [one.id for one in drain(backlog)] == [f"m-{i}" for i in range(10)]
    assert backlog.add(moves(20, 1), 0.0) == 0


def test_at_the_bound_of_bytes_the_newest_are_dropped() -> None:
    """Memory is bounded too, and never exceeded."""
    bound = 5 * OPEN_BYTES
    backlog = Backlog(1_000_000, bound)
    assert backlog.add(moves(0, 7), 0.0) == 2
    assert backlog.bytes <= bound
    backlog.seal(9.0)  # packs: there is room again
    assert backlog.add(moves(7, 2), 0.0) == 0
    assert backlog.bytes <= bound


def test_the_lag_is_the_age_of_the_oldest() -> None:
    """The lag grows until the oldest interaction is acknowledged."""
    backlog = Backlog(1000, 1_000_000)
    assert backlog.lag_s(5.0) == 0.0
    backlog.add(moves(0, 1), 1.0)
    assert backlog.lag_s(5.0) == 4.0
    backlog.seal(9.0)
    backlog.add(moves(1, 1), 4.0)
    assert backlog.lag_s(5.0) == 4.0
    backlog.done(9.0)
    assert backlog.lag_s(5.0) == 1.0


def shots(*before: int) -> list[Happening]:
    return [Happening("tank_shot", at, 0, f"p{at}", {}) for at in before]


def told(backlog: Backlog) -> list[str]:
    """Ids of interactions and players of events, in the order in which a reader has them."""
    found: list[str] = []
    backlog.seal(9.0)
    while (batch := backlog.head()) is not None:
        read = read_batch(batch.payload)
        for row in range(batch.size + 1):
            found += [event.player for event in read.events if event.before == row]
            found += [one.id for one in read.interactions[row : row + 1]]
        backlog.done(9.0)
        backlog.seal(9.0)
    return found


@pytest.mark.parametrize("waiting", [0, 3, MAX_BATCH - 2, MAX_BATCH - 1])
def test_events_stay_at_their_places(waiting: int) -> None:
    """Whatever waits already, and wherever a batch is full."""
    backlog = Backlog(100_000, 100_000_000)
    backlog.add(moves(0, waiting), 0.0)
    backlog.add(moves(waiting, 3), 0.0, shots(0, 1, 1, 3))
    backlog.add((), 0.0, shots(0))
    a, b, c = (f"m-{waiting + i}" for i in range(3))
    assert told(backlog)[waiting:] == ["p0", a, "p1", "p1", b, c, "p3", "p0"]
    assert backlog.empty


def test_events_alone_make_a_batch() -> None:
    """They do not wait for somebody to do something; very many are more than one batch."""
    backlog = Backlog(1000, 100_000_000)
    backlog.add((), 1.0, shots(0))
    assert not backlog.empty
    assert backlog.lag_s(3.0) == 2.0
    backlog.seal(9.0)
    head = backlog.head()
    assert head is not None
    assert (head.size, head.since_s) == (0, 1.0)
    backlog.done(9.0)
    backlog.add((), 1.0, shots(*[0] * MAX_EVENTS))
    backlog.add((), 1.0, shots(0))
    assert len(told(backlog)) == MAX_EVENTS + 1


def test_at_the_bound_events_are_dropped_and_counted() -> None:
    """Those that follow a dropped interaction with it, and those for which there is no memory."""
    backlog = Backlog(2, 1_000_000)
    assert backlog.add(moves(0, 3), 0.0, shots(1, 2, 3)) == 1
    assert backlog.events_dropped == 2
    assert told(backlog) == ["m-0", "p1", "m-1"]
    small = Backlog(1000, EVENT_BYTES)
    small.add((), 0.0, shots(0, 0))
    assert (small.events_dropped, told(small)) == (1, ["p0"])
