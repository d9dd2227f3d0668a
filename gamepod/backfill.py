"""Asking for players: because the game's process says so (sidecar), or by itself where the arena's settings do."""

from __future__ import annotations

from core.clock import new_id
from core.doorbell import Doorbell
from gamepod.roster import Roster
from gamepod.store import Store


class Backfill:
    """The match's requests for players, as this server makes them. The newest replaces the older, whoever made it."""

    def __init__(self, store: Store, roster: Roster, bell: Doorbell) -> None:
        self._store, self._roster, self._bell = store, roster, bell
        self._asked_for: tuple[int, list[str]] | None = None  # the seats, and who had left, at our last request

    async def ask(self) -> str:
        """Ask for players; returns the request's id. Raises Conflict where the match is not running, Unavailable."""
        roster = self._roster
        asked_for = (roster.number, roster.left)
        request = new_id("backfill")
        await self._store.ask(request, roster.number, roster.left)
        self._asked_for = asked_for
        self._bell.ring("queue", [roster.match.game])
        return request

    async def stop(self) -> None:
        """Ask no more. Raises as `ask`."""
        await self._store.ask("", self._roster.number, self._roster.left)
        self._asked_for = None

    async def follow(self) -> None:
        """Ask while there are seats of players who left, again when that changes. Raises as `ask`."""
        if not self._roster.free:
            if self._asked_for is not None:
                await self.stop()
        elif self._asked_for != (self._roster.number, self._roster.left):
            await self.ask()
