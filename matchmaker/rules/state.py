"""A match while it is being searched, one ticket at a time: an immutable value, and how a ticket changes it.

The same facts as in `growth`, for one match instead of thousands, with loose limits: a state is given up only if no
stage the match may still reach could accept it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import and_
from typing import Final, TypeVar

import numpy as np
from msgspec import Struct

from core.rules.attributes import Party
from matchmaker.rules.facts import Cap, Count, Floats, Range, Same, Shared, Window, Word
from matchmaker.rules.pool import MAX_BITS, MIXED
from matchmaker.rules.run import Bools, Rows, Run

EMPTY: int = -1  # stage of a match without tickets
ANY: int = -2  # word of a match without players
ALL_BITS: int = (1 << MAX_BITS) - 1
AT_ONCE: Final = 256  # cards: of no more that wait all are made, as most are wanted, and two cost little more than one
N = TypeVar("N")


class State(Struct, frozen=True, gc=False):
    """What limits depend on; one entry per fact of the kind, in the order of `run.by_kind`."""

    stage: int
    filled: tuple[int, ...]
    windows: tuple[tuple[float, float], ...]
    bound: tuple[bool, ...]  # whether the window binds those who are in the match
    words: tuple[int, ...]
    regions: tuple[tuple[int, ...], ...]  # bits of those near enough to all, for each stage
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
        tuple(_bound(run, index, parties) for index in run.by_kind[Window]),
        tuple(_word(run, index, parties) for index in run.by_kind[Same]),
        tuple(_regions(run, index, worst_of(run, index, parties)[None, :])[0] for index in run.by_kind[Cap]),
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


def _bound(run: Run, index: int, parties: Sequence[Party]) -> bool:
    """Whether somebody there is held to the window."""
    shape = run.facts[index].shape
    assert isinstance(shape, Window)
    if shape.unless is None:
        return True
    attribute, word = shape.unless
    return any(player.attributes[attribute] != word for party in parties for player in party.players)


def worst_of(run: Run, index: int, parties: Sequence[Party]) -> Floats:
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


def compatible(run: Run, state: State, worst: Sequence[Floats], rows: Rows, anchor: int | None = None) -> Rows:
    """Those of `rows` that could join the match as far as seats do not matter. `worst` latencies are by Cap and region.

    What each fact turns away is counted against it in the name of `anchor`, whose match this is.
    """
    for index, word in zip(run.by_kind[Same], state.words, strict=True):
        words = run.words(index)[rows]
        keep: Bools = (words != MIXED) if word == ANY else (words == word) & (words != MIXED)
        rows = _kept(run, index, rows, keep, -words.astype(np.float64), anchor)
    for index, (low, high), bound in zip(run.by_kind[Window], state.windows, state.bound, strict=True):
        numbers, limit = run.column(index)[rows], run.high[index][_stages(run, state, rows)]
        wide = np.maximum(high, numbers) - np.minimum(low, numbers)
        keep = wide <= limit if bound else (wide <= limit) | run.exempt(index, rows)
        rows = _kept(run, index, rows, keep, numbers, anchor, wide)
    for index, there in zip(run.by_kind[Cap], worst, strict=True):
        limit = run.high[index][_stages(run, state, rows)]
        best = np.maximum(there, run.latencies(index)[rows]).min(axis=1, initial=np.inf)
        rows = _kept(run, index, rows, best <= limit, best, anchor)
    for index, bits in zip(run.by_kind[Shared], state.bits, strict=True):
        shared = np.bitwise_count(run.listed(index)[rows] & np.uint64(bits))
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


class Card(Struct, frozen=True, gc=False):
    """What a search must know of a ticket, as plain values: numbers of arrays are ten times as dear one by one.

    One entry per fact of the kind, as in `State`; of regions, one for each stage.
    """

    row: int
    size: int
    stage: int
    numbers: tuple[float, ...]
    exempt: tuple[bool, ...]
    words: tuple[int, ...]
    regions: tuple[tuple[int, ...], ...]
    bits: tuple[int, ...]
    adds: tuple[int, ...]


def cards(run: Run, rows: Rows) -> list[Card]:
    """The cards of these rows, each made once a pass."""
    known, wanted = run.cards, rows.tolist()
    if new := [row for row in wanted if row not in known]:
        made = run.by_age if len(run.by_age) <= AT_ONCE else np.array(new)
        known.update(zip(made.tolist(), _cards(run, made), strict=True))
    return [known[row] for row in wanted]


def _cards(run: Run, rows: Rows) -> list[Card]:
    kinds = run.by_kind
    count = len(rows)
    return [
        Card(*values)
        for values in zip(
            rows.tolist(),
            run.pool.size[rows].tolist(),
            run.stage[rows].tolist(),
            _each(count, [run.column(i)[rows].tolist() for i in kinds[Window]]),
            _each(count, [run.exempt(i, rows).tolist() for i in kinds[Window]]),
            _each(count, [run.words(i)[rows].tolist() for i in kinds[Same]]),
            _each(count, [_regions(run, i, run.latencies(i)[rows]) for i in kinds[Cap]]),
            _each(count, [run.listed(i)[rows].tolist() for i in kinds[Shared]]),
            _each(count, [run.added(i, rows).tolist() for i in kinds[Count]]),
            strict=True,
        )
    ]


def _each(count: int, columns: Sequence[list[N]]) -> list[tuple[N, ...]]:
    """The columns' values row by row."""
    return list(zip(*columns, strict=True)) if columns else [()] * count


