"""One pass: from a pool to the matches that can be made now, and for the others why not yet.

Order of a pass: the oldest ticket gets a deep search of its own, so that nobody starves; backfills by their priority;
then everybody in lockstep (`bulk`); then the oldest of those left and some others, one by one. Small pools skip the
lockstep: each ticket in order of age is searched around.

A legal match with the oldest ticket is found in the first pass if the ticket's compatible tickets are at most
`search.CANDIDATES` and their combinations fit `search.DEEP`. Beyond that the preferred candidates are tried, and the
oldest is an anchor of `bulk` again in every pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np
from msgspec import Struct

from core.rules.model import RuleSet
from matchmaker.rules.bulk import bulk
from matchmaker.rules.evaluate import regions_for
from matchmaker.rules.pool import Pool, Running
from matchmaker.rules.region import best_regions
from matchmaker.rules.run import Match, Run, Tally
from matchmaker.rules.search import DEEP, around, into, shallow
from matchmaker.rules.why import Why, explain_ticket

SMALL: Final = 128  # pools up to this are searched ticket by ticket: better matches, and still within milliseconds
ANCHORS: Final = 96  # tickets searched around one by one in a pass over a larger pool
BACKFILLS: Final = 64  # running matches looked at in one pass


class Proposal(Struct, frozen=True, gc=False):
    """A match to claim: ticket ids by team, in every team of the rule set. `backfill` names the match they join."""

    teams: dict[str, tuple[str, ...]]
    stage: int
    region: str | None
    backfill: str | None

    @property
    def tickets(self) -> list[str]:
        return [ticket for team in self.teams.values() for ticket in team]


class Pass:
    """The result of `form`. `why` answers for tickets that were in the pool then and still are."""

    def __init__(self, proposals: list[Proposal], run: Run) -> None:
        self.proposals = proposals
        self.tally: Tally = run.tally
        self.waiting = int(run.left.sum())
        self._run, self._came = run, run.pool.came  # whoever came later has a row that somebody else may have had

    def why(self, ticket_id: str) -> Why | None:
        """Why a ticket found no match in this pass; None if it was matched or unknown."""
        pool, run = self._run.pool, self._run
        row = pool.rows.get(ticket_id)
        if row is None or pool.serial[row] > self._came or not run.left[row]:
            return None
        return explain_ticket(run, row)


def form(pool: Pool, rules: RuleSet, now_ms: int, seed: int, *, starts: bool = True) -> Pass:
    """Group a pool. The same pool, time and seed give the same proposals; the pool is not changed.

    Without `starts` no new matches are made: players only join running ones that ask for them.

    Every proposal satisfies `rules` at its stage, splits no ticket and shares none with another proposal.
    Raises ValueError if the pool was built for other rules: build a new one with `Pool.of`.
    """
    if pool.rules is not rules:
        raise ValueError("this pool holds the columns of another rule set")
    run = Run(pool, now_ms, seed)
    found = list(_matches(run) if starts else _backfilled(run, _requests(run)))
    regions = best_regions(run, found)
    proposals = [_proposal(run, match, region) for match, region in zip(found, regions, strict=True)]
    return Pass(proposals, run)


def _matches(run: Run) -> Iterator[Match]:
    """Matches in the order of the pass."""
    priority = run.rules.stages[0].algorithm.backfill
    if run.rules.large:
        priority = "high"  # a large match under way is filled before a new one starts
    requests = _requests(run)
    if priority == "high":
        yield from _backfilled(run, requests)
    elif priority == "normal" and len(run.by_age):
        oldest = int(run.pool.since[run.by_age[0]])
        early = [request for request in requests if request.since_ms < oldest]
        requests = requests[len(early) :]
        yield from _backfilled(run, early)
    yield from _oldest(run)
    if priority == "normal":
        yield from _backfilled(run, requests)
    if len(run.by_age) > SMALL:
        yield from bulk(run)
    yield from _one_by_one(run)
    if priority == "low":
        yield from _backfilled(run, requests)


def _requests(run: Run) -> list[Running]:
    """The longest waiting backfills, and where there are many, others drawn by the seed; by age."""
    by_age = sorted(run.pool.running.values(), key=lambda r: (r.since_ms, r.id))
    if len(by_age) <= BACKFILLS:
        return by_age
    half = BACKFILLS // 2
    drawn = np.sort(run.rng.choice(len(by_age) - half, half, replace=False)) + half
    return [*by_age[:half], *(by_age[i] for i in drawn)]


def _backfilled(run: Run, requests: list[Running]) -> Iterator[Match]:
    for request in requests:
        match = into(run, request, shallow(len(requests)))
        if match is not None:
            yield run.take(match)


def _oldest(run: Run) -> Iterator[Match]:
    rows = run.free()
    if len(rows):
        match = around(run, int(rows[0]), DEEP)
        if match is not None:
            yield run.take(match)
        else:
            run.searched = int(rows[0])


def _one_by_one(run: Run) -> Iterator[Match]:
    """The oldest still free, and others drawn by the seed so that nobody behind them is overlooked for ever."""
    rows = run.free()
    rows = rows[rows != run.searched]  # the oldest has had its search, and there are fewer to choose from now
    if len(rows) > max(ANCHORS, SMALL):
        drawn = run.rng.choice(rows[ANCHORS // 2 :], ANCHORS // 2, replace=False)
        rows = np.concatenate((rows[: ANCHORS // 2], drawn))
    budget = shallow(len(rows))
    for row in itertools.takewhile(lambda _: not run.spent, rows.tolist()):
        if run.left[row]:
            match = around(run, row, budget)
            if match is not None:
                yield run.take(match)


def _proposal(run: Run, match: Match, region: str | None) -> Proposal:
    ids = run.pool.ids
    teams = {name: tuple([ids[row] for row in rows]) for name, rows in zip(run.names, match.teams, strict=True)}
    if match.backfill is not None:
        region = _region_of_running(run, match)
    return Proposal(teams, match.stage, region, match.backfill)


def _region_of_running(run: Run, match: Match) -> str | None:
    """A running match stays where it is; the region told is the best for all, those there included."""
    assert match.backfill is not None
    there = run.pool.running[match.backfill].teams
    teams = {
        name: [*there[name], *(run.pool.party(row) for row in rows)]
        for name, rows in zip(run.names, match.teams, strict=True)
    }
    return next(iter(regions_for(run.rules.stages[match.stage], teams)), None)
