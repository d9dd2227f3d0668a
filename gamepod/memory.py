"""What a game told its sidecar, kept with the match: a sidecar that is started again knows it.

Kept in the match's hash and not in a file: a container that is started again finds no file of its own, and those of
the pod are the game's to write too. Written with a beat where anything has changed since the last one, at most
`KEPT_BYTES`; what is more is not kept, and that is said once. It goes with the match's end.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import orjson

from core.errors import MusterError
from gamepod.roster import Roster
from gamepod.sdk.sdk import Sdk
from gamepod.settings import Settings
from gamepod.store import Store, until_answered

log = logging.getLogger(__name__)

KEPT_BYTES: Final = 262_144  # the annotations' bound four times over; only lists can be more


class Memory:
    """Of one sidecar."""

    def __init__(self, settings: Settings, store: Store, sdk: Sdk, roster: Roster) -> None:
        self._store, self._sdk, self._roster = store, sdk, roster
        # Without an id of its own a server is never started again: there is no later life to keep anything for.
        self._again = settings.sidecar and bool(settings.server_id)
        self._kept = b""
        self._said = False

    async def recall(self) -> None:
        """Know again what an earlier life of this server was told. Waits until Redis answers."""
        text = await until_answered(self._store.kept) if self._again else None
        if not text:
            return
        try:
            found: dict[str, Any] = orjson.loads(text)
            self._sdk.metadata.recall(found["labels"], found["annotations"])
            self._sdk.tallies.recall(found)
            self._roster.only_left(player for player in found["left"] if player in self._roster.seats)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("what an earlier life was told cannot be read", extra={"error": str(error)})
            return
        self._sdk.changed()
        log.info("an earlier life of this sidecar is known")

    async def keep(self) -> None:
        """Keep what is new. Where Redis does not answer the next call does."""
        if not self._again:
            return
        told = orjson.dumps({**self._sdk.metadata.told(), **self._sdk.tallies.told(), "left": self._roster.left})
        if told == self._kept:
            return
        if len(told) > KEPT_BYTES:
            if not self._said:
                self._said = True
                log.warning("this game keeps more than outlives its sidecar", extra={"bytes": len(told)})
            return
        try:
            await self._store.keep(told)
        except MusterError as error:
            log.debug("what the game told is not kept yet", extra={"error": error.detail})
            return
        self._kept = told
