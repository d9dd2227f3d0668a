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
        """Show every match its next ticket. False once no match has a free seat."""
        run = self.run
        rows = self.chunks[:, step]
        free = self.filled.sum(axis=1) < run.most[self.stage].sum(axis=1)
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
        fits = self._fits(at, rows, stage) & good[:, None]
        seated = fits.any(axis=1)
        self._full(rows[good & ~seated])
        keep = np.flatnonzero(seated)
        self._seat(step, at[keep], rows[keep], stage[keep], fits[keep])
        return True

    def _full(self, rows: Rows) -> None:
        """Those who suit the match but find no seat: counted under "teams"."""
        self.run.rejected[rows, -1] += 1
        tally = self.run.tally.rejections
        tally["teams"] = tally.get("teams", 0) + len(rows)

    def _window(self, index: int, at: Rows, rows: Rows, stage: Rows) -> Bools:
        low, high = self.windows[index]
        number = self.run.column(index)[rows]
        near: Bools = np.maximum(high[at], number) - np.minimum(low[at], number) <= self.run.facts[index].high[stage]
        far = ~near
        self.run.reject(index, rows[far], np.where(number < low[at], high[at], low[at])[far])
        return near

    def _cap(self, index: int, at: Rows, rows: Rows, stage: Rows) -> Bools:
        ms = np.maximum(self.worst[index][at], self.run.latencies(index)[rows, self.regions[at]])
        within: Bools = ms <= self.run.facts[index].high[stage]
        self.run.reject(index, rows[~within], self.run.facts[index].high[stage][~within])
        return within

    def _shared(self, index: int, at: Rows, rows: Rows, stage: Rows) -> Bools:
        shape = self.run.facts[index].shape
        assert isinstance(shape, Shared)
        common = np.bitwise_count(self.bits[index][at] & self.run.pool.bits[shape.attribute, shape.how][rows])
        enough: Bools = common >= self.run.facts[index].low[stage]
        self.run.reject(index, rows[~enough], common[~enough].astype(np.float64))
        return enough

    def _fits(self, at: Rows, rows: Rows, stage: Rows) -> Bools:
        """Which teams could seat the ticket."""
        run = self.run
        size = run.pool.size[rows][:, None]
        fits: Bools = self.filled[at] + size <= run.most[stage]
        for kind in (Range, Word):
            for index in run.by_kind[kind]:
                shape = run.facts[index].shape
                assert isinstance(shape, Range | Word)
                meant = np.array([name in shape.teams for name in run.names])
                meets = run.fitting(index, rows, stage)
                fits &= meets[:, None] | ~meant
                if meant.all():
                    unfit = rows[~meets]
                    held = (
                        run.column(index)[unfit] if isinstance(shape, Range) else run.pool.words[shape.attribute][unfit]
                    )
                    run.reject(index, unfit, held.astype(np.float64))
        return fits & self._counted(at, rows, stage, size) if self.counts else fits

    def _counted(self, at: Rows, rows: Rows, stage: Rows, size: Rows) -> Bools:
        """Teams where no count goes over its limit, and where the places left still suffice for the counts wanted."""
        run = self.run
        allowed: Bools = np.ones((len(at), len(run.names)), dtype=np.bool_)
        wanting: dict[bytes, Rows] = {}
        members: dict[bytes, Bools] = {}
        for index, counts in self.counts.items():
            shape, fact = run.facts[index].shape, run.facts[index]
            adds = run.pool.counts[shape.attribute, shape.how, shape.word][rows]  # type: ignore[union-attr]
            for g, member in enumerate(self.member[index]):
                over = counts[at, g] + adds > fact.high[stage]
                allowed &= ~(over[:, None] & member)
                missing = np.maximum(fact.low[stage] - counts[at, g] - adds, 0).astype(np.int64)
                key = member.tobytes()
                wanting[key] = wanting.get(key, np.zeros(len(at), dtype=np.int64)) + missing
                members[key] = member
        for key, missing in wanting.items():
            member = members[key]
            places = ((run.most[stage] - self.filled[at]) * member).sum(axis=1) - size[:, 0]
            allowed &= ~((missing > places)[:, None] & member)
        return allowed

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
        for index, worst in self.worst.items():
            worst[at] = np.maximum(worst[at], run.latencies(index)[rows, self.regions[at]])
        for index, bits in self.bits.items():
            shape = run.facts[index].shape
            bits[at] &= run.pool.bits[shape.attribute, shape.how][rows]  # type: ignore[union-attr]
        for index, counts in self.counts.items():
            shape = run.facts[index].shape
            adds = run.pool.counts[shape.attribute, shape.how, shape.word][rows]  # type: ignore[union-attr]
            counts[at] += self.member[index].T[team] * adds[:, None]

    def complete(self) -> Bools:
        """Which matches are legal by every fact: teams at their least, counts reached, early tickets still fitting."""
        run = self.run
        done: Bools = (self.filled >= run.least[self.stage]).all(axis=1)
        done &= (self.filled <= run.most[self.stage]).all(axis=1)
        for index, counts in self.counts.items():
            fact = run.facts[index]
            low, high = fact.low[self.stage][:, None], fact.high[self.stage][:, None]
            done &= np.all((counts >= low) & (counts <= high), axis=1)
        for kind in (Range, Word):
            for index in run.by_kind[kind]:
                if not run.facts[index].constant:
                    done &= self._still(index)
        return done

    def _still(self, index: int) -> Bools:
        """Whether all seated tickets meet a Range at the stage the match has come to."""
        run, shape = self.run, self.run.facts[index].shape
        assert isinstance(shape, Range | Word)
        meant = np.array([name in shape.teams for name in run.names])
        at, column = np.nonzero(self.seat >= 0)
        meets = run.fitting(index, self.chunks[at, column], self.stage[at])
        broken = at[~meets & meant[self.seat[at, column]]]
        still = np.ones(len(self.seat), dtype=np.bool_)
        still[broken] = False
        return still
