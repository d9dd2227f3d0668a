"""Holds calls back after one that failed in passing. PURE: time and chance are arguments.

All matches and servers call one server, which may ask for peace (429), be overloaded (5xx) or not be there. After such
a failure nobody calls until a pause is over, at least as long as the server asked for; then one call tries for all.
The pause grows with each try that fails, up to `LONGEST_S`; one that passes ends it. So however many matches wait,
the server hears of it once a pause.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST_S: Final = 0.5
LONGEST_S: Final = 5.0
ASKED_MOST_S: Final = 30.0  # of what a server may ask for: players wait
JITTER: Final = 0.25  # over the pause: replicas should not try in step


class Brake:
    """See the module. `chance` gives a number from 0 to 1."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._failures = 0
        self._until_s = 0.0
        self._trying = False
        self.why = ""  # the last failure

    @property
    def on(self) -> bool:
        """Whether the last call that ended has failed: then one call is made at a time."""
        return self._failures > 0

    def holds(self, now_s: float) -> bool:
        """Whether no call may be made now."""
        return self.on and (self._trying or now_s < self._until_s)

    def enter(self, now_s: float) -> bool:
        """Whether a call may be made now. One that is made ends in `passed`, `failed` or `dropped`."""
        if self.holds(now_s):
            return False
        self._trying = self.on
        return True

    def passed(self) -> None:
        """A call was answered."""
        self._failures, self._trying, self.why = 0, False, ""

    def failed(self, now_s: float, asked_s: float, why: str) -> None:
        """A call failed in passing; `asked_s` is how long the server asked to be left alone."""
        if not self.holds(now_s) or self._trying:  # not one of many that were under way together
            self._failures += 1
        self._trying, self.why = False, why
        grown_s = min(LONGEST_S, FIRST_S * 2.0 ** min(self._failures - 1, 10))
        pause_s = max(grown_s, min(asked_s, ASKED_MOST_S)) * (1 + JITTER * self._chance())
        self._until_s = max(self._until_s, now_s + pause_s)

    def dropped(self) -> None:
        """A call was given up by whoever made it: nothing was learnt."""
        self._trying = False
