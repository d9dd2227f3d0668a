"""How much a carrier of events reads at once follows from how large the batches are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.redis.logreader import MAX_READ, MOST_READ, Entry
from core.sinks.ship import worth_reading


def _entries(*sizes: int) -> list[Entry]:
    return [Entry("base", f"{n}-0", "m-1", n + 1, size, "") for n, size in enumerate(sizes)]


def test_small_batches_are_read_by_the_thousand_and_large_ones_are_not() -> None:
    """A send's room is filled by many small batches or by few large ones; facts do not count."""
    assert worth_reading(_entries(5, 5), 20_000) == MOST_READ
    assert worth_reading(_entries(30, 50), 20_000) == 2_000
    assert worth_reading(_entries(1_000, 1_000), 20_000) == MAX_READ
    assert worth_reading([], 20_000) == MAX_READ
    assert worth_reading([Entry("base", "1-0", "m-1", 0, 1, "{}")], 20_000) == MAX_READ


@given(st.lists(st.integers(0, 2_000), max_size=20), st.integers(1, 20_000))
def test_a_read_stays_within_its_bounds(sizes: list[int], room: int) -> None:
    """Whatever there is, a round reads no less than ever, and never more than MOST_READ."""
    assert MAX_READ <= worth_reading(_entries(*sizes), room) <= MOST_READ
