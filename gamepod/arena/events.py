"""What happened, for the event log: names as the log's readers know them, data ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from core.interactions import PLAYER_JOINED, PLAYER_LEFT, Happening

SESSION_CREATED: Final = "session_created"
SESSION_REMOVED: Final = "session_removed"
TANK_MOVED: Final = "tank_moved"
TANK_SHOT: Final = "tank_shot"
TANK_TOOK_DAMAGE: Final = "tank_took_damage"
TANK_DESTROYED: Final = "tank_destroyed"

# What goes into the match's log beside interactions: moves, damage and exchanges are interactions, and the session's
# own life is told by the steps in Redis that decide it.
LOGGED: Final = frozenset({PLAYER_JOINED, PLAYER_LEFT, TANK_SHOT, TANK_DESTROYED})


class GameEvent(NamedTuple):
    """One event. `player` is who did it, or "" where the match itself is the subject."""

    name: str
    at_ms: int  # UTC
    match: str
    player: str
    data: dict[str, Any]  # the fields that core.sinks.catalogue names
    before: int = 0  # interactions of its tick that came before it


def logged(events: Iterable[GameEvent]) -> list[Happening]:
    """Those of `events` that go into the match's log."""
    return [Happening(it.name, it.before, it.at_ms, it.player, it.data) for it in events if it.name in LOGGED]
