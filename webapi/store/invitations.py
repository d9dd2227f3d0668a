"""Invitations into parties, by the player who is invited. They are good for an hour, and no right to anything: whoever
has the code may join.
"""

from __future__ import annotations

from typing import Final

import msgspec

from core import keys
from core.errors import TooMany
from core.redis.batch import Batch

GOOD_MS: Final = 3_600_000
MOST: Final = 20  # of a player


class Invitation(msgspec.Struct, frozen=True):
    """Who invited, and when."""

    player: str
    name: str
    at_ms: int


_decoder: Final = msgspec.json.Decoder(Invitation)


class Invitations:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def put(self, player: str, code: str, invitation: Invitation) -> None:
        """Invite a player. Raises TooMany where as many wait for him already."""
        text = msgspec.json.encode(invitation)
        reply = await self._batch.call(
            "invite_put", keys.invitations(player), code, text, invitation.at_ms, GOOD_MS, MOST
        )
        if reply[0] != "ok":
            raise TooMany(f"{MOST} invitations wait for this player", retry_after_s=60, code="too-many-invitations")

    async def read(self, player: str, now_ms: int) -> list[tuple[str, Invitation]]:
        """Codes and invitations that wait for a player, the newest first."""
        found = await self._batch.do("HGETALL", keys.invitations(player))
        rows = [(code, _decoder.decode(text)) for code, text in found.items()]
        good = [row for row in rows if row[1].at_ms + GOOD_MS > now_ms]
        return sorted(good, key=lambda row: row[1].at_ms, reverse=True)

    async def remove(self, player: str, code: str) -> None:
        """Forget an invitation."""
        await self._batch.do("HDEL", keys.invitations(player), code)
