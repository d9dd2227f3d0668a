"""Who is near, in games that ask for it."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.near import RADIUS_MOST
from core.nearby import find_near, position_of
from webapi import item_documents as doc
from webapi.context import Call
from webapi.documents import PlayerId
from webapi.endpoint import EVERYONE, Table

TABLE: Final = Table("near")


class Around(Struct, frozen=True, forbid_unknown_fields=True):
    """Around a `player`, or around a place (`lat` and `lon`, degrees); the nearest `top` within `radius_m`."""

    player: PlayerId | None = None
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    radius_m: Annotated[float, Meta(gt=0, le=RADIUS_MOST)] = 1000.0
    top: Annotated[int, Meta(ge=1, le=100)] = 20


@TABLE.route("GET", "/v1/games/{game}/near", who=EVERYONE, errors=(NotFound, Forbidden, Conflict, Invalid))
async def near(call: Call, query: Around) -> doc.NearPlayers:
    """Who is near. A player asks around himself; the game's developer around any player or place.

    Players are told here while their position is kept (`move_ttl_s`), in a game that is registered with `near`.
    """
    game, db = call.path("game"), call.services.batch
    registered = await call.services.games.recent(game, call.now_ms)
    if query.player != call.caller.player and not await call.is_insider(game):
        raise Forbidden("a player asks who is near himself: player=<your id>", code="not-yours")
    if not registered.spec.near:
        raise Conflict(f"the game {game!r} is not registered with `near`: nobody is indexed", code="near-off")
    if query.player is None:
        if query.lat is None or query.lon is None:
            raise Invalid("say player, or lat and lon", pointer="player")
        place = query.lat, query.lon
    elif query.lat is not None or query.lon is not None:
        raise Invalid("say player, or lat and lon, not both", pointer="lat")
    else:
        place = await position_of(db, game, query.player)
    found = await find_near(db, game, *place, radius_m=query.radius_m, top=query.top, but=query.player or "")
    return doc.NearPlayers([doc.NearPlayer(*one) for one in found])
