"""Supply: what servers of a game stand ready, and why."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from core.errors import Forbidden, NotFound
from webapi import supply_documents as doc
from webapi.context import Call
from webapi.endpoint import DEVELOPERS, Table
from webapi.supply_records import now_document, policy_of, total_document

TABLE: Final = Table("supply")


@TABLE.route("GET", "/v1/games/{game}/supply", who=DEVELOPERS, errors=(NotFound, Forbidden))
async def supply(call: Call) -> doc.Supply:
    """What stands ready for a game before there is a match, what should and why, and what that has cost so far."""
    game = await call.services.games.recent(call.path("game"), call.now_ms)
    if not await call.is_insider(game.id):
        raise Forbidden(f"the game {game.id!r} is another developer's", code="not-yours")
    told, spent = await call.services.supplies.read(game.id)
    policy = policy_of(game.spec.supply)
    now = UNSET if told is None or not policy else now_document(told, call.now_ms)
    return doc.Supply(game.id, policy, total_document(spent), now)
