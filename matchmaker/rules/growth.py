"""Many matches growing in lockstep: one row of every array is one match.

`offer(k)` shows every match the k-th ticket of its chunk; those whose limits all hold seat it. Limits only ever
tighten as a match grows, so a ticket refused once need not be offered again. Everything is checked at the stage the
match would have with the ticket, except what depends on the stage of tickets seated earlier: `complete` looks at that.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from matchmaker.rules.facts import Cap, Count, Floats, Range, Shared, Window, Word
from matchmaker.rules.run import Bools, Rows, Run

BELOW: Final = 1_000.0  # a team that still needs players comes before any that does not
EXACT: Final = 500.0  # a party that fills a team to the last place goes there: what is left then needs less luck


class Growth:
    """The state of all matches of a round. `seat[b, k]` is the team of chunk b's k-th ticket, or -1."""

    def __init__(self, run: Run, chunks: Rows, regions: Rows) -> None:
        self.run, self.chunks, self.regions = run, chunks, regions
        matches, teams = len(chunks), len(run.names)
        self.seat: Rows = np.full(chunks.shape, -1, dtype=np.int64)
        self.stage: Rows = run.stage[chunks[:, 0]].copy()
        self.filled: Rows = np.zeros((matches, teams), dtype=np.int64)
        self.windows = {i: (np.full(matches, np.inf), np.full(matches, -np.inf)) for i in run.by_kind[Window]}
        self.bound: dict[int, Bools] = {}  # who is in it already, to windows that some are free of
        for i in run.by_kind[Window]:
            if run.facts[i].shape.unless is not None:  # type: ignore[union-attr]  # by_kind says it is a Window
                self.bound[i] = np.zeros(matches, dtype=np.bool_)
        self.worst = {i: np.zeros(matches) for i in run.by_kind[Cap]}
        self.bits = {i: np.full(matches, ~np.uint64(0)) for i in run.by_kind[Shared]}
        self.counts: dict[int, Rows] = {}
        self.member: dict[int, Bools] = {}
        for i in run.by_kind[Count]:
            groups = run.facts[i].shape.groups  # type: ignore[union-attr]  # by_kind says it is a Count
            self.counts[i] = np.zeros((matches, len(groups)), dtype=np.int64)
            self.member[i] = np.array([[name in group for name in run.names] for group in groups])
        self.lean: Floats | None = np.zeros((matches, teams)) if run.pool.facts.balance else None

    def offer(self, step: int) -> bool:
        """Show every match its next ticket. False once no match has a free seat.

        A match whose anchor found no seat is given up: its stage is the anchor's, and may not serve others.
        """
        run = self.run
        rows = self.chunks[:, step]
        free = self.filled.sum(axis=1) < run.most[self.stage].sum(axis=1)
        if step:
            free &= self.seat[:, 0] >= 0
        at = np.flatnonzero((rows >= 0) & free)
        if not len(at):
            return bool(free.any())
        rows = rows[at]
        pick = np.minimum if run.newest else np.maximum
        stage = pick(self.stage[at], run.stage[rows])
        good = np.ones(len(at), dtype=np.bool_)
        for index in self.windows:
            good &= self._window(index, at, rows, stage)
        for index in self.worst:
            good &= self._cap(index, at, rows, stage)
        for index in self.bits:
            good &= self._shared(index, at, rows, stage)
        keep = np.flatnonzero(good)
        at, rows, stage = at[keep], rows[keep], stage[keep]
        fits = self._fits(at, rows, stage)
        keep = np.flatnonzero(fits.any(axis=1))
        self._seat(step, at[keep], rows[keep], stage[keep], fits[keep])
        return True

    def _window(self, index: int, at: Rows, rows: Rows, stage: Rows) -> Bools:
        low, high = self.windows[index]
        number = self.run.column(index)[rows]
        near: Bools = np.maximum(high[at], number) - np.minimum(low[at], number) <= self.run.facts[index].high[stage]
        if index in self.bound:
            near |= self.run.exempt(index, rows) & ~self.bound[index][at]
        far = ~near
        self.run.reject(index, rows[far], np.where(number < low[at], high[at], low[at])[far])
        return near

    def _cap(self, index: int, at: Rows, rows: Rows, stage: Rows) -> Bools:
        own = self.run.latencies(index)[rows, self.regions[at]]
        worst = np.maximum(self.worst[index][at], own)
        within: Bools = worst <= self.run.facts[index].high[stage]
        self.run.reject(index, rows[~within], worst[~within])
        return within

    def _shared(self, index: int, at: Rows, rows: Rows, stage: Rows) -> Bools:
        shape = self.run.facts[index].shape
        assert isinstance(shape, Shared)
        common = np.bitwise_count(self.bits[index][at] & self.run.pool.bits[shape.attribute, shape.how][rows])
        enough: Bools = common >= self.run.facts[index].low[stage]
        self.run.reject(index, rows[~enough], common[~enough].astype(np.float64))
        return enough

    def _fits(self, at: Rows, rows: Rows, stage: Rows) -> Bools:
        """Which teams could seat each ticket. Whoever loses the last one is counted against the rule that took it."""
        run = self.run
        fits: Bools = self.filled[at] + run.pool.size[rows][:, None] <= run.most[stage]
        run.crowded(rows[~fits.any(axis=1)])
        for index in (*run.by_kind[Range], *run.by_kind[Word]):
            allowed = run.fitting(index, rows, stage)[:, None] | ~run.meant(index)
            self._narrow(fits, allowed, index, rows)
        for index, counts in self.counts.items():
            over = counts[at] + run.added(index, rows)[:, None] > run.facts[index].high[stage][:, None]
            self._narrow(fits, ~(over @ self.member[index]), index, rows)
        self._leave_room(fits, at, rows, stage)
        return fits

    def _narrow(self, fits: Bools, allowed: Bools, index: int, rows: Rows) -> None:
        """Take the teams that a fact does not allow."""
        before = fits.any(axis=1)
        fits &= allowed
        lost = rows[before & ~fits.any(axis=1)]
        self.run.reject(index, lost, np.nan)

    def _leave_room(self, fits: Bools, at: Rows, rows: Rows, stage: Rows) -> None:
        """Take teams whose remaining places would no longer suffice for the counts still wanted there.

        All wants of a group are added up, as if no ticket could meet two: right for roles, a good guess otherwise.
        """
        run = self.run
        missing: dict[bytes, Rows] = {}
        for index, counts in self.counts.items():
            adds = run.added(index, rows)
            for g, member in enumerate(self.member[index]):
                wants = np.maximum(run.facts[index].low[stage] - counts[at, g] - adds, 0).astype(np.int64)
                key = member.tobytes()
                missing[key] = missing[key] + wants if key in missing else wants
                places = ((run.most[stage] - self.filled[at]) * member).sum(axis=1) - run.pool.size[rows]
                self._narrow(fits, ~((missing[key] > places)[:, None] & member), index, rows)

    def _seat(self, step: int, at: Rows, rows: Rows, stage: Rows, fits: Bools) -> None:
        """Give each ticket the team that needs players most, has most places, and is kept level by it."""
        run = self.run
        size = run.pool.size[rows]
        places = run.most[stage] - self.filled[at]
        score = places + BELOW * (self.filled[at] < run.least[stage]) + EXACT * (places == size[:, None])
        if self.lean is not None:
            numbers = run.pool.numbers[run.pool.facts.balance, "avg"]
            pull = ((numbers[rows] - numbers[self.chunks[at, 0]]) * size)[:, None]
            uneven = np.abs(self.lean[at] + pull)
            score = score - uneven / (1.0 + uneven)
        team = np.where(fits, score, -np.inf).argmax(axis=1)
        self.seat[at, step] = team
        self.filled[at, team] += size
        self.stage[at] = stage
        if self.lean is not None:
            self.lean[at, team] += pull[:, 0]
        self._update(at, rows, team)

    def _update(self, at: Rows, rows: Rows, team: Rows) -> None:
        run = self.run
        for index, (low, high) in self.windows.items():
            number = run.column(index)[rows]
            low[at], high[at] = np.minimum(low[at], number), np.maximum(high[at], number)
            if index in self.bound:
                self.bound[index][at] |= ~run.exempt(index, rows)
        for index, worst in self.worst.items():
            worst[at] = np.maximum(worst[at], run.latencies(index)[rows, self.regions[at]])
        for index, bits in self.bits.items():
            shape = run.facts[index].shape
            bits[at] &= run.pool.bits[shape.attribute, shape.how][rows]  # type: ignore[union-attr]
        for index, counts in self.counts.items():
            counts[at] += self.member[index].T[team] * run.added(index, rows)[:, None]

    def complete(self) -> Bools:
        """Which matches are legal by every fact: teams at their least, counts reached, early tickets still fitting."""
        run = self.run
        done: Bools = np.ones(len(self.stage), dtype=np.bool_)
        done[((self.filled < run.least[self.stage]) | (self.filled > run.most[self.stage])).any(axis=1)] = False
        for index, counts in self.counts.items():
            fact = run.facts[index]
            low, high = fact.low[self.stage][:, None], fact.high[self.stage][:, None]
            done[((counts < low) | (counts > high)).any(axis=1)] = False
        for index in (*run.by_kind[Range], *run.by_kind[Word]):
            if not run.facts[index].constant:
                done &= self._still(index)
        return done

    def _still(self, index: int) -> Bools:
        """Whether all seated tickets meet a Range at the stage the match has come to."""
        at, column = np.nonzero(self.seat >= 0)
        meets = self.run.fitting(index, self.chunks[at, column], self.stage[at])
        broken = at[~meets & self.run.meant(index)[self.seat[at, column]]]
        still = np.ones(len(self.seat), dtype=np.bool_)
        still[broken] = False
        return still
