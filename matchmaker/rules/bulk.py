"""Makes matches for thousands of anchors at once.

The free tickets are put in an order in which neighbours suit each other (same words, same region, near in the
narrowest number) and cut into chunks. Each chunk has an anchor, its oldest ticket not yet tried, and all chunks grow
their match in lockstep: step k offers every chunk the k-th ticket its anchor prefers, as one set of array operations
over all chunks. Chunks are cut anew each round, shifted, until rounds yield next to nothing; what is left goes to
`search`.

This is FlexMatch's own outline (group tickets into batches, sort by age, build around the oldest of each batch), done
for all batches together. One round over n tickets costs one sort at most and some passes over arrays: n log n.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from matchmaker.rules.arrange import rearranged
from matchmaker.rules.facts import Cap, Count, Floats, Same, Window
from matchmaker.rules.growth import Growth
from matchmaker.rules.pool import MIXED
from matchmaker.rules.preference import preferred
from matchmaker.rules.run import Bools, Match, Rows, Run

ROUNDS: Final = 24  # of one sweep
POOR: Final = 0.01  # a round that matched a smaller share of its chunks is poor; two in a row end the sweep
REGIONS: Final = 16  # regions swept after everybody's best: the most populous
SMALLEST_CHUNK: Final = 12
LARGEST_CHUNK: Final = 400


@dataclass(frozen=True, slots=True)
class Sweep:
    """Tickets to be cut into chunks: `rows` with the region each would play in (-1: not looked at)."""

    rows: Rows
    regions: Rows


def bulk(run: Run) -> Iterator[Match]:
    """Matches found in lockstep. They satisfy every rule at their stage; their tickets are taken from the run."""
    groups = _groups(run)
    width = _width(run)
    for sweep in _sweeps(run):
        poor = 0
        tried: Bools = np.zeros(len(run.left), dtype=np.bool_)
        lasting = False
        for _ in range(ROUNDS):
            if not lasting:
                sweep, cells, lasting = _sorted(run, sweep, groups)
            chunks, regions = _cut(run, sweep, cells, width)
            chunks, regions = _anchored(run, chunks, regions, tried)
            if not len(chunks):
                break
            found = list(_grown(run, chunks, regions))
            run.tally.rounds += 1
            yield from found
            if run.residual and run.spent:
                return  # candidates could be made, but no longer judged
            poor = poor + 1 if len(found) < POOR * len(chunks) else 0
            if poor == 2:
                break


def _width(run: Run) -> int:
    """Tickets in a chunk: enough to fill two matches of typical parties; more where roles have to be found in it."""
    rows = run.by_age
    mean = float(run.pool.size[rows].mean()) if len(rows) else 1.0
    wide = 2.0 if not run.by_kind[Count] else 6.0
    return int(np.clip(np.ceil(wide * run.seats / mean), SMALLEST_CHUNK, LARGEST_CHUNK))


def _groups(run: Run) -> Rows:
    """A number for every row: tickets of different numbers can never meet (`Same`); -1 can meet nobody."""
    group: Rows = np.zeros(len(run.left), dtype=np.int64)
    for index in run.by_kind[Same]:
        shape = run.facts[index].shape
        assert isinstance(shape, Same)
        words = run.pool.words[shape.attribute]
        mixed = run.left & (words == MIXED)
        run.reject(index, np.flatnonzero(mixed), float(MIXED))
        joined = group * (words.max(initial=0) + 1) + words
        joined[(group < 0) | (words == MIXED)] = -1
        group = joined
        _lonely(run, index, group)
    return group


def _lonely(run: Run, index: int, group: Rows) -> None:
    """Those whose group is too small for a match are held up by the rule that made it so small."""
    rows = run.by_age[group[run.by_age] >= 0]
    _, inverse = np.unique(group[rows], return_inverse=True)
    players = np.bincount(inverse, weights=run.pool.size[rows].astype(np.float64))[inverse]
    lonely = players < run.loose_least[run.stage[rows]].sum(axis=1)
    run.reject(index, rows[lonely], players[lonely])


def _sweeps(run: Run) -> Iterator[Sweep]:
    """The free tickets by region: first everybody's best region, then the most populous ones with all who suit it."""
    caps = run.by_kind[Cap]
    if not caps:
        yield Sweep(run.by_age, np.full(len(run.by_age), -1, dtype=np.int64))
        return
    rows = run.by_age
    suits = np.ones((len(rows), run.latencies(caps[0]).shape[1]), dtype=np.bool_)
    for index in caps:
        within = run.latencies(index)[rows] <= run.high[index][run.stage[rows]][:, None]
        best = run.latencies(index)[rows].min(axis=1, initial=np.inf)
        nowhere = ~within.any(axis=1)
        run.reject(index, rows[nowhere], np.where(np.isfinite(best), best, -1.0)[nowhere])
        suits &= within
    if not suits.any():
        return
    if run.rules.stages[0].algorithm.batching != "largestPopulation":
        latency = np.where(suits, run.latencies(caps[0])[rows], np.inf)
        somewhere = suits.any(axis=1)
        yield Sweep(rows[somewhere], latency.argmin(axis=1)[somewhere])
    free = run.left[rows]
    for region in np.argsort(-suits[free].sum(axis=0), kind="stable")[:REGIONS]:
        here = rows[suits[:, region] & run.left[rows]]
        yield Sweep(here, np.full(len(here), region, dtype=np.int64))


