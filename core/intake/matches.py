"""The match that an outside matchmaker ordered, as a claim would have made it. PURE."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

import msgspec

from core.errors import Refused
from core.intake.messages import Order
from core.model import Game, Match, MatchPlayer, TicketPlayer
from core.rating import match_mode
from core.rules import rules_of

TRIES = 1  # a match that fails is not put into a queue: the outside matchmaker hears of it, and orders another


class NotFit(Refused):
    """The order cannot become a match; `code` is one of core.intake.messages.REASONS."""


def match_of(game: Game, order: Order, names: Mapping[str, str], match: str, ticket: str, now_ms: int) -> Match:
    """The match's document. `names` are those of the accounts. Raises NotFit where its teams are not the game's.

    Rules are not asked: who fits whom is what the outside matchmaker decides.
    """
    teams = _teams(game, order)
    return Match(
        id=match,
        game=game.id,
        game_version=game.version,
        created_ms=now_ms,
        players=[MatchPlayer(p.id, p.name or names[p.id], teams[p.id], ticket) for p in order.players],
        server=game.spec.server,
        timers=game.spec.timers,
        tries=TRIES,
        move_ttl_s=game.spec.move_ttl_s,
        near=game.spec.near,
        owner=game.owner,
        rating_mode=match_mode(game.spec.rating, [TicketPlayer(p.id) for p in order.players]),
    )


def digest_of(order: Order) -> str:
    """What is ordered, so that another match under the same id is told from a repeat."""
    rows = sorted((p.id, p.team) for p in order.players)
    return hashlib.sha256(msgspec.json.encode([order.game, rows])).hexdigest()[:32]


def _teams(game: Game, order: Order) -> dict[str, str]:
    """Team of each player. Raises NotFit."""
    stages = rules_of(game).stages
    names = [team.name for team in stages[0].teams]
    only = names[0] if len(names) == 1 else ""
    found = {player.id: player.team or only for player in order.players}
    if strange := set(found.values()) - set(names):
        raise NotFit(f"{min(strange)!r} is no team of the game; its teams are {', '.join(names)}", code="wrong-teams")
    sizes = Counter(found.values())
    for stage in stages:
        if all(team.least <= sizes[team.name] <= team.most for team in stage.teams):
            return found
    wanted = ", ".join(f"{team.name} {team.least}-{team.most}" for team in stages[-1].teams)
    has = ", ".join(f"{name} {sizes[name]}" for name in names)
    raise NotFit(f"its teams have {has}; the game's are of {wanted} players", code="wrong-teams")
