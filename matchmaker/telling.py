"""Tells of one queue what others ask: why a ticket waits still, and once a second how the queue goes.

Beside matching, not in it: a question costs no pass and no player's time. Questions stand in Redis for seconds; what is
answered comes from the memory of the last pass, in one round trip, and is told by a ring.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec

from core import keys
from core.clock import now_ms
from core.insight import ANSWER_MS, FIGURES_MS, QUESTIONS
from matchmaker.insight import Insight
from matchmaker.leases import Lease
from matchmaker.shared import Shared

AT_ONCE: Final = 64  # answers, some 50 us each
GAP_S: Final = 0.1  # between two answerings: 640 answers a second take 3 % of a core
FIGURES_S: Final = 1.0
QUIET_S: Final = 1.0  # where nobody asks; a lost ring costs so long


class Telling:
    """See the module. `step` is run by one task only."""

    def __init__(self, shared: Shared, lease: Lease, insight: Insight) -> None:
        self._shared, self._insight = shared, insight
        self._base, self._token = keys.game(lease.game), lease.token
        self._figures_at = float("-inf")
        self._answered_at = float("-inf")

    async def step(self) -> float:
        """Answer, and publish where it is time to. Returns the seconds until the next. Raises Unavailable, Fenced."""
        now = now_ms()
        if not self._insight.idle(now) and time.monotonic() - self._figures_at >= FIGURES_S:
            self._figures_at = time.monotonic()
            figures = msgspec.json.encode(self._insight.figures(now))
            await self._shared.db.call("figures_tell", self._base, self._token, FIGURES_MS, figures)
        if not self._insight.waiting:
            return QUIET_S  # thousands of games that nobody plays cost nothing here
        if (early_s := self._answered_at + GAP_S - time.monotonic()) > 0:
            return early_s
        return GAP_S if await self._answer() else QUIET_S

    async def _answer(self) -> bool:
        """Answer whom can be answered. Returns whether questions are left."""
        asked = await self._shared.db.do("ZRANGE", f"{self._base}:asked", 0, QUESTIONS - 1)
        if not asked:
            return False
        answers = self._insight.why(asked, AT_ONCE, now_ms())
        if answers:
            told = [part for ticket, why in answers.items() for part in (ticket, msgspec.json.encode(why))]
            await self._shared.db.call("why_tell", self._base, self._token, ANSWER_MS, *told)
            self._shared.bell.ring("told", answers)
            self._answered_at = time.monotonic()
        return len(answers) < len(asked)