def _keys(run: Run, rows: Rows) -> tuple[list[Rows], list[Floats], bool]:
    """(cells, order, lasting): tickets of different cells do not meet this round; `order` sorts within a cell.

    The narrowest number sorts; any further ones cut cells of their limit's width, at a new offset each round so that
    neighbours parted by a border meet in the next. `lasting`: nothing was drawn, the next round may keep the order.
    """
    pool, algorithm = run.pool, run.rules.stages[int(run.stage[run.by_age[0]])].algorithm
    spans = []
    for index in run.by_kind[Window]:
        numbers, limit = run.column(index)[rows], float(run.facts[index].high.max())
        spans.append((float(np.ptp(numbers)) / limit if limit else np.inf, index))
    spans.sort(key=lambda span: -span[0])
    cells: list[Rows] = []
    lasting = True
    for span, index in spans[1:]:
        limit = float(run.facts[index].high.max())
        numbers = run.column(index)[rows]
        if limit == 0:
            cells.append(np.unique(numbers, return_inverse=True)[1].astype(np.int64))
        elif span > 1:
            cells.append(np.floor(numbers / limit + run.rng.random()).astype(np.int64))
            lasting = False
    order: list[Floats] = []
    if algorithm.strategy == "balanced":
        order.append(pool.numbers[algorithm.balanced_attribute, "avg"][rows])
    for name in algorithm.sort_by if algorithm.batching == "sorted" else ():
        column = pool.numbers.get((name, "avg"))
        order.append(column[rows] if column is not None else pool.words[name][rows].astype(np.float64))
    if spans:
        order.append(run.column(spans[0][1])[rows])
    elif pool.facts.near and not order:
        order.append(pool.numbers[pool.facts.near, "avg"][rows])
    return (cells, order, lasting) if order else (cells, [run.rng.random(len(rows))], False)


def _sorted(run: Run, sweep: Sweep, groups: Rows) -> tuple[Sweep, Rows, bool]:
    """(the sweep in order, a cell number for each of its rows, whether another round may keep this order)."""
    keep = run.left[sweep.rows] & (groups[sweep.rows] >= 0)
    rows, regions = sweep.rows[keep], sweep.regions[keep]
    if not len(rows):
        return Sweep(rows, regions), rows, True
    cells, order, lasting = _keys(run, rows)
    sorting = np.lexsort([*reversed(order), *cells, groups[rows], regions])
    fresh = np.zeros(len(rows), dtype=np.bool_)
    for key in (*cells, groups[rows], regions):
        fresh[1:] |= key[sorting][1:] != key[sorting][:-1]
    return Sweep(rows[sorting], regions[sorting]), np.cumsum(fresh), lasting


def _cut(run: Run, sweep: Sweep, cells: Rows, width: int) -> tuple[Rows, Rows]:
    """Chunks of free neighbours as a matrix of rows (-1: none), and the region of each chunk."""
    keep = run.left[sweep.rows]
    rows, regions, cells = sweep.rows[keep], sweep.regions[keep], cells[keep]
    if not len(rows):
        return np.zeros((0, width), dtype=np.int64), np.zeros(0, dtype=np.int64)
    fresh = np.ones(len(rows), dtype=np.bool_)
    fresh[1:] = cells[1:] != cells[:-1]
    starts = np.flatnonzero(fresh)
    at = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
    fresh |= (at + int(run.rng.integers(width))) % width == 0
    chunk, first = np.cumsum(fresh) - 1, np.flatnonzero(fresh)
    matrix = np.full((len(first), width), -1, dtype=np.int64)
    matrix[chunk, np.arange(len(rows)) - first[chunk]] = rows
    return matrix, regions[first]


def _anchored(run: Run, chunks: Rows, regions: Rows, tried: Bools) -> tuple[Rows, Rows]:
    """The chunks that hold an untried anchor and enough players, each sorted: the anchor, then whom it prefers."""
    size = np.where(chunks >= 0, run.pool.size[chunks], 0)
    since = np.where((chunks >= 0) & ~tried[chunks], run.pool.since[chunks], np.iinfo(np.int64).max)
    at = since.argmin(axis=1)
    anchor = chunks[np.arange(len(chunks)), at]
    open_ = since[np.arange(len(chunks)), at] < np.iinfo(np.int64).max
    enough = size.sum(axis=1) >= run.loose_least.sum(axis=1).min()
    keep = open_ & enough
    chunks, regions, anchor = chunks[keep], regions[keep], anchor[keep]
    tried[anchor] = True
    return preferred(run, chunks, anchor), regions


def _grown(run: Run, chunks: Rows, regions: Rows) -> Iterator[Match]:
    """Grow all chunks, and give out those that became legal matches."""
    growth = Growth(run, chunks, regions)
    for step in range(chunks.shape[1]):
        if not growth.offer(step):
            break
    done = np.flatnonzero(growth.complete())
    seats, stages, names = growth.seat[done], growth.stage[done].tolist(), len(run.names)
    at, column = np.nonzero(seats >= 0)
    team = at * names + seats[at, column]
    order = np.argsort(team, kind="stable")
    rows = chunks[done][at, column][order]
    ends = np.searchsorted(team[order], np.arange(len(done) * names + 1)).tolist()
    flat = rows.tolist()
    parts = [tuple(flat[start:end]) for start, end in itertools.pairwise(ends)]
    matches = (Match(tuple(parts[i * names : (i + 1) * names]), stage) for i, stage in enumerate(stages))
    if not run.residual and not run.pool.facts.balance:
        run.left[rows] = False
        yield from matches
        return
    for match in matches:
        other = rearranged(run, match)
        if other is not None:
            yield run.take(other)
