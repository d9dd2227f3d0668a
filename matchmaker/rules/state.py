"""A match while it is being searched, one ticket at a time: an immutable value, and how a ticket changes it.

The same facts as in `growth`, for one match instead of thousands, with loose limits: a state is given up only if no
stage the match may still reach could accept it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.rules.attributes import Party
from matchmaker.rules.facts import Cap, Count, Floats, Range, Same, Shared, Window, Word
from matchmaker.rules.pool import MAX_BITS, MIXED
from matchmaker.rules.run import Bools, Rows, Run

EMPTY: int = -1  # stage of a match without tickets
ANY: int = -2  # word of a match without players
ALL_BITS: int = (1 << MAX_BITS) - 1


@dataclass(frozen=True, slots=True)
class State:
    """What limits depend on; one entry per fact of the kind, in the order of `run.by_kind`."""

    stage: int
    filled: tuple[int, ...]
    windows: tuple[tuple[float, float], ...]
    words: tuple[int, ...]
    worst: tuple[Floats, ...]
    bits: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]


def first_state(run: Run, there: Sequence[Sequence[Party]] = (), stage: int = EMPTY) -> State:
    """A match without tickets; or a running one with those who are `there`, asked for at `stage`."""
    parties = [party for team in there for party in team]
    counts = tuple(_counted(run, index, there) for index in run.by_kind[Count])
    return State(
        stage,
        tuple(sum(party.size for party in team) for team in there) or (0,) * len(run.names),
        tuple(_window(run, index, parties) for index in run.by_kind[Window]),
        tuple(_word(run, index, parties) for index in run.by_kind[Same]),
        tuple(_worst(run, index, parties) for index in run.by_kind[Cap]),
        tuple(_bits(run, index, parties) for index in run.by_kind[Shared]),
        counts,
    )


def _window(run: Run, index: int, parties: Sequence[Party]) -> tuple[float, float]:
    shape = run.facts[index].shape
    assert isinstance(shape, Window)
    numbers = [party.number(shape.attribute, shape.how) for party in parties]
    return min(numbers, default=math.inf), max(numbers, default=-math.inf)


def _word(run: Run, index: int, parties: Sequence[Party]) -> int:
    shape = run.facts[index].shape
    assert isinstance(shape, Same)
    found = {str(player.attributes[shape.attribute]) for party in parties for player in party.players}
    if not found:
        return ANY
    return run.pool.codes.get(shape.attribute, {}).get(found.pop(), MIXED) if len(found) == 1 else MIXED


def _worst(run: Run, index: int, parties: Sequence[Party]) -> Floats:
    """The highest latency of the parties in each region of the pool."""
    shape = run.facts[index].shape
    assert isinstance(shape, Cap)
    names = run.pool.latencies[shape.how].names
    rows = [[party.latencies(shape.how).get(name, math.inf) for name in names] for party in parties]
    worst: Floats = np.array([[0.0] * len(names), *rows]).max(axis=0)
    return worst


def _bits(run: Run, index: int, parties: Sequence[Party]) -> int:
    """The strings all parties share; those no waiting ticket has are of no use and have no bit."""
    shape = run.facts[index].shape
    assert isinstance(shape, Shared)
    codes = run.pool.codes.get(shape.attribute, {})
    bits = ALL_BITS
    for party in parties:
        bits &= sum(1 << codes[word] for word in party.strings(shape.attribute, shape.how) if word in codes)
    return bits


def _counted(run: Run, index: int, there: Sequence[Sequence[Party]]) -> tuple[int, ...]:
    shape = run.facts[index].shape
    assert isinstance(shape, Count)
    by_team = dict(zip(run.names, there, strict=True)) if there else {}
    return tuple(
        sum(run.pool.count_of(party, shape) for name in group for party in by_team.get(name, ()))
        for group in shape.groups
    )


def joined_stage(run: Run, stage: int, row_stage: int) -> int:
    """The stage of a match once a ticket of `row_stage` joins it."""
    if stage == EMPTY:
        return row_stage
    return min(stage, row_stage) if run.newest else max(stage, row_stage)


def compatible(run: Run, state: State, rows: Rows, anchor: int | None = None) -> Rows:
    """Those of `rows` that could join the match as far as seats do not matter.

    What each fact turns away is counted against it in the name of `anchor`, whose match this is.
    """
    for index, word in zip(run.by_kind[Same], state.words, strict=True):
        words = run.words(index)[rows]
        keep: Bools = (words != MIXED) if word == ANY else (words == word) & (words != MIXED)
        rows = _kept(run, index, rows, keep, -words.astype(np.float64), anchor)
    for index, (low, high) in zip(run.by_kind[Window], state.windows, strict=True):
        numbers, limit = run.column(index)[rows], run.high[index][_stages(run, state, rows)]
        wide = np.maximum(high, numbers) - np.minimum(low, numbers)
        rows = _kept(run, index, rows, wide <= limit, numbers, anchor, wide)
    for index, worst in zip(run.by_kind[Cap], state.worst, strict=True):
        limit = run.high[index][_stages(run, state, rows)]
        best = np.maximum(worst, run.latencies(index)[rows]).min(axis=1, initial=np.inf)
        rows = _kept(run, index, rows, best <= limit, best, anchor)
    for index, bits in zip(run.by_kind[Shared], state.bits, strict=True):
        shape = run.facts[index].shape
        assert isinstance(shape, Shared)
        shared = np.bitwise_count(run.pool.bits[shape.attribute, shape.how][rows] & np.uint64(bits))
        enough = shared >= run.low[index][_stages(run, state, rows)]
        rows = _kept(run, index, rows, enough, shared.astype(np.float64), anchor)
    return rows


def _kept(
    run: Run, index: int, rows: Rows, keep: Bools, values: Floats, anchor: int | None, by: Floats | None = None
) -> Rows:
    """`rows[keep]`; the value of the nearest of the others (least `by`, or least value) is what the anchor met."""
    if anchor is not None and not keep.all():
        lost = np.flatnonzero(~keep)
        nearest = lost[(values if by is None else by)[lost].argmin()]
        run.blame(index, anchor, len(lost), float(values[nearest]))
    return rows[keep]


def _stages(run: Run, state: State, rows: Rows) -> Rows:
    """The stage of the match with each of `rows`, alone."""
    if state.stage == EMPTY:
        return run.stage[rows]
    return np.minimum(run.stage[rows], state.stage) if run.newest else np.maximum(run.stage[rows], state.stage)


def with_ticket(run: Run, state: State, row: int, team: int) -> State | None:
    """The match with the ticket in `row` seated in `team`; None if that can lead nowhere."""
    pool = run.pool
    stage = joined_stage(run, state.stage, int(run.stage[row]))
    size = state.filled[team] + int(pool.size[row])
    if size > run.loose_most[stage, team] or not _welcome(run, row, team, stage):
        return None
    windows = _windows(run, state, row, stage)
    worst = _latencies(run, state, row, stage)
    bits = _shared(run, state, row, stage)
    counts = _counts(run, state, row, team, stage)
    if windows is None or worst is None or bits is None or counts is None:
        return None
    words = state.words
    if words:
        found = [int(run.words(index)[row]) for index in run.by_kind[Same]]
        if any(new == MIXED or old not in (ANY, new) for old, new in zip(words, found, strict=True)):
            return None
        words = tuple(found)
    filled = (*state.filled[:team], size, *state.filled[team + 1 :])
    return State(stage, filled, windows, words, worst, bits, counts)


def _welcome(run: Run, row: int, team: int, stage: int) -> bool:
    """Whether the team is open to the ticket by every Range and Word."""
    name = run.names[team]
    for index in (*run.by_kind[Range], *run.by_kind[Word]):
        shape = run.facts[index].shape
        assert isinstance(shape, Range | Word)
        if name in shape.teams and not run.may_fit(index, row, stage):
            return False
    return True


def _windows(run: Run, state: State, row: int, stage: int) -> tuple[tuple[float, float], ...] | None:
    made = []
    for index, (low, high) in zip(run.by_kind[Window], state.windows, strict=True):
        number = float(run.column(index)[row])
        low, high = min(low, number), max(high, number)
        if high - low > run.high[index][stage]:
            return None
        made.append((low, high))
    return tuple(made)


def _latencies(run: Run, state: State, row: int, stage: int) -> tuple[Floats, ...] | None:
    made = []
    for index, worst in zip(run.by_kind[Cap], state.worst, strict=True):
        now = np.maximum(worst, run.latencies(index)[row])
        if not (now <= run.high[index][stage]).any():
            return None
        made.append(now)
    return tuple(made)


def _shared(run: Run, state: State, row: int, stage: int) -> tuple[int, ...] | None:
    made = []
    for index, bits in zip(run.by_kind[Shared], state.bits, strict=True):
        shape = run.facts[index].shape
        now = bits & int(run.pool.bits[shape.attribute, shape.how][row])  # type: ignore[union-attr]  # a Shared
        if now.bit_count() < run.low[index][stage]:
            return None
        made.append(now)
    return tuple(made)


def _counts(run: Run, state: State, row: int, team: int, stage: int) -> tuple[tuple[int, ...], ...] | None:
    made = []
    name = run.names[team]
    for index, counts in zip(run.by_kind[Count], state.counts, strict=True):
        shape, adds = run.facts[index].shape, int(run.added(index, np.array([row]))[0])
        assert isinstance(shape, Count)
        now = tuple(n + (adds if name in group else 0) for n, group in zip(counts, shape.groups, strict=True))
        if max(now) > run.high[index][stage]:
            return None
        made.append(now)
    return tuple(made)
