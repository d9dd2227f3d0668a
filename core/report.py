"""How the players of a match did, as its server reports it, and who thereby stood where. PURE.

    {"players": [{"player": "p-1", "score": 12}, {"player": "p-2", "rank": 2}],
     "teams": [{"team": "red", "rank": 1}], "left": ["p-3"]}

A game's own fields may stand beside these. Nothing is guessed: a report must account for every seat of the match, as
one of `players` or in `left` (left before the end, or never came), and place all sides in one way, by rank (1 is the
best) or by score (the highest is the best). Equal places are a draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from core.errors import Invalid
from core.model import MAX_PLAYERS_PER_MATCH, MAX_TEAMS, MatchPlayer

MAX_REPORT_BYTES: Final = 32_768  # 200 players with some fields of the game's own

S = TypeVar("S")

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Rank = Annotated[int, Meta(ge=1, le=1_000_000)]
Score = Annotated[float, Meta(ge=-1e15, le=1e15)]  # sums of them are exact enough to be compared


class PlayerStanding(Struct, frozen=True):
    """How one player did."""

    player: Id
    rank: Rank | None = None
    score: Score | None = None


class TeamStanding(Struct, frozen=True):
    """How one team did; needed where its place is not told by its players' ranks or the sum of their scores."""

    team: Id
    rank: Rank | None = None
    score: Score | None = None


class Report(Struct, frozen=True):
    """See the module."""

    players: Annotated[list[PlayerStanding], Meta(max_length=MAX_PLAYERS_PER_MATCH)]
    teams: Annotated[list[TeamStanding], Meta(max_length=MAX_TEAMS)] = []
    left: Annotated[list[Id], Meta(max_length=MAX_PLAYERS_PER_MATCH)] = []


class Side(Struct, frozen=True):
    """Players who won or lost together. The best place is 0; equal places are a draw."""

    place: int
    players: tuple[str, ...]


class Standings(Struct, frozen=True):
    """The sides, best first, and who did not stay to the end."""

    sides: tuple[Side, ...]
    left: frozenset[str]


_report: Final = msgspec.json.Decoder(Report)


def read_report(text: str | bytes) -> Report:
    """Raises Invalid where it is no report."""
    try:
        return _report.decode(text)
    except msgspec.DecodeError as error:  # a ValidationError is one too
        raise Invalid(str(error), pointer="") from None


def standings(seats: Sequence[MatchPlayer], report: Report) -> Standings:
    """Who stood where. A match of one team is all against all. Raises Invalid for what the report leaves open."""
    told = _once(report.players, lambda it: it.player, "/players")
    left = frozenset(report.left)
    seated = {seat.id for seat in seats}
    if strangers := sorted((told.keys() | left) - seated):
        raise Invalid(f"{strangers[0]!r} has no seat in this match", pointer="/players")
    if missing := sorted(seated - told.keys() - left):
        raise Invalid(f"nothing is said of {missing[0]!r}: name all players, or who left", pointer="/players")
    stayed = {player: it for player, it in told.items() if player not in left}
    if not stayed:
        raise Invalid("nobody stayed", pointer="/left")
    teams: dict[str, list[str]] = {}
    for seat in seats:
        teams.setdefault(seat.team, []).append(seat.id)
    if len(teams) == 1:
        keys = _keys(stayed, "/players")
        sides: list[tuple[float, tuple[str, ...]]] = [(keys.get(player, math.inf), (player,)) for player in seated]
    else:
        keys = _team_keys(teams, stayed, report)
        sides = [(keys.get(team, math.inf), tuple(sorted(players))) for team, players in teams.items()]
    places = {key: place for place, key in enumerate(sorted({key for key, _ in sides}))}
    ordered = sorted((places[key], players) for key, players in sides)
    return Standings(tuple(Side(place, players) for place, players in ordered), left)


def _team_keys(
    teams: Mapping[str, Sequence[str]], stayed: Mapping[str, PlayerStanding], report: Report
) -> dict[str, float]:
    """By team what places it, the lowest first; a team that nobody of stayed may be left out."""
    here = {team: [stayed[p] for p in players if p in stayed] for team, players in teams.items()}
    if not report.teams:
        present = {team: players for team, players in here.items() if players}
        if all(it.rank is not None for it in stayed.values()):
            return {team: float(min(it.rank or 0 for it in players)) for team, players in present.items()}
        keys = _keys(stayed, "/players")
        return {team: math.fsum(keys[it.player] for it in players) for team, players in present.items()}
    told = _once(report.teams, lambda it: it.team, "/teams")
    if strangers := sorted(told.keys() - teams.keys()):
        raise Invalid(f"there is no team {strangers[0]!r} in this match", pointer="/teams")
    if missing := sorted(team for team, players in here.items() if players and team not in told):
        raise Invalid(f"nothing is said of team {missing[0]!r}", pointer="/teams")
    return _keys(told, "/teams")


def _keys(told: Mapping[str, PlayerStanding] | Mapping[str, TeamStanding], pointer: str) -> dict[str, float]:
    """What places each, the lowest first: all by rank, or all by score."""
    ranks = {name: it.rank for name, it in told.items() if it.rank is not None}
    if len(ranks) == len(told):
        return {name: float(rank) for name, rank in ranks.items()}
    scores = {name: it.score for name, it in told.items() if it.score is not None}
    if len(scores) == len(told):
        return {name: -score for name, score in scores.items()}
    raise Invalid("give each a rank, or each a score", pointer=pointer)


def _once(told: Iterable[S], name: Callable[[S], str], pointer: str) -> dict[str, S]:
    found: dict[str, S] = {}
    for it in told:
        if name(it) in found:
            raise Invalid(f"{name(it)!r} is named twice", pointer=pointer)
        found[name(it)] = it
    return found
