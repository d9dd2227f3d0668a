"""What a game last wrote of a player."""

from __future__ import annotations

from typing import Final

from core.errors import Forbidden, NotFound
from webapi import documents as doc
from webapi.context import Call
from webapi.endpoint import EVERYONE, Table

TABLE: Final = Table("players")


@TABLE.route("GET", "/v1/games/{game}/players/{player}", who=EVERYONE, errors=(NotFound, Forbidden))
async def views(call: Call) -> doc.PlayerViews:
    """A player's state in play, and his position while it is fresh: your own, or of a player of your game.

    Nobody else's: the state has what the player owns, and the position is exact, where the match may hide it.
    """
    game = call.path("game")
    await call.services.games.recent(game, call.now_ms)
    if call.caller.player != call.path("player") and not await call.is_insider(game):
        raise Forbidden("where others are and what they have is for the game's developer", code="not-yours")
    return await call.services.boards.views(game, call.path("player"))
