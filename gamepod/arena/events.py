"""What happened, for the event log: names as the log's readers know them, data ready for JSON."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

SESSION_CREATED: Final = "session_created"
SESSION_REMOVED: Final = "session_removed"
PLAYER_JOINED: Final = "player_joined_session"
PLAYER_LEFT: Final = "player_left_session"
TANK_MOVED: Final = "tank_moved"
TANK_SHOT: Final = "tank_shot"
TANK_TOOK_DAMAGE: Final = "tank_took_damage"
TANK_DESTROYED: Final = "tank_destroyed"


class GameEvent(NamedTuple):
    """One event. `player` is who did it, or "" where the match itself is the subject."""

    name: str
    at_ms: int  # UTC
    match: str
    player: str
    data: dict[str, Any]
