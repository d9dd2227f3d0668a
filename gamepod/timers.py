"""Why a match ends although its players do not end it. PURE: the clock is an argument, in seconds."""

from __future__ import annotations

from collections.abc import Collection

from core.model import Timers


class MatchTimers:
    """The timers of a running match: nobody came, nobody is left, too long."""

    def __init__(self, timers: Timers, ready_s: float) -> None:
        self._timers = timers
        self._ready_s = ready_s
        self._joins = 0
        self._empty_since_s = ready_s

    def ending(self, connected: int | None, joins: int, now_s: float) -> str:
        """The reason to end the match, or "" to play on.

        `connected` players now, None where nobody can tell; `joins` since the start: who joins and leaves between two
        looks was there too.
        """
        if now_s - self._ready_s >= self._timers.length_s:
            return "too_long"
        if connected is None:
            return ""
        if connected or joins > self._joins:
            self._joins = joins
            self._empty_since_s = now_s
            return ""
        empty_s = now_s - self._empty_since_s
        if not joins:
            return "no_show" if empty_s >= self._timers.join_s else ""
        return "empty" if empty_s >= self._timers.empty_s else ""


class Grace:
    """Who lost the connection keeps the seat for `reconnect_s`."""

    def __init__(self, reconnect_s: float) -> None:
        self._reconnect_s = reconnect_s
        self._here: set[str] = set()
        self._away: dict[str, float] = {}  # since when

    def over(self, here: Collection[str], now_s: float) -> list[str]:
        """Take in who is there now; returns those whose time to come back is over, each once."""
        for player in self._here.difference(here):
            self._away[player] = now_s
        self._here = set(here)
        for player in self._here:
            self._away.pop(player, None)
        gone = [player for player, since_s in self._away.items() if now_s - since_s >= self._reconnect_s]
        for player in gone:
            del self._away[player]
        return gone
