"""Who is in a match whose game is not ours, and what follows: nobody came, nobody is left, one who lost his connection.

Known is what the game tells (the SDK's players, `/muster/v1/players`) or, where its registration says so, how many
connections its TCP ports have. Where neither is told nobody is judged by it: only the match's length ends it then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from typing import Final

from core.model import Match
from gamepod.outcome import GameFailed
from gamepod.ports import connections
from gamepod.roster import Roster
from gamepod.sdk.server import ServerLife
from gamepod.sdk.tallies import Players
from gamepod.timers import Grace, MatchTimers

log = logging.getLogger(__name__)

LOOK_S: Final = 0.25  # between two looks at who is there


class Turnout:
    """Of one match, from its first `until_ending` on."""

    def __init__(self, match: Match, roster: Roster, players: Players) -> None:
        self._timers, self._counted_by = match.timers, match.server.counted_by
        self._roster, self._players = roster, players
        self._grace = Grace(match.timers.reconnect_s)
        self._connections = 0  # at the last look
        self._counted = 0  # how often there was one after there was none

    async def until_ending(self, listen: Sequence[int]) -> str:
        """Wait until a timer ends the match; returns its name. `listen`: the game's TCP ports."""
        timers = MatchTimers(self._timers, time.monotonic())
        while True:
            now_s = time.monotonic()
            self._follow(now_s)
            if reason := timers.ending(*await self._there(listen), now_s):
                return reason
            await asyncio.sleep(min(LOOK_S, self._timers.length_s / 4))

    def _follow(self, now_s: float) -> None:
        """Who came back is there again; who stayed away for too long has left."""
        ids: Collection[str] = self._players.ids
        for player in ids:
            if player in self._roster.seats:
                self._roster.came(player)
        for player in self._grace.over(ids, now_s):
            if player in self._roster.seats:
                log.info("a player did not come back in time", extra={"player": player})
                self._roster.went(player)

    async def _there(self, listen: Sequence[int]) -> tuple[int | None, int]:
        """How many are there, None where nobody can tell, and how many came so far."""
        if self._counted_by == "connections":
            before, found = self._connections, await connections(listen)
            if found is None:
                return None, 0
            self._connections = found
            self._counted += found > before
            return found, self._counted
        if self._counted_by == "auto" and not self._players.joins:
            return None, 0
        return len(self._players.ids), self._players.joins


async def until_over(life: ServerLife, turnout: Turnout, listen: Sequence[int]) -> str:
    """Wait until the game asks for its end (`exited`) or a timer ends it; returns the reason.

    Raises GameFailed (crashed) where its signs of health stayed away.
    """
    asked = asyncio.ensure_future(life.until_asked_to_end())
    timer = asyncio.ensure_future(turnout.until_ending(listen))
    either: set[asyncio.Future[str]] = {asked, timer}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            return timer.result()
        if lost := asked.result():
            raise GameFailed("crashed", lost)
        return "exited"
    finally:
        for task in either:
            task.cancel()
        await asyncio.gather(*either, return_exceptions=True)
