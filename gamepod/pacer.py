"""When the next tick is due. PURE: the clock is an argument, in seconds.

Ticks keep to a fixed grid of time, so a late one does not delay those after it. A loop that falls behind plays a few
ticks at once to catch up; when it is further behind than that it gives the time up, and counts it, since a server that
is too slow would only fall behind more by playing it all (the spiral of death).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Final

MAX_CATCH_UP: Final = 5  # ticks played at once; at 60 Hz this hides a stall of 80 ms
LATENESS_S: Final = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064)  # bounds of the histogram
MOST_PERIODS: Final = 2  # that what can wait is put off; of views, two seconds
STRAIN_OF: Final = 16  # times that the moving mean looks back on: half a second of flushes
EARLY_S: Final = 0.001  # event loops sleep in whole milliseconds, and so may wake a little early


class Pacer:
    """A grid of `rate_hz` ticks a second from `start_s` on."""

    def __init__(self, rate_hz: float, start_s: float) -> None:
        self.period_s = 1.0 / rate_hz
        self.next_s = start_s + self.period_s
        self.late = 0  # ticks that began a whole period or more after their time
        self.skipped = 0  # ticks never played
        self.lateness = [0] * (len(LATENESS_S) + 1)  # wake-ups by how late they were
        self.lateness_s = 0.0  # their sum
        self._worst_s = 0.0

    def due(self, now_s: float) -> int:
        """How many ticks to play now, 0 to MAX_CATCH_UP; they count as played."""
        behind_s = now_s - self.next_s
        if behind_s < -EARLY_S:
            return 0
        self._worst_s = max(self._worst_s, behind_s)
        self.lateness[bisect_left(LATENESS_S, behind_s)] += 1
        self.lateness_s += max(0.0, behind_s)
        ticks = 1 + max(0, int(behind_s / self.period_s))
        if ticks > 1:
            self.late += ticks - 1
        if ticks > MAX_CATCH_UP:
            self.skipped += ticks - MAX_CATCH_UP
        self.next_s += ticks * self.period_s
        return min(ticks, MAX_CATCH_UP)

    def wait_s(self, now_s: float) -> float:
        """How long to sleep until the next tick."""
        return max(0.0, self.next_s - now_s)

    def take_worst_s(self) -> float:
        """The worst lateness of a tick since the last call, in seconds."""
        worst_s, self._worst_s = self._worst_s, 0.0
        return worst_s


class Beat:
    """What is done once a period, on a grid of time whose phase is `share` (0-1) of the period.

    Of many who have the same period each keeps its own place: whoever is held up comes back to it.
    """

    def __init__(self, period_s: float, share: float) -> None:
        self.due_s = 0.0  # at once, for the first time
        self._period_s = period_s
        self._phase_s = period_s * share

    def passed(self, now_s: float, periods: int = 1) -> None:
        """It is done now, and due again some `periods` later. A beat that was missed is not made up for; one that came
        early is not made twice."""
        place = math.floor((max(now_s, self.due_s) - self._phase_s) / self._period_s + 1e-6)
        self.due_s = (place + periods) * self._period_s + self._phase_s


class Strain:
    """How late what goes first is of late, and so how many periods what can wait is to wait: 1 to MOST_PERIODS.

    One for each `free_s` of a moving mean. A host that is short of processor time spends it on what goes first.
    """

    def __init__(self, free_s: float) -> None:
        self._free_s = free_s
        self._mean_s = 0.0

    def told(self, late_s: float) -> None:
        """What goes first was so late once more. A long absence counts no more than being as late as matters twice."""
        most_s = 2 * MOST_PERIODS * self._free_s
        self._mean_s += (min(max(0.0, late_s), most_s) - self._mean_s) / STRAIN_OF

    @property
    def periods(self) -> int:
        return min(MOST_PERIODS, max(1, int(self._mean_s / self._free_s)))
