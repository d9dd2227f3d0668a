"""The document of a match, from what was proposed, and what log lines tell of it. PURE.

A match's lines carry its own trace, which is its first ticket's. The line that says it was made, or that players were
seated, names the traces of the other tickets too (`links`): from any ticket's trace that line is found, and from it all
else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core import trace
from core.model import Game, Match, MatchPlayer, Waiting
from core.rating import match_mode
from matchmaker.rules import Proposal


def match_of(proposal: Proposal, waiting: Mapping[str, Waiting], game: Game, match: str, now: int) -> Match:
    """The document of a match that is fixed from now on, whatever happens to the registration."""
    first = waiting[next(ticket for tickets in proposal.teams.values() for ticket in tickets)]
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
        trace=trace.of(first.id, first.trace),
    )


def traces_of(tickets: Iterable[str], waiting: Mapping[str, Waiting]) -> list[str]:
    """The traces of tickets that wait, or did a moment ago."""
    return [trace.of(ticket, waiting[ticket].trace) for ticket in tickets]


def told(match: Match, tickets: Sequence[str], waiting: Mapping[str, Waiting]) -> dict[str, Any]:
    """A match that was made of these tickets, or got them."""
    return {
        "game": match.game,
        "match": match.id,
        "trace": match.trace,
        "tickets": list(tickets),
        "links": trace.others(match.trace, traces_of(tickets, waiting)),
        "players": [player.id for ticket in tickets for player in waiting[ticket].players],
    }
