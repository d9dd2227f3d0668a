"""Time buckets and pages of the boards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid, NotFound
from core.leaderboard import (
    BUCKET_S,
    EXPIRE_STEP,
    MAX_PLAYERS_A_CALL,
    REST_S,
    SLOT_S,
    SLOTS,
    WINDOW_S,
    Entry,
    bucket_of,
    check_board,
    count_args,
    is_past,
    oldest_bucket,
    read_view,
    rest_s,
    score_args,
    slot_of,
)

TIMES = st.integers(0, 2**45)
PLAYERS = st.text(min_size=1, max_size=8)


@given(PLAYERS, TIMES, TIMES)
def test_nothing_is_forgotten_early_nor_more_than_a_bucket_late(player: str, at_ms: int, now_ms: int) -> None:
    """What is younger than the window counts, and what is a bucket and a slot older than it does not."""
    age_s = (now_ms - at_ms) / 1000
    if age_s <= WINDOW_S:
        assert not is_past(at_ms, player, now_ms)
    if age_s >= WINDOW_S + BUCKET_S + SLOT_S:
        assert is_past(at_ms, player, now_ms)


@given(PLAYERS, TIMES)
def test_a_players_buckets_are_ten_minutes_each_at_a_phase_of_his_own(player: str, at_ms: int) -> None:
    """A time lies in the bucket that it is told to, and the next bucket begins ten minutes after it."""
    bucket = bucket_of(slot_of(at_ms), player)
    assert bucket <= at_ms // 1000 < bucket + BUCKET_S
    assert bucket_of(slot_of((bucket + BUCKET_S) * 1000), player) == bucket + BUCKET_S


def test_buckets_begin_evenly() -> None:
    """Of many players about as many begin a bucket in each ten seconds of ten minutes: nothing falls due at once."""
    begun = [0] * SLOTS
    for i in range(60_000):
        begun[bucket_of(slot_of(10**12), f"p-{i}") // SLOT_S % SLOTS] += 1
    assert min(begun) > 800
    assert max(begun) < 1_200


def test_expiry_is_spread_and_bounded() -> None:
    """What is due is taken out evenly over its slot, with bounded rests; where nothing is, the next slot is awaited."""
    assert [rest_s(0, slot_s) for slot_s in (SLOT_S, 3.0, -1.0)] == [SLOT_S, 3.0, REST_S[0]]
    rests = [rest_s(left, SLOT_S) for left in (1, EXPIRE_STEP, 167 * EXPIRE_STEP, 10**6, 10**9)]
    assert rests == sorted(rests, reverse=True)
    assert (rests[-1], rests[0]) == REST_S
    left, passed, paces = 167 * EXPIRE_STEP, 0.0, []
    while left:
        left -= EXPIRE_STEP
        paces.append(rest_s(left, SLOT_S - passed))
        passed += paces[-1] if left else 0.0
    assert passed < SLOT_S
    assert max(paces[:100]) < 1.1 * min(paces[:100])


def test_a_page_in_the_middle() -> None:
    """Lines are ranked from their place; members of a board of scores lose the time before the player."""
    reply = ["ok", 3, 10, ["0123456789aann", "5", "0123456789bbob", "3"], 11, "3", 11, ["0123456789bbob", "3"]]
    view = read_view(reply, "score", "bob", None)
    assert (view.season, view.own) == (3, Entry(12, "bob", 3.0))
    assert view.entries == [Entry(11, "ann", 5.0), Entry(12, "bob", 3.0)]
    assert view.neighbours == [Entry(12, "bob", 3.0)]
    assert read_view(["ok", 1, 0, ["ann", "5"], -1, "0", 0, []], "activity", "bob", None).own is None
    with pytest.raises(NotFound, match="season 9 is not kept; season 3 is running"):
        read_view(["unknown", 3], "score", None, 9)


def test_what_a_board_does_not_have() -> None:
    """Modes are the rating board's, seasons not the activity board's."""
    check_board("rating", "duel", 3)
    for board, mode, season, pointer in (("score", "duel", None, "mode"), ("activity", "", 1, "season")):
        with pytest.raises(Invalid) as caught:
            check_board(board, mode, season)
        assert caught.value.pointer == pointer


def test_counts_become_bounded_calls() -> None:
    """Never more than MAX_PLAYERS_A_CALL rows, each count once, in its player's bucket."""
    counts = {(slot, f"p{i}"): i + 1 for slot in (0, 10, 600) for i in range(MAX_PLAYERS_A_CALL)}
    calls = list(count_args(counts))
    assert all(len(args) <= 1 + 4 * MAX_PLAYERS_A_CALL for args in calls)
    assert sum(int(n) for args in calls for n in args[3::4]) == sum(counts.values())
    rows = [tuple(args[i : i + 2]) for args in calls for i in range(1, len(args), 4)]
    assert len(set(rows)) == len(rows)  # slots of one bucket have become one
    assert {row for row in rows if row[0] == "p7"} == {("p7", bucket_of(slot, "p7")) for slot in (0, 10, 600)}


def test_scores_count_no_interactions() -> None:
    """A score travels with its time, a count of zero and all of its digits."""
    assert list(score_args([("a", 1234567.0)], 99)) == [(99, "a", 0, 0, "1234567.0")]


def test_the_oldest_bucket() -> None:
    """A bucket stays until its youngest interaction is a day old, and leaves then."""
    bucket = 10**9
    over_ms = (bucket + BUCKET_S + WINDOW_S) * 1000
    assert oldest_bucket(over_ms - 1) <= bucket < oldest_bucket(over_ms)
