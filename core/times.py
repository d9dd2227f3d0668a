"""How long things took, counted in buckets. PURE.

A fifth of the price of the metrics library's own histogram, which matters where it is counted for every request; and
game servers, which cannot afford that library, count the same way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

# Of a round trip to Redis: a healthy one takes less than a millisecond on a host, and a few across a network.
TRIP_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Times:
    """`counts` has an entry for each of the ascending `bounds` (seconds, inclusive), and one for what is beyond."""

    __slots__ = ("bounds", "counts", "total_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total_s += seconds


class Trips:
    """Round trips of one process to Redis: how long those took that came back, and how many did not."""

    __slots__ = ("failed", "took")

    def __init__(self) -> None:
        self.took = Times(TRIP_S)
        self.failed = 0
