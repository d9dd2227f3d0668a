"""Time buckets and pages of the boards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.leaderboard import (
    BUCKET_S,
    MAX_PLAYERS_A_CALL,
    WINDOW_S,
    Entry,
    around_range,
    bucket_of,
    count_args,
    entries,
    is_past,
    oldest_bucket,
    score_args,
)

TIMES = st.integers(0, 2**45)


@given(TIMES, TIMES)
def test_nothing_is_forgotten_early_nor_more_than_a_bucket_late(at_ms: int, now_ms: int) -> None:
    """What is younger than the window counts, and what is a bucket older than it does not."""
    age_s = (now_ms - at_ms) / 1000
    if age_s <= WINDOW_S:
        assert not is_past(at_ms, now_ms)
    if age_s >= WINDOW_S + BUCKET_S:
        assert is_past(at_ms, now_ms)


def test_buckets_begin_every_ten_minutes() -> None:
    """A bucket is named by its first second."""
    assert [bucket_of(ms) for ms in (0, 599_999, 600_000)] == [0, 0, 600]
    assert oldest_bucket(WINDOW_S * 1000) == 0


def test_neighbours_stop_at_the_top() -> None:
    """The range of positions around a rank never begins before the first."""
    assert around_range(1, 2) == (0, 2)
    assert around_range(10, 2) == (7, 11)


def test_entries_are_ranked_from_their_position() -> None:
    """A page in the middle of a board has the ranks of its place."""
    assert entries([("a", 5.0), ("b", 3.0)], 10) == [Entry(11, "a", 5.0), Entry(12, "b", 3.0)]


def test_counts_become_bounded_calls_by_bucket() -> None:
    """One bucket a call, never more than MAX_PLAYERS_A_CALL players, and every count once."""
    counts = {(bucket, f"p{i}"): i for bucket in (0, 600) for i in range(MAX_PLAYERS_A_CALL + 1)}
    calls = list(count_args(counts))
    assert [(bucket, len(args) // 3) for bucket, args in calls] == [(0, 500), (0, 1), (600, 500), (600, 1)]
    assert sum(int(n) for _, args in calls for n in args[1::3]) == sum(counts.values())


def test_scores_count_no_interactions() -> None:
    """A score travels with a count of zero and all of its digits."""
    assert list(score_args([("a", 1234567.0)])) == [("a", 0, "1234567.0")]
