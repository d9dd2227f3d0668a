"""FlexMatch rule sets: read and check them, judge a candidate match, group a pool of tickets. Pure: no clock, no I/O.

    reader expression kinds compound attributes expansions parse warn    a tree -> `RuleSet`, or Invalid with a pointer
    model                                                                what a rule set is
    values evaluate                                                      candidate match -> findings, exactly
    facts pool                                                           what rules look at, as columns over tickets
    run preference growth bulk state search arrange region grouping why      columns -> proposals and reasons

Chance comes in as a seed, time as `now_ms`. The language is Amazon GameLift FlexMatch's, version 1.0.
"""

from matchmaker.rules.attributes import Party, check_ticket
from matchmaker.rules.evaluate import Finding, explain, first_failure, regions_for
from matchmaker.rules.grouping import Pass, Proposal, form
from matchmaker.rules.model import RuleSet, Stage
from matchmaker.rules.parse import parse
from matchmaker.rules.pool import Backfill, Pool
from matchmaker.rules.run import Tally
from matchmaker.rules.why import Why

__all__ = [
    "Backfill",
    "Finding",
    "Party",
    "Pass",
    "Pool",
    "Proposal",
    "RuleSet",
    "Stage",
    "Tally",
    "Why",
    "check_ticket",
    "explain",
    "first_failure",
    "form",
    "parse",
    "regions_for",
]
