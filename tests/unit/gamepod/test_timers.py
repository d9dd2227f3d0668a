"""Timers of a running match: when nobody came, nobody is left, it is too long, and a seat is free again."""

from __future__ import annotations

from core.model import Timers
from gamepod.timers import Grace, MatchTimers

TIMERS = Timers(join_s=10, empty_s=5, length_s=100, reconnect_s=3)


def test_no_show_and_empty() -> None:
    """Nobody until `join_s`; nobody left for `empty_s`; who came and went between two looks was there."""
    timers = MatchTimers(TIMERS, 0.0)
    assert timers.ending(0, 0, 9.9) == ""
    assert MatchTimers(TIMERS, 0.0).ending(0, 0, 10) == "no_show"
    assert timers.ending(1, 1, 12) == ""
    assert timers.ending(0, 2, 14) == ""  # another one came, and went
    assert timers.ending(0, 2, 18.9) == ""
    assert timers.ending(0, 2, 19) == "empty"


def test_where_nobody_can_tell_only_the_length_counts() -> None:
    """A plain game is never empty: it is too long."""
    timers = MatchTimers(TIMERS, 0.0)
    assert timers.ending(None, 0, 99.9) == ""
    assert timers.ending(None, 0, 100) == "too_long"


def test_a_seat_is_kept_for_a_while() -> None:
    """Back in time is no leave; not back is one, told once; who comes back later counts anew."""
    grace = Grace(3.0)
    assert grace.over({"a", "b"}, 0) == []
    assert grace.over({"a"}, 1) == []
    assert grace.over({"a", "b"}, 3.9) == []
    assert grace.over({"a"}, 4) == []
    assert grace.over({"a"}, 7) == ["b"]
    assert grace.over({"a"}, 20) == []
    assert grace.over({"a", "b"}, 21) == []
    assert grace.over(set(), 22) == []
    assert sorted(grace.over(set(), 25)) == ["a", "b"]
