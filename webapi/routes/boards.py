"""Leaderboards: interactions of the last 24 hours, best scores, and skill ratings; of this season and of past ones."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from core.errors import Invalid, NotFound
from core.model import Mode
from core.season import MAX_SEASON
from webapi import board_documents as doc
from webapi.context import Call
from webapi.endpoint import Table

TABLE: Final = Table("boards")


class Look(Struct, frozen=True, forbid_unknown_fields=True):
    """`top` lines from rank `start` on; the rank of `player`, with `around` neighbours on each side.

    `mode` of the rating board; a `season` that is over, by default the running one.
    """

    top: Annotated[int, Meta(ge=0, le=100)] = 10
    start: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1
    player: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    around: Annotated[int, Meta(ge=0, le=50)] = 0
    mode: Mode | None = None
    season: Annotated[int, Meta(ge=1, le=MAX_SEASON)] | None = None


@TABLE.route("GET", "/v1/games/{game}/boards/{board}", errors=(NotFound, Invalid))
async def read(call: Call, query: Look) -> doc.Board:
    """A leaderboard. On the rating board a score is the skill that a player has at the least.

    Of equal scores the one that was reached first ranks first; equal activity ranks by player.
    """
    return await call.services.boards.board(
        call.path("game"),
        call.path("board"),
        mode=query.mode or "",
        season=query.season,
        first=query.start - 1,
        count=query.top,
        player=query.player,
        around=query.around,
    )
