"""Finds a match around one ticket, or into one running match, by depth-first search with a budget.

Candidates come from the columns: those that could be in a match with the anchor at all, the preferred ones first. The
search seats or skips them one after the other. Only limits that hold for every stage the match may still reach cut it
short, and the evaluator has the last word on each complete seating. Within its budget it is therefore exhaustive: if
there is a legal match of the anchor among its candidates, it is found.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.model import MAX_PLAYERS_PER_MATCH
from core.rules.attributes import Party
from matchmaker.rules.facts import Cap, Count, Range, Word
from matchmaker.rules.limits import Counted, Want
from matchmaker.rules.pool import Running
from matchmaker.rules.preference import by_preference
from matchmaker.rules.prospects import prospects
from matchmaker.rules.run import Match, Rows, Run
from matchmaker.rules.state import EMPTY, State, cards, compatible, first_state, with_ticket, worst_of

CANDIDATES: Final = 48  # tickets looked at around one anchor; twice the seats of a match where that is more

ALL_SUMS: Final = (1 << (MAX_PLAYERS_PER_MATCH + 1)) - 1


@dataclass(frozen=True, slots=True)
class Budget:
    """What one search may cost at most. A node, one ticket tried in one team, is some 15 us, an evaluation some 100."""

    nodes: int
    evaluations: int


DEEP: Final = Budget(8_000, 1_024)  # for the oldest ticket: 0.2 s at the very most, and only where nothing fits
SHARED_NODES: Final = 16_000  # for all other tickets of a pass together
MOST_NODES: Final = 400
LEAST_NODES: Final = 64  # a match of 48 candidates that fits at once takes fewer
AGAIN: Final = 2  # the same tickets are searched around so many of them in vain ...
ONE_MORE: Final = 0.125  # ... and then around this share of the others, drawn by the seed


def shallow(searches: int) -> Budget:
    """An equal share of what a pass may spend on `searches` searches."""
    return Budget(min(MOST_NODES, max(LEAST_NODES, SHARED_NODES // max(searches, 1))), 24)


def around(run: Run, anchor: int, budget: Budget) -> Match | None:
    """A legal match that holds the ticket in row `anchor`; None if none was found."""
    if run.empty is None:
        run.empty = first_state(run)
    empty, (card,) = run.empty, cards(run, np.array([anchor]))
    starts = [(t, s) for t in range(len(run.names)) if (s := with_ticket(run, empty, card, t)) is not None]
    if not starts:
        _unwelcome(run, anchor)
        run.barren[anchor] = True
        return None
    rows = run.free()
    worst = [run.latencies(index)[anchor] for index in run.by_kind[Cap]]
    suited = compatible(run, starts[0][1], worst, rows[rows != anchor], anchor)
    groups = prospects(run, np.concatenate(([anchor], suited[~run.barren[suited]])))
    nodes, evaluations, exhausted = budget.nodes, budget.evaluations, True
    for number, group in enumerate(groups):
        left, same = len(groups) - number, np.sort(group).tobytes()
        if run.vain.get(same, 0) >= AGAIN and run.rng.random() > ONE_MORE:
            exhausted = False
            continue
        part = Budget(max(LEAST_NODES, nodes // left), max(1, evaluations // left))
        search = _Search(run, _preferred(run, anchor, group[1:]), part, anchor)
        found = search.around(empty, starts)
        if found is not None:
            return found
        run.vain[same] = run.vain.get(same, 0) + 1
        exhausted &= search.exhausted and len(search.cards) == len(group) - 1
        nodes -= part.nodes - search.nodes
        evaluations -= part.evaluations - search.evaluations
    run.barren[anchor] = exhausted
    if evaluations == budget.evaluations:  # with matches refused, the rules that refused them are the reason
        _too_few(run, anchor, suited)
    return None


def _too_few(run: Run, anchor: int, suited: Rows) -> None:
    """Note what is missing among those who suit a ticket: those with a word that teams want, or else players."""
    stage, everybody = int(run.stage[anchor]), np.append(suited, anchor)
    for want in run.wants:
        there = int(run.added(want.fact, everybody).sum())
        if there < want.least[stage]:
            run.blame(want.fact, anchor, 1, float(there))
            return
    run.crowded(np.array([anchor]))


def _unwelcome(run: Run, anchor: int) -> None:
    """Note which facts keep a ticket out of every team, alone as it is."""
    stage = int(run.stage[anchor])
    for index in (*run.by_kind[Range], *run.by_kind[Word]):
        if not run.may_fit(index, anchor, stage):
            run.blame(index, anchor, 1, math.nan)
    for index in run.by_kind[Count]:
        if run.added(index, np.array([anchor]))[0] > run.high[index][stage]:
            run.blame(index, anchor, 1, math.nan)
    for index in run.by_kind[Cap]:
        best = float(run.latencies(index)[anchor].min(initial=math.inf))
        if best > run.high[index][stage]:
            run.blame(index, anchor, 1, best)


def into(run: Run, running: Running, budget: Budget) -> Match | None:
    """New tickets for a running match that together with those there obey the rules; None if none were found."""
    there = [running.teams[name] for name in run.names]
    state = first_state(run, there, run.rules.stage_at(run.now_ms - running.since_ms))
    parties = [party for team in there for party in team]
    rows = run.free()
    if sum(state.filled) >= int(run.loose_most[state.stage].sum()):
        return None
    candidates = compatible(run, state, [worst_of(run, i, parties) for i in run.by_kind[Cap]], rows)
    if not len(candidates):
        return None
    oldest = int(candidates[0])
    chosen = np.concatenate(([oldest], _preferred(run, oldest, candidates[1:])))
    return _Search(run, chosen, budget, None, running).into(state)


def _preferred(run: Run, anchor: int, rows: Rows) -> Rows:
    """The first of `rows` in the anchor's eyes, as many as a search looks at."""
    return by_preference(run, rows, anchor)[: max(CANDIDATES, 2 * run.seats)] if len(rows) else rows


