"""How often the live matches of a game are looked at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from matchmaker.watch import GAP_EACH_S, GAP_S, rest_s


@given(st.integers(0, 100_000), st.floats(0.01, 10))
def test_many_live_matches_are_looked_at_less_often_and_all_within_a_poll(live: int, poll_s: float) -> None:
    """Whatever the number, the rest is as long as their reading is costly, and never longer than the poll."""
    rest = rest_s(live, poll_s)
    assert rest == poll_s or (rest >= GAP_S and rest >= live * GAP_EACH_S)
    assert rest <= poll_s


def test_few_live_matches_rest_as_long_as_none() -> None:
    """A thousand matches are no reason to be slower."""
    assert rest_s(1000, 1.0) == rest_s(0, 1.0) == GAP_S
