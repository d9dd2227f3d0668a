"""Matches from rule sets (`core.rules`): judge a candidate, group a pool of tickets, explain. Pure: no clock, no I/O.

    values evaluate                                                      candidate match -> findings, exactly
    facts pool                                                           what rules look at, as columns over tickets
    run preference growth bulk state search arrange region grouping          columns -> proposals
    why quality                                                          why not yet; how good a match is

Chance comes in as a seed, time as `now_ms`.
"""

from matchmaker.rules.evaluate import Finding, explain, first_failure, regions_for
from matchmaker.rules.grouping import SMALL, Pass, Proposal, form
from matchmaker.rules.pool import Backfill, Pool
from matchmaker.rules.quality import Quality, quality
from matchmaker.rules.run import Tally
from matchmaker.rules.why import Why

__all__ = [
    "SMALL",
    "Backfill",
    "Finding",
    "Pass",
    "Pool",
    "Proposal",
    "Quality",
    "Tally",
    "Why",
    "explain",
    "first_failure",
    "form",
    "quality",
    "regions_for",
]
