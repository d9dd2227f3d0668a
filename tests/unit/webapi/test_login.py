"""Whose guesses are counted together."""

from __future__ import annotations

import pytest

from webapi.login import whose


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_an_ipv6_network_is_one_guesser(address: str, counted: str) -> None:
    """Who owns a /64 has more addresses than any window could count."""
    assert whose(address) == counted
