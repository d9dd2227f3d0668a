"""Items: what players have, who gave what to whom; a game's developer grants, takes and exchanges."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.inventory import MOST_ENTRIES, Inventories
from webapi import item_documents as doc
from webapi.context import Call
from webapi.endpoint import DEVELOPERS, EVERYONE, Table

TABLE: Final = Table("items")

PLAYER: Final = "/v1/games/{game}/players/{player}"
Ms = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Span(Struct, frozen=True, forbid_unknown_fields=True):
    """The newest `limit` from `since_ms` to `until_ms` (UTC milliseconds, both within)."""

    limit: Annotated[int, Meta(ge=1, le=MOST_ENTRIES)] = 50
    since_ms: Ms = 0
    until_ms: Ms | None = None


@TABLE.route("GET", PLAYER + "/inventory", who=EVERYONE, errors=(NotFound, Forbidden))
async def inventory(call: Call) -> doc.Inventory:
    """What a player has in a game: your own, or of a player of your game."""
    items = await _of_player(call)
    return doc.Inventory(call.path("player"), await items.inventory(call.path("player")))


@TABLE.route("GET", PLAYER + "/inventory/audit", who=EVERYONE, errors=(NotFound, Forbidden, Invalid))
async def audit_of_player(call: Call, query: Span) -> doc.Audit:
    """What a player was given, gave and exchanged: the latest 200 moves, as long as the game's audit has them."""
    items = await _of_player(call)
    found = await items.audit(call.path("player"), since_ms=query.since_ms, until_ms=query.until_ms, limit=query.limit)
    return doc.Audit([doc.moved(move) for move in found])


@TABLE.route("GET", "/v1/games/{game}/items/audit", who=DEVELOPERS, errors=(NotFound, Forbidden, Invalid))
async def audit(call: Call, query: Span) -> doc.Audit:
    """Every move of items in your game: the latest 250,000 are kept."""
    items = await _of_game(call)
    found = await items.audit(since_ms=query.since_ms, until_ms=query.until_ms, limit=query.limit)
    return doc.Audit([doc.moved(move) for move in found])


@TABLE.route("POST", PLAYER + "/grants", who=DEVELOPERS, errors=(NotFound, Forbidden, Conflict, Invalid))
async def grant(call: Call, body: doc.NewMove) -> doc.MoveDocument:
    """Give a player of your game items that come from nowhere. With an `id` it is safe to ask again."""
    items = await _of_game(call)
    player = call.path("player")
    if not (await call.services.accounts.names([player]))[player]:
        raise NotFound("there is no such player", code="no-such-player")
    by = call.caller.player
    return doc.moved(await items.grant(player, body.items, by=by, match=body.match, id=body.id))


@TABLE.route("POST", PLAYER + "/takes", who=DEVELOPERS, errors=(NotFound, Forbidden, Conflict, Invalid))
async def take(call: Call, body: doc.NewMove) -> doc.MoveDocument:
    """Take items from a player of your game for good. With an `id` it is safe to ask again."""
    items = await _of_game(call)
    by = call.caller.player
    return doc.moved(await items.take(call.path("player"), body.items, by=by, match=body.match, id=body.id))


@TABLE.route("POST", "/v1/games/{game}/exchanges", who=DEVELOPERS, errors=(NotFound, Forbidden, Conflict, Invalid))
async def exchange(call: Call, body: doc.NewExchange) -> doc.MoveDocument:
    """Exchange items between two players of your game, who have both agreed to it in your game's own way."""
    items = await _of_game(call)
    about = {"by": call.caller.player, "match": body.match, "id": body.id}
    return doc.moved(await items.exchange(body.a, body.b, give=body.give, get=body.get, **about))


async def _of_player(call: Call) -> Inventories:
    """The game's items, if the caller may look at this player's. Raises NotFound, Forbidden."""
    if call.caller.player != call.path("player"):
        return await _of_game(call)
    await call.services.games.recent(call.path("game"), call.now_ms)
    return Inventories(call.services.batch, call.path("game"))


async def _of_game(call: Call) -> Inventories:
    """The game's items, if the caller may look at all of them. Raises NotFound, Forbidden."""
    game = call.path("game")
    await call.services.games.recent(game, call.now_ms)
    if not await call.is_insider(game):
        raise Forbidden("what others have is for the game's developer", code="not-yours")
    return Inventories(call.services.batch, game)
