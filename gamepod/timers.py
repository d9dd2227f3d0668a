"""Why a match in the arena ends although its players do not end it. PURE: the clock is an argument, in seconds."""

from __future__ import annotations

from core.model import Timers


class MatchTimers:
    """The timers of a running match: nobody came, nobody is left, too long."""

    def __init__(self, timers: Timers, ready_s: float) -> None:
        self._timers = timers
        self._ready_s = ready_s
        self._joins = 0
        self._empty_since_s = ready_s

    def ending(self, connected: int, joins: int, now_s: float) -> str:
        """The reason to end the match, or "" to play on.

        `connected` players now, `joins` since the start: who joins and leaves between two looks was there too.
        """
        if now_s - self._ready_s >= self._timers.length_s:
            return "too_long"
        if connected or joins > self._joins:
            self._joins = joins
            self._empty_since_s = now_s
            return ""
        empty_s = now_s - self._empty_since_s
        if not joins:
            return "no_show" if empty_s >= self._timers.join_s else ""
        return "empty" if empty_s >= self._timers.empty_s else ""
