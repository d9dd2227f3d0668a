"""What a matchmaker told of a game's supply, and the counters of Redis, to documents. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, UnsetType

from core.model import SupplySpec
from core.supply import Held, Told
from webapi import supply_documents as doc
from webapi.overview_documents import SupplyOverview

HELD: Final[dict[Held, str]] = {
    "idle_most": "no more may stand idle (idle_most)",
    "limit": "the game has as many servers as allowed",
    "no_room": "no host has room",
    "gives_way": "a match has no room",
    "budget": "the budget of idle time is spent",
    "failing": "servers fail before they have a match",
}


def policy_of(supply: SupplySpec) -> list[doc.Policy]:
    """Which policies a registration has; none is on demand."""
    policies: list[doc.Policy] = []
    policies += ["early"] if supply.early is not None else []
    policies += ["warm"] if supply.warm is not None else []
    return policies


def why(told: Told) -> str:
    """Why so many should stand ready, in a few words."""
    parts = [f"pool of {told.warm}"] if told.warm else []
    parts += [f"{told.early} to be filled soon"] if told.early else []
    if told.used is not None and not told.early:
        parts.append(f"a group fills, needed with {told.used:.0%}")
    if told.held:
        parts.append(HELD[told.held])
    return "; ".join(parts) or "nobody to be expected"


def row_of(supply: SupplySpec, told: Told | None, spent: Mapping[str, int]) -> SupplyOverview | UnsetType:
    """For the operator page; nothing for a game on demand."""
    if not policy_of(supply):
        return UNSET
    total = total_document(spent)
    return SupplyOverview(
        wanted=told.want if told else 0,
        ready=told.ready if told else 0,
        starting=told.starting if told else 0,
        why=why(told) if told else "no matchmaker works this game",
        matches=(total.early_matches, total.warm_matches, total.cold_matches),
        wrong=total.early_unused,
        idle_s_per_match=total.idle_s_per_match,
    )


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
