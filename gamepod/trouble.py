"""Who of those that a server writes to does not answer, and when he is asked again."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final

from core.errors import MusterError
from gamepod.flush_stats import FlushStats

log = logging.getLogger(__name__)

PAUSE_S: Final = 0.05  # before the first repeat of a failed call; doubled up to the next
MAX_PAUSE_S: Final = 1.0  # Redis is back for at most so long before it is noticed


class Pause:
    """Until when somebody who failed is left alone."""

    def __init__(self) -> None:
        self.until_s = 0.0  # monotonic
        self._pause_s = 0.0

    def failed(self, now_s: float) -> None:
        """He did not answer: the pause grows."""
        self._pause_s = min(MAX_PAUSE_S, max(PAUSE_S, self._pause_s * 2))
        # Servers that lost the same Redis do not all come back in the same millisecond.
        self.until_s = now_s + self._pause_s * random.uniform(0.75, 1.0)  # noqa: S311 - spreads load, hides nothing

    def answered(self) -> None:
        """He did: he may be asked at once."""
        self.until_s = self._pause_s = 0.0


class Trouble:
    """Says in the log when the first one is away, and when all are back. `report` gives what else is said then."""

    def __init__(self, stats: FlushStats, report: Callable[[], dict[str, Any]]) -> None:
        self._stats, self._report = stats, report
        self._away: set[str] = set()

    def failed(self, what: str, error: MusterError) -> None:
        """A call to `what` failed, and will be repeated."""
        self._stats.failures += 1
        if not self._away:
            self._stats.away_since_s = time.monotonic()
            log.warning("Redis is away: the match plays on", extra={"error": error.detail, "what": what})
        self._away.add(what)

    def answered(self, what: str) -> None:
        """`what` has taken all that waited for it."""
        if what not in self._away:
            return
        self._away.discard(what)
        if not self._away and self._stats.away_since_s is not None:
            away_s = time.monotonic() - self._stats.away_since_s
            self._stats.away_since_s = None
            extra = {"away_s": round(away_s, 2), **self._report()}
            log.warning("Redis is back: everything that was kept is written", extra=extra)
