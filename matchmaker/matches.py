"""The document of a match, from what was proposed. PURE."""

from __future__ import annotations

from collections.abc import Mapping

from core.model import Game, Match, MatchPlayer, Waiting
from core.rating import match_mode
from matchmaker.rules import Proposal


def match_of(proposal: Proposal, waiting: Mapping[str, Waiting], game: Game, match: str, now: int) -> Match:
    """The document of a match that is fixed from now on, whatever happens to the registration."""
    return Match(
        id=match,
        game=game.id,
        game_version=game.version,
        created_ms=now,
        players=[
            MatchPlayer(player.id, player.name, team, ticket)
            for team, tickets in proposal.teams.items()
            for ticket in tickets
            for player in waiting[ticket].players
        ],
        server=game.spec.server,
        timers=game.spec.timers,
        tries=game.spec.limits.tries,
        move_ttl_s=game.spec.move_ttl_s,
        near=game.spec.near,
        owner=game.owner,
        region=proposal.region or "",
        rating_mode=match_mode(game.spec.rating, [player for it in proposal.tickets for player in waiting[it].players]),
        acceptance_timeout_s=game.spec.acceptance_timeout_s,
    )
