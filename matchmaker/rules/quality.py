"""How good a match is: how far its tickets are apart in the number the rules compare, and the worst latency in it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from matchmaker.rules.facts import Facts, Window
from matchmaker.rules.pool import Pool


class Quality(Struct, frozen=True, gc=False):
    """`stage` counts the expansion steps that were open. `spread` and `worst_latency_ms` are None where the rules
    compare no number, and where not every ticket reported the match's region."""

    stage: int
    spread: float | None
    worst_latency_ms: float | None


def quality(pool: Pool, tickets: Sequence[str], region: str, now_ms: int) -> Quality:
    """Of a match of these tickets, which are all in the pool still."""
    # Of a few tickets plain Python is quicker than arrays, and every match comes by here.
    parties = [pool.party(pool.rows[ticket]) for ticket in tickets]
    stage = pool.rules.stage_of(now_ms, [party.since_ms for party in parties])
    compared = _compared(pool.facts)
    numbers = None if compared is None else [party.number(*compared) for party in parties]
    spread = None if numbers is None else max(numbers) - min(numbers)
    how = next(iter(pool.latencies))
    worst = max(party.latencies(how).get(region, math.inf) for party in parties)
    return Quality(stage, spread, worst if math.isfinite(worst) else None)


def _compared(facts: Facts) -> tuple[str, str] | None:
    """The number that counts: the balanced one, else that of the first window, else of a hint."""
    if facts.balance:
        return facts.balance, "avg"
    for fact in facts.facts:
        if isinstance(fact.shape, Window):
            return fact.shape.attribute, fact.shape.how
    return (facts.near, "avg") if facts.near else None
