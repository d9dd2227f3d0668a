"""The bounded queue of batches on their way to the log."""

from __future__ import annotations

from core.interactions import MAX_BATCH, Interaction, Move, unpack
from gamepod.backlog import OPEN_BYTES, Backlog


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
