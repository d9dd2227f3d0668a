"""Whom an anchor would rather play with: the sort rules in their order, then who is near in skill, then who waits.

Where teams must be full, big parties come before near ones unless a sort rule says otherwise: small ones still fit when
the big are seated, and not the other way round; all who are asked are within the rules' distance anyway.

`absoluteSort` sorts by the attribute itself (of a map: the value under the anchor's favourite key), plain strings by
whether they are the anchor's; `distanceSort` by how far the number is from the anchor's. What a ticket lacks sorts
last.
"""

from __future__ import annotations

import numpy as np

from core.rules.model import Sort
from matchmaker.rules.facts import Floats, Window
from matchmaker.rules.run import Rows, Run


def preferred(run: Run, chunks: Rows, anchors: Rows) -> Rows:
    """Sort each chunk (a row of pool rows, -1 for none): the anchor, its preferences, the empty places."""
    if not chunks.size:
        return chunks
    place = np.where(chunks == anchors[:, None], -1.0, np.where(chunks < 0, 1.0, 0.0))
    order = np.lexsort((*reversed(_ranks(run, chunks, anchors)), place), axis=1)  # the deciding key last
    return chunks[np.arange(len(chunks))[:, None], order]


def by_preference(run: Run, rows: Rows, anchor: int) -> Rows:
    """Sort `rows` as one anchor prefers them, which is not among them."""
    order: Rows = np.lexsort(_ranks(run, rows[None, :], np.array([anchor]))[::-1], axis=1)[0]
    return rows[order]


def _ranks(run: Run, chunks: Rows, anchors: Rows) -> list[Floats]:
    """What decides, first things first: for each ticket in its anchor's eyes, lower is better."""
    ranks = [rank(run, chunks, anchors, sort) for sort in run.rules.stages[0].sorts]
    if not ranks and run.must_fill:
        ranks.append(-run.pool.size[chunks].astype(np.float64))
    ranks += [_distance(run, chunks, anchors, index) for index in run.by_kind[Window][:1]]
    near = run.pool.facts.near
    if near and not run.by_kind[Window]:
        numbers = run.pool.numbers[near, "avg"]
        ranks.append(np.abs(numbers[chunks] - numbers[anchors][:, None]))
    ranks.append(run.pool.since[chunks].astype(np.float64))
    return ranks


def rank(run: Run, chunks: Rows, anchors: Rows, sort: Sort) -> Floats:
    """What one sort rule makes of each ticket in the anchor's eyes: lower is better."""
    pool = run.pool
    if sort.type == "string":
        words = pool.words[sort.attribute]
        values: Floats = (words[chunks] != words[anchors][:, None]).astype(np.float64)
        return np.negative(values) if sort.descending else values
    if sort.type == "string_number_map":
        values, own = _favourite(run, chunks, anchors, sort)
    else:
        numbers = pool.numbers[sort.attribute, sort.party]
        values, own = numbers[chunks], numbers[anchors]
    if sort.kind == "distanceSort":
        values = np.abs(values - own[:, None])
    if sort.descending:
        values = -values
    return np.where(np.isnan(values), np.inf, values)


def _favourite(run: Run, chunks: Rows, anchors: Rows, sort: Sort) -> tuple[Floats, Floats]:
    """The values under the key that is lowest, or highest, in the anchor's map; and the anchor's own."""
    table = run.pool.maps[sort.attribute, sort.party].values
    if not table.shape[1]:
        return np.full(chunks.shape, np.nan), np.full(len(anchors), np.nan)
    mine = table[anchors]
    if sort.map_key == "maxValue":
        key = np.where(np.isnan(mine), -np.inf, mine).argmax(axis=1)
    else:
        key = np.where(np.isnan(mine), np.inf, mine).argmin(axis=1)
    values: Floats = table[chunks, key[:, None]]
    return values, mine[np.arange(len(anchors)), key]


def _distance(run: Run, chunks: Rows, anchors: Rows, index: int) -> Floats:
    numbers = run.column(index)
    return np.abs(numbers[chunks] - numbers[anchors][:, None])