def _regions(run: Run, index: int, latencies: Floats) -> list[tuple[int, ...]]:
    """For each row of latencies and each stage, a bit for every region that is near enough."""
    limits = run.high[index]
    bits = np.left_shift(np.uint64(1), np.arange(latencies.shape[1], dtype=np.uint64))
    near = latencies[:, :, None] <= limits[None, None, :]
    masks = (near * bits[None, :, None]).sum(axis=1, dtype=np.uint64)
    return list(map(tuple, masks.tolist()))


def with_ticket(run: Run, state: State, card: Card, team: int) -> State | None:
    """The match with a ticket seated in `team`; None if that can lead nowhere."""
    stage = joined_stage(run, state.stage, card.stage)
    size = state.filled[team] + card.size
    if size > run.most_players[stage][team] or not _welcome(run, card.row, team, stage):
        return None
    words = state.words
    if words:
        if any(new == MIXED or old not in (ANY, new) for old, new in zip(words, card.words, strict=True)):
            return None
        words = card.words
    windows, bound = state.windows, state.bound
    if windows:
        grown = _windows(run, state, card, stage)
        if grown is None:
            return None
        windows, bound = grown
    regions, bits, counts = state.regions, state.bits, state.counts
    if regions:
        regions = tuple([tuple(map(and_, old, new)) for old, new in zip(regions, card.regions, strict=True)])
        if not all(masks[stage] for masks in regions):
            return None
    if bits:
        bits = tuple(map(and_, bits, card.bits))
        if any(n.bit_count() < run.low[i][stage] for i, n in zip(run.by_kind[Shared], bits, strict=True)):
            return None
    if counts:
        added = _counts(run, state, card, team, stage)
        if added is None:
            return None
        counts = added
    filled = (*state.filled[:team], size, *state.filled[team + 1 :])
    return State(stage, filled, windows, bound, words, regions, bits, counts)


def _welcome(run: Run, row: int, team: int, stage: int) -> bool:
    """Whether the team is open to the ticket by every Range and Word."""
    name = run.names[team]
    for index in run.doors:
        shape = run.facts[index].shape
        assert isinstance(shape, Range | Word)
        if name in shape.teams and not run.may_fit(index, row, stage):
            return False
    return True


def _windows(
    run: Run, state: State, card: Card, stage: int
) -> tuple[tuple[tuple[float, float], ...], tuple[bool, ...]] | None:
    made, bound = [], []
    for i, index in enumerate(run.by_kind[Window]):
        (low, high), number = state.windows[i], card.numbers[i]
        low, high = min(low, number), max(high, number)
        held = state.bound[i] or not card.exempt[i]
        if held and high - low > run.widest[index][stage]:
            return None
        made.append((low, high))
        bound.append(held)
    return tuple(made), tuple(bound)


def _counts(run: Run, state: State, card: Card, team: int, stage: int) -> tuple[tuple[int, ...], ...] | None:
    made = []
    for counts, adds, index in zip(state.counts, card.adds, run.by_kind[Count], strict=True):
        if adds:
            groups = run.groups_of[index][team]
            counts = tuple([n + adds if held else n for n, held in zip(counts, groups, strict=True)])
            if max(counts) > run.widest[index][stage]:
                return None
        made.append(counts)
    return tuple(made)
