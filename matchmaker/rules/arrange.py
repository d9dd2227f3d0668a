"""Other seatings of a match: level teams for the balanced strategy, and small changes until every rule agrees.

Who plays is mostly settled by facts; what fails then is who plays with whom ("average skill of each team within 10").
A few swaps and moves mend most of that, at the price of one evaluation each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from matchmaker.rules.run import Match, Run

ATTEMPTS: Final = 16  # seatings tried of one match
Teams = tuple[tuple[int, ...], ...]


def rearranged(run: Run, match: Match) -> Match | None:
    """The match in a seating that every rule accepts; None if the attempts, or the pass's evaluations, run out."""
    facts = run.pool.facts
    start = levelled(run, match) if facts.balance else match.teams
    if not run.residual and (start == match.teams or not facts.seating):
        return Match(start, match.stage)
    failure: str | None = None
    for teams in itertools.islice(_seatings(run, match, start), ATTEMPTS):
        if run.spent:
            return None
        stage = run.stage_of(_rows(teams))  # leaving a ticket out may change it
        failure = run.judge(teams, stage)
        if failure is None:
            return Match(teams, stage)
        if failure not in facts.seating:
            break  # no seating of these players would help
    if failure is not None:
        run.fail(min(_rows(match.teams), key=lambda row: run.pool.since[row]), failure)
    return None


def levelled(run: Run, match: Match) -> Teams:
    """The same players dealt out anew so that the teams' sums of the balanced number come close.

    Largest first to the team that is furthest behind (longest-processing-time scheduling), among those with places;
    the seating as it was if parties do not pack that way.
    """
    numbers = run.pool.numbers[run.pool.facts.balance, "avg"]
    rows = _rows(match.teams)
    mean = sum(float(numbers[row]) for row in rows) / len(rows)
    size = {row: int(run.pool.size[row]) for row in rows}
    pull = {row: (float(numbers[row]) - mean) * size[row] for row in rows}
    places = [sum(size[row] for row in team) for team in match.teams]  # keep the sizes: their bounds are met
    sums = [0.0] * len(places)
    teams: list[list[int]] = [[] for _ in places]
    for row in sorted(rows, key=lambda row: (-size[row], -abs(pull[row]), row)):
        able = [t for t, free in enumerate(places) if free >= size[row]]
        if not able:
            return match.teams
        team = min(able, key=lambda t: (abs(sums[t] + pull[row]) - abs(sums[t]), -places[t], t))
        teams[team].append(row)
        sums[team] += pull[row]
        places[team] -= size[row]
    return tuple(map(tuple, teams))


def _rows(teams: Teams) -> list[int]:
    return [row for team in teams for row in team]


def _seatings(run: Run, match: Match, start: Teams) -> Iterator[Teams]:
    """The start, the match as it came, then swaps of two parties, moves of one, and leaving one out."""
    yield start
    if start != match.teams:
        yield match.teams
    size = run.pool.size
    for a, b in itertools.combinations(range(len(start)), 2):
        for x, y in itertools.product(start[a], start[b]):
            if size[x] == size[y]:
                yield _changed(start, {a: (x, y), b: (y, x)})
    least, most = run.least[match.stage], run.most[match.stage]
    for a, b in itertools.permutations(range(len(start)), 2):
        for x in start[a]:
            left, gained = _players(run, start[a]) - int(size[x]), _players(run, start[b]) + int(size[x])
            if left >= least[a] and gained <= most[b]:
                yield _changed(start, {a: (x, None), b: (None, x)})
    for a, team in enumerate(start):
        for x in reversed(team):
            if _players(run, team) - int(size[x]) >= least[a] and len(_rows(start)) > 1:
                yield _changed(start, {a: (x, None)})


def _players(run: Run, team: tuple[int, ...]) -> int:
    return sum(int(run.pool.size[row]) for row in team)


def _changed(teams: Teams, changes: dict[int, tuple[int | None, int | None]]) -> Teams:
    """The seating with (out, in) done in each of the teams named."""
    made = list(teams)
    for team, (out, in_) in changes.items():
        made[team] = tuple(row for row in teams[team] if row != out) + (() if in_ is None else (in_,))
    return tuple(made)
