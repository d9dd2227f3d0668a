"""Leaderboards: interactions of the last 24 hours, and best scores."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from core.errors import NotFound
from webapi import documents as doc
from webapi.context import Call
from webapi.endpoint import Table

TABLE: Final = Table("boards")


class Look(Struct, frozen=True, forbid_unknown_fields=True):
    """The first `top`; the rank of `player`, with `around` neighbours on each side."""

    top: Annotated[int, Meta(ge=0, le=100)] = 10
    player: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    around: Annotated[int, Meta(ge=0, le=50)] = 0


@TABLE.route("GET", "/v1/games/{game}/boards/{board}", errors=(NotFound,))
async def read(call: Call, query: Look) -> doc.Board:
    """A leaderboard."""
    return await call.services.boards.board(
        call.path("game"), call.path("board"), top=query.top, player=query.player, around=query.around
    )
