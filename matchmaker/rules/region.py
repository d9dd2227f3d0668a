"""Where each new match is played: the region that suits all its tickets and is nearest to its players on average."""

from __future__ import annotations

import numpy as np

from matchmaker.rules.evaluate import regions_for
from matchmaker.rules.facts import Cap
from matchmaker.rules.run import Match, Rows, Run


def best_regions(run: Run, matches: list[Match]) -> list[str | None]:
    """A region for each match; None where its tickets have none in common. Ties go to the first by name.

    Same answer as `evaluate.regions_for`, for all matches at once where latency rules are caps.
    """
    how = next(iter(run.pool.latencies))
    matrix = run.pool.latencies[how]
    if not matches or not matrix.names:
        return [None] * len(matches)
    if any(index for index in run.by_kind[Cap] if run.facts[index].rule in run.residual) or len(run.by_kind[Cap]) > 1:
        return [_one(run, match) for match in matches]
    rows: Rows = np.array([row for match in matches for team in match.teams for row in team], dtype=np.int64)
    counts = [sum(map(len, match.teams)) for match in matches]
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    names = sorted(matrix.names)
    ms = matrix.values[rows][:, [matrix.names[name] for name in names]]
    weighted = np.add.reduceat(ms * run.pool.size[rows][:, None], starts, axis=0)
    for index in run.by_kind[Cap]:
        limit = run.facts[index].high[np.array([match.stage for match in matches])]
        weighted[np.maximum.reduceat(ms, starts, axis=0) > limit[:, None]] = np.inf
    best = weighted.argmin(axis=1)
    known = np.isfinite(weighted[np.arange(len(matches)), best])
    return [names[at] if there else None for at, there in zip(best.tolist(), known.tolist(), strict=True)]


def _one(run: Run, match: Match) -> str | None:
    teams = {name: [run.pool.party(row) for row in rows] for name, rows in zip(run.names, match.teams, strict=True)}
    return next(iter(regions_for(run.rules.stages[match.stage], teams)), None)
