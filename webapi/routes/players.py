"""What a game last wrote of a player."""

from __future__ import annotations

from typing import Final

from core.errors import NotFound
from webapi import documents as doc
from webapi.context import Call
from webapi.endpoint import Table

TABLE: Final = Table("players")


@TABLE.route("GET", "/v1/games/{game}/players/{player}", errors=(NotFound,))
async def views(call: Call) -> doc.PlayerViews:
    """A player's state in play, and his position while it is fresh."""
    return await call.services.boards.views(call.path("game"), call.path("player"))
