"""Matches: who plays, where it stands, how it ended."""

from __future__ import annotations

from typing import Final

from core.errors import NotFound
from webapi import documents as doc
from webapi.context import Call
from webapi.endpoint import EVERYONE, Table

TABLE: Final = Table("matches")


@TABLE.route("GET", "/v1/matches/{game}/{match}", who=EVERYONE, errors=(NotFound,))
async def read(call: Call) -> doc.MatchDocument:
    """A match that you play, whose game is yours, or that you administer."""
    found = await call.services.matches.read(call.path("game"), call.path("match"))
    caller = call.caller
    if caller.role == "admin" or any(caller.player == seat.id for team in found.teams for seat in team.players):
        return found
    game = await call.services.games.recent(found.game, call.now_ms)
    if game.owner != caller.player:
        raise NotFound("there is no such match", code="no-such-match")
    return found


@TABLE.route("GET", "/v1/games/{game}/matches", errors=(NotFound,))
async def of_game(call: Call) -> doc.Matches:
    """Live matches of a game, then the latest that were over."""
    return doc.Matches(await call.services.matches.of_game(call.path("game")))
