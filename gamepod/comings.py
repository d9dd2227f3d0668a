"""Who came into a match and who left it, as its game tells the sidecar: events of the match's log.

The built-in arena knows by itself and tells in its own ticks. A game that tells nobody has none of these events: that
a player has a seat does not say that he came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from core.clock import now_ms
from core.interactions import MATCH_OVER, PLAYER_JOINED, PLAYER_LEFT, Happening, Interaction
from gamepod.roster import Roster
from gamepod.sdk.tallies import Players


class Keeper(Protocol):
    """Who carries events away."""

    def add(self, interactions: Sequence[Interaction], events: Sequence[Happening] = ()) -> None: ...


class Comings:
    """Of one match; told only of players with a seat. `begin` when it is played, `end` before it is told to be over."""

    def __init__(self, players: Players, keeper: Keeper, *, clock: Callable[[], int] = now_ms) -> None:
        self._players, self._keeper, self._clock = players, keeper, clock
        self._roster: Roster | None = None  # while it is played
        self._there: dict[str, None] = {}  # as was told

    def begin(self, roster: Roster, *, resumed: bool) -> None:
        """From now on who comes and leaves is told. `resumed`: who is there was told by an earlier life."""
        self._roster = roster
        if resumed:
            self._there = {player: None for player in self._players.ids if player in roster.seats}
        self.follow()

    def follow(self) -> None:
        """The game told who is there, or who has a seat has changed."""
        roster = self._roster
        if roster is None:
            return
        left = [player for player in self._there if player not in self._players.ids]
        came = [player for player in self._players.ids if player in roster.seats and player not in self._there]
        for player in left:
            del self._there[player]
            self._tell(PLAYER_LEFT, player, reason="left" if player in roster.left else "disconnected")
        for player in came:
            self._there[player] = None
            self._tell(PLAYER_JOINED, player, team=roster.seats[player].team)

    def end(self) -> None:
        """The match is over: who was there has left. Nothing is told after it."""
        for player in self._there:
            self._tell(PLAYER_LEFT, player, reason=MATCH_OVER)
        self._there, self._roster = {}, None

    def _tell(self, name: str, player: str, **more: Any) -> None:
        self._keeper.add((), [Happening(name, 0, self._clock(), player, more)])
