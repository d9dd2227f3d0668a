"""What came of late, as a rate that is known as well as it was seen; and how long things took. PURE."""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict, deque
from statistics import median
from typing import Final

from matchmaker.supply import Rate

EVENTS: Final = 32  # of one kind: a rate within 18 %, and of the last seconds where many come
WINDOW_S: Final = 600.0  # older ones say nothing of now
LEAST_S: Final = 0.05  # a window is no shorter: those who come at once have come at once
KINDS: Final = 256  # groups whose arrivals are remembered; of those that nobody joined lately nothing is known


class Arrivals:
    """Events of one kind, by their times (ms)."""

    def __init__(self, since_ms: int) -> None:
        """Nobody looked before `since_ms`."""
        self._since_ms, self._times = since_ms, list[int]()

    def seen(self, at_ms: int) -> None:
        insort(self._times, at_ms)
        del self._times[:-EVENTS]

    def rate(self, now_ms: int) -> Rate:
        """Of late: the last `EVENTS`, or those of the last `WINDOW_S`."""
        first_ms = now_ms - round(WINDOW_S * 1000)
        times = [at for at in self._times if at >= first_ms]
        if not times:
            return Rate(0, max(LEAST_S, (now_ms - max(self._since_ms, first_ms)) / 1000))
        if len(times) == EVENTS:  # the window begins with the first, which is none that came in it
            return Rate(EVENTS - 1, max(LEAST_S, (now_ms - times[0]) / 1000))
        since_ms = max(first_ms, min(self._since_ms, times[0]))
        return Rate(len(times), max(LEAST_S, (now_ms - since_ms) / 1000))


class ArrivalsByKind:
    """Arrivals of many kinds; the ones that nobody joined for longest are forgotten."""

    def __init__(self, since_ms: int) -> None:
        self._since_ms = since_ms
        self._kinds: OrderedDict[object, Arrivals] = OrderedDict()

    def seen(self, kind: object, at_ms: int) -> None:
        found = self._kinds.pop(kind, None) or Arrivals(self._since_ms)
        self._kinds[kind] = found
        found.seen(at_ms)
        if len(self._kinds) > KINDS:
            self._kinds.popitem(last=False)

    def rate(self, kind: object, now_ms: int) -> Rate:
        found = self._kinds.get(kind)
        return Rate(0, 1.0) if found is None else found.rate(now_ms)


class Durations:
    """The last ones, in seconds."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=EVENTS)

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)

    def median(self) -> float | None:
        """None before any was seen."""
        return median(self._seconds) if self._seconds else None
