"""The candidate of one game, as its matchmaker knows it: which matches it gets, and whether it goes on.

Read with the registration, once a second. Where it fails clearly more than the current version (`core.versions`) it is
stopped here, by whoever holds the game's lease; matches that were claimed with it keep it.
"""

from __future__ import annotations

import msgspec

from core import log
from core.clock import now_ms
from core.model import Game
from core.versions import Canary, Outcomes, is_candidates, outcomes, verdict
from matchmaker.store import GameStore


class CanaryWatch:
    """See the module. Raises Unavailable and Fenced as the store does."""

    def __init__(self, store: GameStore) -> None:
        self._store = store
        self._log = log.get("matchmaker.canary").bind(game=store.game)
        self._canary: Canary | None = None

    async def look(self, current: Game | None) -> None:
        """Read what is tried now, and stop it if it is to be."""
        self._canary = None
        if current is None:
            return
        try:
            canary = await self._store.canary()
        except msgspec.DecodeError as error:
            self._log.error("the canary cannot be read; no match gets it", error=str(error))
            return
        if canary is None:
            return
        found = outcomes(await self._store.outcomes(), canary.before)
        candidate = canary.game.version
        why = verdict(found.get(candidate, Outcomes()), found.get(current.version, Outcomes()))
        if not why:
            self._canary = canary
            return
        await self._store.stop_canary(candidate, why, now_ms())
        self._log.warning("the canary is stopped", version=candidate, why=why)

    def game_of(self, match: str, current: Game) -> Game:
        """The version that a new match gets."""
        canary = self._canary
        return canary.game if canary is not None and is_candidates(match, canary.percent) else current
