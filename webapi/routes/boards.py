"""Leaderboards: interactions of the last 24 hours, best scores, and skill ratings."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from core import keys
from core.errors import Invalid, NotFound
from core.model import Mode
from webapi import documents as doc
from webapi.context import Call
from webapi.endpoint import Table

TABLE: Final = Table("boards")


class Look(Struct, frozen=True, forbid_unknown_fields=True):
    """The first `top`; the rank of `player`, with `around` neighbours on each side; `mode` of the rating board."""

    top: Annotated[int, Meta(ge=0, le=100)] = 10
    player: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    around: Annotated[int, Meta(ge=0, le=50)] = 0
    mode: Mode | None = None


@TABLE.route("GET", "/v1/games/{game}/boards/{board}", errors=(NotFound, Invalid))
async def read(call: Call, query: Look) -> doc.Board:
    """A leaderboard. On the rating board a score is the skill that a player has at the least."""
    name = call.path("board")
    if query.mode is not None and name != "rating":
        raise Invalid("only the rating board has modes", pointer="mode")
    key = keys.board(call.path("game"), name, query.mode or "")
    return await call.services.boards.board(
        call.path("game"), name, key, top=query.top, player=query.player, around=query.around
    )
