"""Orders to drain: what applies to a game, and what cannot be read."""

from __future__ import annotations

from core.drain import EVERYTHING, Drain, applying, read_orders

KEPT = Drain(5, note="maps")
ENDED = Drain(7, "end", 90)


def test_two_orders_are_as_strict_as_the_stricter() -> None:
    """The game's own order and the installation's: the earlier beginning and deadline, `end` before `keep`."""
    assert applying({}, "duel") is None
    assert applying({"other": ENDED}, "duel") is None
    assert applying({"duel": KEPT}, "duel") == KEPT
    assert applying({EVERYTHING: ENDED}, "duel") == ENDED
    assert applying({"duel": KEPT, EVERYTHING: ENDED}, "duel") == Drain(5, "end", 90, "maps")
    assert applying({"duel": Drain(9, until_ms=50), EVERYTHING: ENDED}, "duel") == Drain(7, "end", 50)


def test_an_order_of_a_newer_release_drains() -> None:
    """Fields that are not known are passed over; what cannot be read at all drains as the gentlest order does."""
    found = read_orders({"a": '{"since_ms": 5, "note": "maps", "more": 1}', "b": '{"since_ms": 5, "queue": "burn"}'})
    assert found == {"a": KEPT, "b": Drain(0)}
