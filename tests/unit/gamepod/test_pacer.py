"""The grid of ticks, and the timers of a match in the arena."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.model import Timers
from gamepod.pacer import EARLY_S, LATENESS_S, MAX_CATCH_UP, MOST_PERIODS, Beat, Pacer, Strain
from gamepod.timers import MatchTimers


def test_ticks_keep_to_their_grid() -> None:
    """A late tick does not delay those after it."""
    pacer = Pacer(10, 0.0)
    assert pacer.due(0.05) == 0
    assert pacer.due(0.13) == 1
    assert abs(pacer.wait_s(0.13) - 0.07) < 1e-9
    assert pacer.due(0.2 - EARLY_S / 2) == 1
    assert (pacer.late, pacer.skipped) == (0, 0)


def test_a_short_stall_is_caught_up_and_a_long_one_given_up() -> None:
    """Up to MAX_CATCH_UP ticks are played at once; the rest is counted and never played."""
    pacer = Pacer(10, 0.0)
    assert pacer.due(0.35) == 3
    assert (pacer.late, pacer.skipped) == (2, 0)
    assert pacer.due(2.01) == MAX_CATCH_UP
    assert pacer.skipped == 17 - MAX_CATCH_UP
    assert pacer.wait_s(2.01) > 0
    assert pacer.take_worst_s() > 1.5
    assert pacer.take_worst_s() == 0.0


def test_lateness_is_counted_by_its_bounds() -> None:
    """Each wake-up is in the first bound that it does not pass, and beyond the last one in the rest."""
    pacer = Pacer(10, 0.0)
    pacer.due(0.1)
    pacer.due(0.203)
    pacer.due(1.0)
    assert pacer.lateness[0] == 1
    assert pacer.lateness[LATENESS_S.index(0.004)] == 1
    assert pacer.lateness[-1] == 1
    assert abs(pacer.lateness_s - 0.703) < 1e-9


@given(st.lists(st.floats(0.0, 0.3), max_size=50))
def test_every_tick_is_played_or_counted_as_skipped(sleeps: list[float]) -> None:
    """However the loop stumbles, played and skipped ticks add up to the time that went by."""
    pacer, now, played = Pacer(60, 0.0), 0.0, 0
    for sleep in sleeps:
        now += sleep
        played += pacer.due(now)
    assert abs((played + pacer.skipped) - now * 60) <= 1.1


def test_a_match_nobody_joins_is_a_no_show() -> None:
    """The join timer runs from Ready until the first player."""
    timers = MatchTimers(Timers(join_s=30, empty_s=5), 100.0)
    assert timers.ending(0, 0, 129.9) == ""
    assert timers.ending(0, 0, 130.0) == "no_show"


def test_an_empty_match_ends_after_its_own_time_and_a_return_stops_it() -> None:
    """The empty timer runs from when the last player left, and anew after each return."""
    timers = MatchTimers(Timers(join_s=30, empty_s=5), 0.0)
    assert timers.ending(1, 1, 10.0) == ""
    assert timers.ending(0, 1, 14.9) == ""
    assert timers.ending(1, 2, 14.95) == ""
    assert timers.ending(0, 2, 19.9) == ""
    assert timers.ending(0, 2, 20.0) == "empty"


def test_who_joins_and_leaves_between_two_looks_was_there() -> None:
    """A match whose only player left at once is empty, not a no-show."""
    timers = MatchTimers(Timers(join_s=30, empty_s=5), 0.0)
    assert timers.ending(0, 1, 1.0) == ""
    assert timers.ending(0, 1, 6.0) == "empty"


def test_a_match_ends_at_its_length_whoever_plays() -> None:
    """The length timer runs from Ready."""
    timers = MatchTimers(Timers(length_s=60), 0.0)
    assert timers.ending(5, 5, 59.9) == ""
    assert timers.ending(5, 5, 60.0) == "too_long"


@given(st.floats(0.005, 10), st.floats(0, 1), st.lists(st.floats(0, 3), min_size=1, max_size=20))
def test_a_beat_comes_back_to_its_place_and_once_a_period(period: float, share: float, late: list[float]) -> None:
    """However late or a little early a beat is, the next one is later, at most a period away, and on the grid."""
    beat, now = Beat(period, share), 1_000.0
    for periods in late:
        before = beat.due_s
        beat.passed(now)
        assert max(now, before) < beat.due_s <= max(now, before) + period * (1 + 1e-4)
        places = (beat.due_s - period * share) / period
        assert abs(places - round(places)) < 1e-4
        now = beat.due_s + periods * period - EARLY_S / 10


@given(st.floats(0.005, 10), st.floats(0, 1), st.floats(0, 100), st.integers(1, MOST_PERIODS))
def test_a_beat_that_is_put_off_keeps_its_place(period: float, share: float, now: float, periods: int) -> None:
    """It is later by so many periods less one, no more, and nothing else."""
    once, put_off = Beat(period, share), Beat(period, share)
    once.passed(now)
    put_off.passed(now, periods)
    assert abs(put_off.due_s - once.due_s - (periods - 1) * period) < 1e-6


def test_what_can_wait_is_put_off_while_what_goes_first_is_late_and_no_longer() -> None:
    """A single late one changes nothing, many do, up to the bound; an absence of an hour is soon forgotten."""
    strain = Strain(0.01)
    for _ in range(100):
        strain.told(0.001)
    strain.told(0.1)
    assert strain.periods == 1
    for late_s, periods in ((0.025, 2), (3600.0, MOST_PERIODS), (-0.001, 1)):
        for _ in range(60):
            strain.told(late_s)
        assert strain.periods == periods
