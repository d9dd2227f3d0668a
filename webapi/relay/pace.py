"""How much may pass: buckets that refill with time. PURE.

What came is passed on, and only then paid for; who owes reads nothing more until it is paid. So a bound slows a
connection down and loses nothing, and what waits meanwhile comes in fewer, larger pieces, which cost less.
"""

from __future__ import annotations


class Bucket:
    """`rate` a second, and as much at once after a second's rest."""

    __slots__ = ("_at_s", "_left", "_rate")

    def __init__(self, rate: float, now_s: float) -> None:
        self._rate = rate
        self._left = rate
        self._at_s = now_s

    def take(self, amount: float, now_s: float) -> float:
        """Take what has passed already; returns the seconds until the next may, 0 if at once."""
        self._left = min(self._rate, self._left + (now_s - self._at_s) * self._rate) - amount
        self._at_s = now_s
        return -self._left / self._rate if self._left < 0 else 0.0
