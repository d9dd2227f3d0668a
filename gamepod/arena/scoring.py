"""Who won: the result of a match from its players' records."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from core.arena import ArenaSettings
from gamepod.arena.tank import Player


class PlayerResult(msgspec.Struct, frozen=True):
    """One player's standing. Equal standings share a rank; ranks start at 1."""

    player: str
    name: str
    team: str
    rank: int
    score: int
    kills: int
    deaths: int
    damage: float  # hit points taken from others
    shots: int
    interactions: int  # accepted commands: equals the player's entries in the log


class TeamResult(msgspec.Struct, frozen=True):
    """One team's standing by the sum of its players' scores."""

    team: str
    rank: int
    score: int


class MatchResult(msgspec.Struct, frozen=True):
    """The result of a match. `winner` is a team where there are teams, else a player; "" is a draw."""

    match: str
    reason: str  # "score-limit", "time-limit" or what `Session.end` was told
    started_at_ms: int  # UTC, the first join; 0 if nobody ever joined
    ended_at_ms: int  # UTC
    winner: str
    players: tuple[PlayerResult, ...]
    teams: tuple[TeamResult, ...]


def reached_score_limit(players: Iterable[Player], settings: ArenaSettings) -> bool:
    """Has a player, or a team where there are teams, reached the score limit?"""
    if not settings.score_limit:
        return False
    sums: dict[str, int] = {}
    for player in players:
        side = f"team:{player.team}" if player.team else f"player:{player.player}"
        sums[side] = sums.get(side, 0) + player.score
    return any(score >= settings.score_limit for score in sums.values())


def rank_players(players: Iterable[Player]) -> tuple[PlayerResult, ...]:
    """Best first: by score, then fewer deaths, then damage dealt; ties keep the order of joining."""
    ordered = sorted(players, key=_standing)
    results: list[PlayerResult] = []
    for position, player in enumerate(ordered):
        tied = position > 0 and _standing(player) == _standing(ordered[position - 1])
        rank = results[-1].rank if tied else position + 1
        results.append(
            PlayerResult(
                player=player.player,
                name=player.name,
                team=player.team,
                rank=rank,
                score=player.score,
                kills=player.kills,
                deaths=player.deaths,
                damage=player.damage_dealt,
                shots=player.shots,
                interactions=player.accepted,
            )
        )
    return tuple(results)


def rank_teams(players: Iterable[Player]) -> tuple[TeamResult, ...]:
    """Best first by summed score; players without a team take no part."""
    sums: dict[str, int] = {}
    for player in players:
        if player.team:
            sums[player.team] = sums.get(player.team, 0) + player.score
    ordered = sorted(sums.items(), key=lambda item: -item[1])
    results: list[TeamResult] = []
    for position, (team, score) in enumerate(ordered):
        tied = position > 0 and score == results[-1].score
        results.append(TeamResult(team, results[-1].rank if tied else position + 1, score))
    return tuple(results)


def winner_of(players: tuple[PlayerResult, ...], teams: tuple[TeamResult, ...]) -> str:
    """The only first of the teams (of the players where there are no teams), or "" for a draw."""
    if teams:
        first_teams = [team.team for team in teams if team.rank == 1]
        return first_teams[0] if len(first_teams) == 1 else ""
    first = [player.player for player in players if player.rank == 1]
    return first[0] if len(first) == 1 else ""


def _standing(player: Player) -> tuple[int, int, float]:
    return -player.score, player.deaths, -player.damage_dealt