def _suffixes(values: list[int]) -> list[int]:
    """The sum of the values from each position on, and 0 at the end."""
    return [*itertools.accumulate(reversed(values), initial=0)][::-1]


def _sums(sizes: list[int]) -> list[int]:
    """From each position on: bit n is set where some of these sizes together are n."""
    sums = [1]
    for size in reversed(sizes):
        sums.append((sums[-1] | sums[-1] << size) & ALL_SUMS)
    return sums[::-1]


def _sides(run: Run, rows: Rows, want: Want) -> tuple[list[int], list[int], float]:
    """(players without the word from each position on, players with it, the most who come with one of it)."""
    size, adds = run.pool.size[rows], run.added(want.fact, rows)
    having = np.where(adds > 0, size, 0)
    ratio = float((having / np.maximum(adds, 1)).max(initial=0.0))
    return _suffixes((size - having).tolist()), _suffixes(having.tolist()), ratio


def _missing(counts: Sequence[Counted], state: State, stage: int) -> float:
    """How much these counts are below their least, together."""
    return sum([max(0.0, low[stage] - state.counts[place][group]) for place, group, low, _ in counts])


class _Search:
    """One search: candidates in order, a seat or none for each."""

    def __init__(
        self, run: Run, rows: Rows, budget: Budget, anchor: int | None, running: Running | None = None
    ) -> None:
        self.run, self.anchor, self.running = run, anchor, running
        self.cards = cards(run, rows)
        self.there: Sequence[Sequence[Party]] = [running.teams[name] for name in run.names] if running else ()
        self.nodes, self.evaluations = budget.nodes, budget.evaluations
        sizes = run.pool.size[rows].tolist()
        self.sums = _sums(sizes)  # bit n of sums[i]: some of the candidates from the i-th on have n players together
        self.players = _suffixes(sizes)
        self.adds = [_suffixes(run.added(index, rows).tolist()) for index in run.by_kind[Count]]
        self.sides = [_sides(run, rows, want) for want in run.wants]
        self.least, self.most = run.loose_least.tolist(), run.most_players
        self.seated: list[list[int]] = [[] for _ in run.names]
        self.found: Match | None = None
        run.tally.searches += 1

    def around(self, empty: State, starts: list[tuple[int, State]]) -> Match | None:
        """Try every team for the anchor; `starts` are the matches with it alone, `empty` is the one without."""
        assert self.anchor is not None
        able = dict(starts)
        for team in self._order(empty):
            if team not in able:
                continue
            state = able[team]
            self.seated[team].append(self.anchor)
            if self._descend(0, state):
                break
            self.seated[team].pop()
        return self.found

    @property
    def exhausted(self) -> bool:
        """Whether all was tried, and nothing found."""
        return self.found is None and self.nodes >= 0 and self.evaluations >= 0 and not self.run.spent

    def into(self, state: State) -> Match | None:
        self._descend(0, state)
        return self.found

    def _order(self, state: State) -> list[int]:
        """Teams in the order to try: those below their least first, then by free places."""
        stage = max(state.stage, 0)
        key = [
            (filled >= least, filled - most, team)
            for team, (filled, least, most) in enumerate(
                zip(state.filled, self.least[stage], self.most[stage], strict=True)
            )
        ]
        order = [team for _, _, team in sorted(key)]
        first: dict[int, int] = {}  # of teams that are alike and empty only the first is tried
        for team in order:
            if not state.filled[team]:
                first.setdefault(self.run.twins[team], team)
        return [team for team in order if state.filled[team] or first[self.run.twins[team]] == team]

    def _descend(self, at: int, state: State) -> bool:
        """Seat or skip candidates from `at` on. True once a match is found or the budget is spent (`found` tells)."""
        if self.nodes < 0 or self.evaluations < 0 or self.run.spent:
            return True
        most = self.most[max(state.stage, 0)]
        if at == len(self.cards) or sum(state.filled) == sum(most):
            return self._leaf(state)
        if not self._fillable(at, state):
            return False
        card = self.cards[at]
        for team in self._order(state):
            self.nodes -= 1
            grown = with_ticket(self.run, state, card, team)
            if grown is not None:
                self.seated[team].append(card.row)
                if self._descend(at + 1, grown):
                    return True
                self.seated[team].pop()
        return self._descend(at + 1, state)

    def _fillable(self, at: int, state: State) -> bool:
        """Whether the candidates from `at` on have the sizes that teams still need, and the words that are wanted."""
        stage, sums, needed, teams = max(state.stage, 0), self.sums[at], 0, 0
        for filled, least, most in zip(state.filled, self.least[stage], self.most[stage], strict=True):
            if filled < least:
                needed, teams = needed + least - filled, teams + 1
                if not sums >> (least - filled) & ((1 << (most - least + 1)) - 1):
                    return False
        if needed > self.players[at] or teams > len(self.cards) - at:
            return False
        return not self.adds or self._countable(at, state, stage, needed)

    def _countable(self, at: int, state: State, stage: int, needed: int) -> bool:
        """Whether the candidates from `at` on have the words still wanted, and the teams the places for them.

        And players enough, of whom those with a word count only as far as teams may have more of it.
        """
        for want, (without, having, ratio) in zip(self.run.wants, self.sides, strict=True):
            if _missing(want.counts, state, stage) > self.adds[want.counts[0].place][at]:
                return False
            if want.most[stage] < math.inf:
                room = sum([high[stage] - state.counts[place][group] for place, group, _, high in want.counts])
                if needed > without[at] + min(having[at], room * ratio):
                    return False
        most = self.most[stage]
        for claim in self.run.claims:
            missing = _missing(claim.counts, state, stage)
            if missing and missing > sum([most[team] - state.filled[team] for team in claim.teams]):
                return False
        return True

    def _leaf(self, state: State) -> bool:
        """Judge a seating that can grow no more."""
        run, stage = self.run, state.stage
        if stage == EMPTY or not any(self.seated):
            return False
        least, most = run.least[stage].tolist(), run.most[stage].tolist()
        if not all(low <= n <= high for low, n, high in zip(least, state.filled, most, strict=True)):
            return False
        self.evaluations -= 1
        failure = run.judge(self.seated, stage, self.there)
        if failure is None:
            teams = tuple(tuple(team) for team in self.seated)
            self.found = Match(teams, stage, self.running.id if self.running else None)
            return True
        if self.anchor is not None:
            run.fail(self.anchor, failure)
        return False
