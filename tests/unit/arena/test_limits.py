"""Cookies and rates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gamepod.transport.cookies import Cookies
from gamepod.transport.limits import AddressLimiter, TokenBucket


def test_a_cookie_proves_one_address_for_a_while() -> None:
    """A cookie is good for its address in its window and the next, and for nothing else."""
    cookies = Cookies(b"secret", 10.0)
    cookie = cookies.issue("1.2.3.4|5", 100_000)
    assert cookies.valid(cookie, "1.2.3.4|5", 100_000)
    assert cookies.valid(cookie, "1.2.3.4|5", 119_999)
    assert not cookies.valid(cookie, "1.2.3.4|5", 120_000)
    assert not cookies.valid(cookie, "1.2.3.4|6", 100_000)
    assert not Cookies(b"other", 10.0).valid(cookie, "1.2.3.4|5", 100_000)


@given(cookie=st.text(max_size=40))
def test_a_guessed_cookie_is_refused(cookie: str) -> None:
    """Any text that was not issued is refused without an exception."""
    assert not Cookies(b"secret", 10.0).valid(cookie, "1.2.3.4|5", 0)


def test_a_bucket_allows_a_burst_and_then_its_rate() -> None:
    """A bucket gives its burst at once, then refills with time; a clock that goes back gives nothing."""
    bucket = TokenBucket(10.0, 3.0, 1000)
    assert [bucket.take(1000) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(500)
    assert bucket.take(1100)
    assert not bucket.take(1100)


def test_addresses_are_limited_one_by_one_and_bounded() -> None:
    """Each address has its own bucket, and the table forgets the longest unseen at its bound."""
    limiter = AddressLimiter(1.0, 1.0, 2)
    assert limiter.take("a", 0)
    assert not limiter.take("a", 0)
    assert limiter.take("b", 0)
    assert limiter.take("c", 0)
    assert len(limiter) == 2
