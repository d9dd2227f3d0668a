"""Tells who is in the match, so that they count as online without a heartbeat of their own (`core.presence`).

The arena knows who is connected. Another's game may tell its sidecar, which believes it of players with a seat; as long
as it tells of nobody, whoever has a seat and has not left is taken to be there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, Protocol

from core import keys
from core.presence import beat_head, by_shard
from gamepod.roster import Roster

EVERY_S: Final = 20.0  # nine fit into the time-out's default
TIMEOUT_MS: Final = 180_000  # goes with each call, and matters only of those that listen: a server does not


class Caller(Protocol):
    """What is needed of a Redis client."""

    async def call_many(self, calls: Sequence[tuple[str, str, Sequence[Any]]]) -> list[Any]: ...


class Attendance:
    """See the module. `told` are the players that the game says are connected."""

    def __init__(
        self,
        redis: Caller,
        roster: Roster,
        told: Callable[[], Collection[str]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis, self._roster, self._told, self._clock = redis, roster, told, clock
        self._known: frozenset[str] = frozenset()
        self._due_s = 0.0
        self._game_tells = False
        self.landed = 0  # heartbeats that Redis has

    async def tell(self, connected: Sequence[str] | None) -> None:
        """Tell of everybody, or of those who came since, if it is too early for that. Raises Unavailable."""
        present = self._present(connected)
        now = self._clock()
        due = now >= self._due_s
        players = present if due else present - self._known
        if players:
            game, head = self._roster.match.game, beat_head(TIMEOUT_MS)
            shards = by_shard((game, player) for player in sorted(players))
            await self._redis.call_many(
                [("presence_beat", keys.presence(number), (*head, 0, *members)) for number, members in shards.items()]
            )
            self.landed += len(players)
        self._known = present
        if due:
            self._due_s = now + EVERY_S

    def _present(self, connected: Sequence[str] | None) -> frozenset[str]:
        if connected is not None:
            return frozenset(connected)
        told = self._told()
        self._game_tells = self._game_tells or bool(told)
        here = told if self._game_tells else set(self._roster.seats).difference(self._roster.left)
        return frozenset(self._roster.seats).intersection(here)
