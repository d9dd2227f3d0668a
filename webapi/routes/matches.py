"""Matches: who plays, where it stands, how it ended."""

from __future__ import annotations

from typing import Final

from core.errors import NotFound
from webapi import documents as doc
from webapi import records
from webapi.context import Call
from webapi.endpoint import EVERYONE, Table

TABLE: Final = Table("matches")


@TABLE.route("GET", "/v1/matches/{game}/{match}", who=EVERYONE, errors=(NotFound,))
async def read(call: Call) -> doc.MatchDocument:
    """A match that you play, whose game is yours, or that you administer."""
    found = await call.services.matches.read(call.path("game"), call.path("match"))
    if await call.is_insider(found.game):
        return found
    if any(call.caller.player == seat.id for team in found.teams for seat in team.players):
        return records.for_outsiders(found)
    raise NotFound("there is no such match", code="no-such-match")


@TABLE.route("GET", "/v1/games/{game}/matches", errors=(NotFound,))
async def of_game(call: Call) -> doc.Matches:
    """Live matches of a game, then the latest that were over. What a server said last is for its developer alone."""
    found = await call.services.matches.of_game(call.path("game"))
    if await call.is_insider(call.path("game")):
        return doc.Matches(found)
    return doc.Matches([records.for_outsiders(match) for match in found])
