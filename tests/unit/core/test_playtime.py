"""Limits to play-time: what they mean at a moment, beside a look at each minute."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.playtime import MINUTE_MS, Curfew, PlaySpec, check_play, judge, sentence
from core.presence import DAY_MS, day_of

NIGHT = Curfew("22:00", "06:00")
NOON_MS = 20_000 * DAY_MS + DAY_MS // 2

clocks = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59))
curfews = st.builds(Curfew, clocks, clocks).filter(lambda it: it.begins != it.ends)
specs = st.builds(
    PlaySpec,
    daily_min=st.none() | st.integers(1, 1440),
    curfew=st.none() | curfews,
    warn_min=st.integers(0, 240),
    utc_offset_min=st.integers(-720, 840),
).filter(lambda it: it.daily_min is not None or it.curfew is not None)


def test_a_daily_limit() -> None:
    """Warned before it, refused at it, until the game's midnight."""
    spec = PlaySpec(daily_min=120, warn_min=15)
    today = day_of(NOON_MS, 0)
    free = judge(spec, {}, NOON_MS)
    assert (free.allowed, free.warn, free.left_s) == (True, False, 7200)
    warned = judge(spec, {today: 106 * MINUTE_MS}, NOON_MS)
    assert (warned.allowed, warned.warn, warned.why, warned.left_s) == (True, True, "daily", 14 * 60)
    refused = judge(spec, {today: 120 * MINUTE_MS}, NOON_MS)
    assert (refused.allowed, refused.why, refused.retry_after_s) == (False, "daily", 12 * 3600)
    assert judge(spec, {today - 1: DAY_MS}, NOON_MS).allowed


def test_a_curfew_by_the_games_clock() -> None:
    """Two hours ahead of UTC, 22:00 is 20:00 UTC; it ends in the morning of the next day."""
    spec = PlaySpec(curfew=NIGHT, utc_offset_min=120)
    evening = NOON_MS + 7 * 3_600_000 + 50 * MINUTE_MS  # 19:50 UTC
    warned = judge(spec, {}, evening)
    assert (warned.allowed, warned.warn, warned.why, warned.left_s) == (True, True, "curfew", 600)
    refused = judge(spec, {}, evening + 10 * MINUTE_MS)
    assert (refused.allowed, refused.why, refused.retry_after_s) == (False, "curfew", 8 * 3600)


def test_both_limits_end_before_one_may_come_back() -> None:
    """A day that is used up ends at midnight, in the middle of the curfew: he may come back in the morning."""
    spec = PlaySpec(daily_min=60, curfew=NIGHT)
    refused = judge(spec, {day_of(NOON_MS, 0): 60 * MINUTE_MS}, NOON_MS)
    assert refused.retry_after_s == 18 * 3600


@given(specs, st.integers(0, 1440), st.integers(0, 3 * 1440))
def test_when_it_says_to_come_back_one_may(spec: PlaySpec, minutes: int, at: int) -> None:
    """Refused until exactly then, looking at each minute in between; allowed, refused exactly when it said."""
    now = 20_000 * DAY_MS + at * MINUTE_MS
    played = {day_of(now, spec.utc_offset_min): minutes * MINUTE_MS}
    found = judge(spec, played, now)
    if found.allowed:
        assert found.retry_after_s == 0
        assert not found.warn or (found.left_s is not None and found.left_s <= spec.warn_min * 60)
        if found.left_s is not None:
            later = now + found.left_s * 1000
            today = day_of(now, spec.utc_offset_min)
            then = {today: played[today] + later - now}
            assert not judge(spec, then, later).allowed
        return
    back = now + found.retry_after_s * 1000
    assert judge(spec, played, back).allowed
    for minute in range(now, back, 7 * MINUTE_MS):
        assert not judge(spec, played, minute).allowed


def test_limits_that_cannot_be_meant() -> None:
    """No limit at all, and a curfew without length."""
    for spec in (PlaySpec(), PlaySpec(curfew=Curfew("06:00", "06:00"))):
        with pytest.raises(Invalid, match=r"play|curfew"):
            check_play(spec)
    check_play(PlaySpec(daily_min=1, curfew=NIGHT))


def test_sentences() -> None:
    """Who is refused is told why, and so is who asked for him."""
    spec = PlaySpec(daily_min=60, curfew=NIGHT)
    assert sentence(spec, "curfew", "") == "you may not play between 22:00 and 06:00"
    assert sentence(spec, "daily", "Bob") == "Bob may play 60 minutes a day, and did so today"
