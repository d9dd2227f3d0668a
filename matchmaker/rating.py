"""How a match moves its players' ratings. PURE; openskill computes.

The model is Plackett and Luce's of Weng and Lin (2011): any number of sides of any sizes, draws, one update a match. A
match makes nobody less known (`limit_sigma`), so a winner's rating never falls, neither the one that a ticket is given
nor the one on the board. Who left before the end shares the place of his team, or is last where there are no teams,
and gains nothing by it. The order in which a report names players and teams makes no difference, not by a digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from openskill.models import PlackettLuce

from core.errors import Invalid
from core.lifecycle import MatchState
from core.model import Match
from core.rating import BETA, DIGITS, NEWCOMER, TAU, Rating
from core.report import Standings, read_report, standings
from core.stored import Stored

# Of a match that ended for another reason nobody was there to the end (no_show, empty), or an operator ended it.
RATED_REASONS: Final = ("finished", "exited", "too_long")

_model: Final = PlackettLuce(mu=NEWCOMER.mu, sigma=NEWCOMER.sigma, beta=BETA, tau=TAU, limit_sigma=True)
_match: Final = Stored(Match)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished match that moves ratings."""

    match: str
    mode: str
    standings: Standings
    ended_ms: int = 0

    @property
    def players(self) -> list[str]:
        return [player for side in self.standings.sides for player in side.players]


@dataclass(frozen=True, slots=True)
class Unrated:
    """A finished match that moves none. `faulty`: because of what its server reported, which its developer may mend."""

    match: str
    why: str
    faulty: bool = False


def result_of(match: str, row: Sequence[str | None], ended_ms: int = 0) -> Result | Unrated:
    """What a finished match says to ratings. `row`: state, doc, reason, result and report as Redis has them.

    What a game told by itself (`report`) goes before what its server said at the end.
    """
    state, doc, reason, result, report = row
    if state != MatchState.ENDED or not doc:
        return Unrated(match, "the match is gone")
    if reason not in RATED_REASONS:
        return Unrated(match, f"ended as {reason}")
    if not report and not result:
        return Unrated(match, "nothing was reported")
    try:
        document = _match.decode(doc)
        found = standings(document.players, read_report(report or result or ""))
    except Invalid as error:
        return Unrated(match, f"{error.pointer} {error.detail}".lstrip(), faulty=True)
    except msgspec.DecodeError as error:
        return Unrated(match, f"the match cannot be read: {error}", faulty=True)
    if len(found.sides) < 2:
        return Unrated(match, "one side alone")
    return Result(match, document.rating_mode or "", found, ended_ms)


def rate(found: Standings, before: Mapping[str, Rating]) -> dict[str, Rating]:
    """The ratings after a match. Who is not in `before` is a newcomer."""
    old = [[before.get(player, NEWCOMER) for player in side.players] for side in found.sides]
    teams = [[_model.rating(mu=it.mu, sigma=it.sigma) for it in side] for side in old]
    new = _model.rate(teams, ranks=[float(side.place) for side in found.sides])
    after: dict[str, Rating] = {}
    for side, olds, news in zip(found.sides, old, new, strict=True):
        for player, was, now in zip(side.players, olds, news, strict=True):
            mu = min(was.mu, now.mu) if player in found.left else now.mu
            # As it will be stored, so that what follows in a batch is computed from what a later reader would find.
            after[player] = Rating(round(mu, DIGITS), round(min(was.sigma, now.sigma), DIGITS), was.matches + 1)
    return after
