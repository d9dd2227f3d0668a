"""Matches: who plays, where it stands, how it ended."""

from __future__ import annotations

from typing import Final

from core.clock import new_id
from core.errors import Conflict, Forbidden, NotFound
from webapi import documents as doc
from webapi import records
from webapi.context import Call
from webapi.endpoint import ADMINS, DEVELOPERS, EVERYONE, Table

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


@TABLE.route("DELETE", "/v1/matches/{game}/{match}", who=ADMINS, status=204, errors=(NotFound, Conflict))
async def end(call: Call) -> None:
    """End a running match, for admins: it is ENDED with the reason `ended_by_operator`, and its server goes."""
    game = call.path("game")
    await call.services.matches.end(game, call.path("match"), call.now_ms)
    call.services.bell.ring("match", [game])


@TABLE.route("GET", "/v1/games/{game}/matches", errors=(NotFound,))
async def of_game(call: Call) -> doc.Matches:
    """Live matches of a game, then the latest that were over. What a server said last is for its developer alone."""
    found = await call.services.matches.of_game(call.path("game"))
    if await call.is_insider(call.path("game")):
        return doc.Matches(found)
    return doc.Matches([records.for_outsiders(match) for match in found])


BACKFILL: Final = "/v1/games/{game}/matches/{match}/backfill"


@TABLE.route("POST", BACKFILL, who=DEVELOPERS, status=202, errors=(NotFound, Conflict, Forbidden))
async def ask(call: Call) -> doc.Backfill:
    """Ask for players in place of those who left, as the server itself can. Replaces the match's older request.

    Whoever comes fits the game's rules together with those there, and joins without being asked to accept.
    """
    game, match = await _own(call)
    request = new_id("backfill")
    await call.services.matches.ask(game, match, request, call.now_ms)
    call.services.bell.ring("queue", [game])
    return doc.Backfill(game, match, request, records.iso(call.now_ms))


@TABLE.route("DELETE", BACKFILL, who=DEVELOPERS, status=204, errors=(NotFound, Conflict, Forbidden))
async def ask_no_more(call: Call) -> None:
    """Ask for players no more. Who was found by then comes."""
    game, match = await _own(call)
    await call.services.matches.ask(game, match, "", call.now_ms)


async def _own(call: Call) -> tuple[str, str]:
    """Game and match of the path, if the caller may speak for the game. Raises NotFound, Forbidden."""
    game = call.path("game")
    if not await call.is_insider(game):
        await call.services.games.recent(game, call.now_ms)
        raise Forbidden(f"the game {game!r} is another developer's", code="not-yours")
    return game, call.path("match")
