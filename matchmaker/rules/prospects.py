"""Whether a ticket can be in any match at all, told by sums over all who suit it, before anything is searched.

For each stage that a match of the ticket may come to, each region and each place of the window, those who could be in
it are added up: players, and what they add to counts. Where that does not suffice for the teams there is nothing to
search; where it does, these are a group to search in. Every bound is necessary: nobody who could be in a legal match
with the ticket is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from matchmaker.rules.facts import SLACK, Cap, Count, Floats, Window
from matchmaker.rules.run import Bools, Rows, Run

GROUPS: Final = 16  # searched one by one around a ticket; all further ones together


@dataclass(frozen=True, slots=True)
class _Sums:
    """What is added up, a column a ticket: players, and for each want (adds, players without, players with).

    `teams` is how many need a ticket each at least, `need` how many players they need together.
    """

    teams: int
    need: float
    players: Floats
    wants: tuple[tuple[Floats, Floats, Floats, float, float], ...]  # ... least, most players with

    def enough(self, first: Rows, last: Rows, order: Rows) -> Bools:
        """Whether the tickets `order[first:last]` suffice, for each pair."""

        def total(column: Floats) -> Floats:
            upto = np.concatenate(([0.0], np.cumsum(column[order])))
            found: Floats = upto[last] - upto[first]
            return found

        good: Bools = (total(self.players) >= self.need) & (last - first >= self.teams)
        for adds, without, having, least, most in self.wants:
            good &= total(adds) >= least
            if most < np.inf:
                good &= total(without) + np.minimum(total(having), most) >= self.need
        return good

    def all_enough(self, at: Rows) -> bool:
        """Whether the tickets `at` suffice together: as `enough` of all of them, for less."""
        if len(at) < self.teams or self.players[at].sum() < self.need:
            return False
        for adds, without, having, least, most in self.wants:
            if adds[at].sum() < least:
                return False
            if most < np.inf and without[at].sum() + min(having[at].sum(), most) < self.need:
                return False
        return True


def prospects(run: Run, rows: Rows) -> list[Rows]:
    """Groups of `rows`, each with the first of them; every legal match with it is within one. None: there is no match.

    Groups of narrow limits come first, then those of regions near the first ticket, or (`largestPopulation`) of many.
    """
    own, found = int(run.stage[rows[0]]), dict[bytes, Rows]()
    if run.pool.size[rows].sum() < run.fewest[own]:
        return []
    stages = run.stage[rows]
    for stage in range(own + 1) if run.newest else range(own, len(run.least)):
        if not (stages == stage).any():
            continue
        inside = _seatable(run, rows, stage)
        inside &= (stages >= stage) if run.newest else (stages <= stage)
        sums = _sums(run, rows, stage)
        for near in _regions(run, rows, stage):
            here = inside & near
            if here[0]:
                at = _windowed(run, rows, np.flatnonzero(here), stage, sums)
                if len(at):
                    found.setdefault(at.tobytes(), at)
    groups = [rows[at] for at in found.values()]
    if len(groups) <= GROUPS:
        return groups
    rest: Rows = np.unique(np.concatenate(groups[GROUPS - 1 :]))
    return [*groups[: GROUPS - 1], np.concatenate((rows[:1], rest[rest != rows[0]]))]


def _seatable(run: Run, rows: Rows, stage: int) -> Bools:
    """Which tickets some team would take, alone."""
    if not run.doors and not run.by_kind[Count]:
        largest: Bools = run.pool.size[rows] <= run.most[stage].max()
        return largest
    teams: Bools = run.pool.size[rows][:, None] <= run.most[stage][None, :]
    for index in run.doors:
        fits = run.fitting(index, rows, np.full(len(rows), stage))
        teams &= fits[:, None] | ~run.meant(index)
    for index in run.by_kind[Count]:
        over = run.added(index, rows) > run.facts[index].high[stage]
        counted = np.array(run.groups_of[index], dtype=np.bool_).any(axis=1)
        teams &= ~np.logical_and.outer(over, counted)
    some: Bools = np.asarray(teams.any(axis=1))
    return some


def _sums(run: Run, rows: Rows, stage: int) -> _Sums:
    size = run.pool.size[rows].astype(np.float64)
    wants = []
    for want in run.wants:
        adds = run.added(want.fact, rows).astype(np.float64)
        having = np.where(adds > 0, size, 0.0)
        ratio = float((having / np.maximum(adds, 1.0)).max(initial=0.0))  # players that come with each of the word
        most = float(want.most[stage])
        wants.append((adds, size - having, having, float(want.least[stage]), most * ratio if ratio else np.inf))
    teams, need = run.needs[stage]
    return _Sums(teams, need, size, tuple(wants))


def _regions(run: Run, rows: Rows, stage: int) -> Iterator[Bools]:
    """For each region that suits the first ticket: whom else it suits. All, once, where latencies do not matter."""
    caps = run.by_kind[Cap]
    if not caps:
        yield np.ones(len(rows), dtype=np.bool_)
        return
    latencies = run.latencies(caps[0])
    near: Bools = latencies[rows] <= run.facts[caps[0]].high[stage]
    for index in caps[1:]:
        near &= run.latencies(index)[rows] <= run.facts[index].high[stage]
    many = run.rules.stages[stage].algorithm.batching == "largestPopulation"
    order = -(near * run.pool.size[rows][:, None]).sum(axis=0) if many else latencies[rows[0]]
    for region in np.argsort(order, kind="stable"):
        if near[0, region]:
            yield near[:, region]


def _windowed(run: Run, rows: Rows, at: Rows, stage: int, sums: _Sums) -> Rows:
    """Those of the places `at` in `rows` that are in some place of every window that has enough."""
    if not sums.all_enough(at):
        return at[:0]
    for index in run.by_kind[Window]:
        if len(at) and not run.exempt(index, rows[:1])[0]:
            at = _slid(run.column(index)[rows], at, float(run.facts[index].high[stage]), sums)
    return at


def _slid(numbers: Floats, at: Rows, limit: float, sums: _Sums) -> Rows:
    """Those of `at` that share a window with the first ticket and with enough others; together they are enough."""
    here = numbers[at]
    if here.max() - here.min() <= limit:  # as in most matches of a few: there is one window for all
        return at
    order = at[np.argsort(here, kind="stable")]
    sorted_ = numbers[order]
    # A hair wider, as a sum rounds otherwise than the difference that rules look at.
    reach = limit + SLACK * (limit + np.abs(numbers[0]))
    starts = np.flatnonzero((sorted_ <= numbers[0]) & (sorted_ >= numbers[0] - reach))
    ends = np.searchsorted(sorted_, sorted_[starts] + reach, side="right")
    good = sums.enough(starts, ends, order)
    covered = np.zeros(len(order) + 1, dtype=np.int64)
    np.add.at(covered, starts[good], 1)
    np.add.at(covered, ends[good], -1)
    return np.sort(order[np.cumsum(covered)[:-1] > 0])
