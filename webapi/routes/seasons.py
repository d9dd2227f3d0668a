"""Seasons: a game's developer ends one, everybody reads what it was."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct

from core.errors import Conflict, Forbidden, NotFound
from core.season import MAX_SEASON, Ended, Seasons
from webapi import board_documents as doc
from webapi.context import Call
from webapi.endpoint import DEVELOPERS, Table
from webapi.records import iso

TABLE: Final = Table("seasons")

PATH: Final = "/v1/games/{game}/seasons"


class EndSeason(Struct, frozen=True, forbid_unknown_fields=True):
    """The season that ends, which is the running one: the same request again ends nothing more.

    `carry` is the share of each player's skill that goes into the next season: 1 all of it, 0 nothing, so that
    everybody is a newcomer.
    """

    season: Annotated[int, Meta(ge=1, le=MAX_SEASON)]
    carry: Annotated[float, Meta(ge=0, le=1)] = 1.0


@TABLE.route("GET", PATH, errors=(NotFound,))
async def read(call: Call) -> doc.Seasons:
    """The running season, and those that ended and are kept, newest first."""
    game = call.path("game")
    return _shown(game, await call.services.boards.seasons(game))


@TABLE.route("POST", PATH, who=DEVELOPERS, errors=(NotFound, Conflict, Forbidden))
async def end(call: Call, body: EndSeason) -> doc.Seasons:
    """End the running season. Its score and rating boards become its archive, and empty ones take their place.

    Boards of the last 12 seasons are kept. Activity, which shows the last 24 hours, goes on.
    """
    game = call.path("game")
    await call.services.games.read(game)
    if not await call.is_insider(game):
        raise Forbidden(f"the game {game!r} is another developer's", code="not-yours")
    return _shown(game, await call.services.boards.end_season(game, body.season, body.carry, call.now_ms))


def _shown(game: str, seasons: Seasons) -> doc.Seasons:
    since = iso(seasons.since_ms) if seasons.since_ms else UNSET
    return doc.Seasons(game, seasons.running, [_ended(it) for it in seasons.ended], since)


def _ended(it: Ended) -> doc.EndedSeason:
    started = iso(it.started_ms) if it.started_ms else UNSET
    return doc.EndedSeason(it.season, iso(it.ended_ms), it.carry, it.boards, started)
