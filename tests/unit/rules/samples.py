"""Small rule sets and tickets for tests that say exactly what they mean."""

from __future__ import annotations

from typing import Any

from core.model import TicketPlayer, Waiting

ATTRIBUTES = [
    {"name": "skill", "type": "number", "default": 10},
    {"name": "mode", "type": "string", "default": "ranked"},
    {"name": "roles", "type": "string_list", "default": []},
    {"name": "maps", "type": "string_number_map", "default": {}},
]
ALL = "flatten(teams[*].players.attributes[{}])"


def tree(*rules: dict[str, Any], teams: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """A rule set with the usual attributes; by default two teams, red and blue, of one or two players."""
    both = [{"name": name, "minPlayers": 1, "maxPlayers": 2} for name in ("red", "blue")]
    made = {"ruleLanguageVersion": "1.0", "playerAttributes": ATTRIBUTES, "teams": teams or both, "rules": list(rules)}
    return made | more


def team(name: str, least: int, most: int, **more: Any) -> dict[str, Any]:
    """A team definition."""
    return {"name": name, "minPlayers": least, "maxPlayers": most} | more


def ticket(
    name: str, *players: dict[str, Any], since_ms: int = 0, latencies: dict[str, float] | None = None
) -> Waiting:
    """A ticket of one player for each set of attributes (one without, if none is given)."""
    members = [TicketPlayer(f"{name}{i}", "", each, latencies or {}) for i, each in enumerate(players or ({},))]
    return Waiting(name, since_ms, members)
