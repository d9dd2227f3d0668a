"""Seasons: what is left of a rating, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Conflict, Invalid
from core.rating import NEWCOMER, Rating, carried, read_rating
from core.season import Running, check_end, check_ended, read_running, read_seasons

SHARES = st.floats(0.01, 1)
RATINGS = st.builds(Rating, st.floats(0, 4000), st.floats(20, 500), st.integers(1, 1000))


def test_a_share_for_each_season_that_ended() -> None:
    """A rating loses with each season since it was stored; nothing is known of one older than the archives."""
    running = read_running(["4", "1 0.5 0.2"])
    assert running == Running(4, (1.0, 0.5, 0.2))
    assert [round(running.share(season), 3) for season in (5, 4, 3, 2, 1, 0)] == [1.0, 1.0, 0.2, 0.1, 0.1, 0.0]
    assert read_running([None, None]) == Running(1, ())


@given(RATINGS, SHARES, SHARES)
def test_two_seasons_hand_over_what_one_would(rating: Rating, one: float, two: float) -> None:
    """Carrying over twice is carrying over the product, but for rounding; nobody becomes surer than before."""
    twice, once = carried(carried(rating, one), two), carried(rating, one * two)
    assert twice.mu == pytest.approx(once.mu, abs=0.01)
    assert twice.sigma == pytest.approx(once.sigma, abs=0.01)
    assert once.sigma >= rating.sigma - 0.001
    assert min(rating.mu, 1500) - 0.001 <= once.mu <= max(rating.mu, 1500) + 0.001


def test_the_ends_of_carrying_over() -> None:
    """All of it is the rating itself, nothing of it a newcomer's."""
    rating = Rating(1800.0, 90.0, 40)
    assert carried(rating, 1.0) == rating
    assert carried(rating, 0.0) == NEWCOMER
    assert carried(rating, 0.5) == Rating(1650.0, 435.345, 40)
    assert read_rating("1800.0 90.0 40 1", Running(2, (0.5,))) == Rating(1650.0, 435.345, 40)
    assert read_rating("1800.0 90.0 40 2", Running(2, (0.5,))) == rating


def test_ended_seasons_are_listed_newest_first() -> None:
    """The hash of a game that never ended a season is empty."""
    text = '{"season":%d,"started_ms":0,"ended_ms":5,"carry":1,"boards":{"score":2}}'
    seasons = read_seasons({"now": "11", "since": "7", "e:9": text % 9, "e:10": text % 10})
    assert (seasons.running, seasons.since_ms, [it.season for it in seasons.ended]) == (11, 7, [10, 9])
    assert read_seasons({}) == (1, 0, [])


@pytest.mark.parametrize(("season", "carry", "pointer"), [(0, 1, "season"), (1, -0.1, "carry"), (1, 1.1, "carry")])
def test_what_can_be_no_end(season: int, carry: float, pointer: str) -> None:
    """The refusal names the field."""
    with pytest.raises(Invalid) as caught:
        check_end(season, carry)
    assert caught.value.pointer == pointer


def test_a_season_that_has_not_begun() -> None:
    """It says which one is running; a repeat is no error."""
    check_ended(3, ["ok", 4])
    check_ended(3, ["repeat", 4])
    with pytest.raises(Conflict, match="season 4 is running"):
        check_ended(5, ["ahead", 4])
