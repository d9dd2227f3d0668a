"""Supply: what servers of a game stand ready, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, UnsetType

from core.errors import Forbidden, NotFound
from core.supply import Told
from webapi import supply_documents as doc
from webapi.context import Call
from webapi.endpoint import DEVELOPERS, Table

TABLE: Final = Table("supply")


@TABLE.route("GET", "/v1/games/{game}/supply", who=DEVELOPERS, errors=(NotFound, Forbidden))
async def supply(call: Call) -> doc.Supply:
    """What stands ready for a game before there is a match, what should and why, and what that has cost so far."""
    game = await call.services.games.recent(call.path("game"), call.now_ms)
    if not await call.is_insider(game.id):
        raise Forbidden(f"the game {game.id!r} is another developer's", code="not-yours")
    told, spent = await call.services.supplies.read(game.id)
    wanted = game.spec.supply
    policy: list[doc.Policy] = []
    policy += ["early"] if wanted.early is not None else []
    policy += ["warm"] if wanted.warm is not None else []
    now = UNSET if told is None or not policy else now_document(told, call.now_ms)
    return doc.Supply(game.id, policy, total_document(spent), now)


def now_document(told: Told, now_ms: int) -> doc.Now:
    """As told at most seconds ago."""
    guess: doc.Guess | UnsetType = UNSET
    if told.in_time is not None and told.used is not None and told.idle_s is not None:
        guess = doc.Guess(told.in_time, told.used, told.idle_s)
    return doc.Now(
        age_s=round(max(0, now_ms - told.at_ms) / 1000, 3),
        wanted=told.want,
        wanted_warm=told.warm,
        wanted_early=told.early,
        ready=told.ready,
        starting=told.starting,
        start_s=told.start_s,
        tickets_per_min=told.tickets_per_min,
        matches_per_min=told.matches_per_min,
        next=guess,
        budget_s=UNSET if told.budget_s is None else told.budget_s,
        held=told.held,
        detail=told.detail,
    )


def total_document(spent: Mapping[str, int]) -> doc.Total:
    """From the counters that the Redis functions keep."""
    early, warm, cold = spent.get("used_early", 0), spent.get("used_warm", 0), spent.get("cold", 0)
    early_s, warm_s = (spent.get(f"idle_{kind}_ms", 0) / 1000 for kind in ("early", "warm"))
    per_match = (early_s + warm_s) / max(1, early + warm + cold)
    return doc.Total(
        early,
        warm,
        cold,
        round(early_s, 1),
        round(warm_s, 1),
        spent.get("unused_early", 0),
        spent.get("unused_warm", 0),
        round(per_match, 2),
    )
