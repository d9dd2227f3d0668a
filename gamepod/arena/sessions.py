"""The session manager: owns every running session of a server process, and the tanks they share.

Membership goes through the manager, so that each join and leave is an event exactly once, and no session can
end without its tanks coming back to the pool.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from core.arena import ArenaSettings
from core.errors import Conflict, NotFound, TooMany
from core.interactions import PLAYER_JOINED, PLAYER_LEFT
from gamepod.arena import events as names
from gamepod.arena.events import GameEvent
from gamepod.arena.pool import TankPool
from gamepod.arena.session import Session, TickOutput
from gamepod.arena.tank import Player

MAX_UNREAD_EVENTS = 10_000  # a caller that never drains loses the oldest, and `events_lost` tells


class SessionManager:
    """At most `max_sessions` matches and `max_tanks` tanks in one process."""

    def __init__(self, *, max_sessions: int = 8, max_tanks: int = 400) -> None:
        self.pool = TankPool(max_tanks)
        self.events_lost = 0
        self._max_sessions = max_sessions
        self._sessions: dict[str, Session] = {}
        self._events: deque[GameEvent] = deque(maxlen=MAX_UNREAD_EVENTS)

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def matches(self) -> tuple[str, ...]:
        """Ids of the matches that have a session now."""
        return tuple(self._sessions)

    def create(self, match: str, settings: ArenaSettings, *, id_prefix: str, now_ms: int) -> Session:
        """A new session. Raises `Conflict` if the match has one, `TooMany` at the bound."""
        if match in self._sessions:
            raise Conflict(f"match {match!r} already has a session here", code="session-exists")
        if len(self._sessions) >= self._max_sessions:
            raise TooMany(f"this server runs {self._max_sessions} sessions at most", code="server-full")
        session = Session(match, settings, self.pool, id_prefix=id_prefix)
        self._sessions[match] = session
        self._tell(names.SESSION_CREATED, now_ms, match, "", {"capacity": settings.capacity})
        return session

    def get(self, match: str) -> Session:
        """The session of a match. Raises `NotFound`."""
        session = self._sessions.get(match)
        if session is None:
            raise NotFound(f"no session of match {match!r} here", code="unknown-match")
        return session

    def join(self, match: str, player: str, name: str, team: str, now_ms: int) -> Player:
        """Bring a player into a match. Raises what `get` and `Session.join` raise."""
        session = self.get(match)
        known = player in session.present
        record = session.join(player, name, team, now_ms)
        if not known:
            self._tell(PLAYER_JOINED, now_ms, match, player, {"team": team})
        return record

    def leave(self, match: str, player: str, reason: str, now_ms: int) -> bool:
        """Take a player out of a match; False if there was nothing to do."""
        session = self._sessions.get(match)
        if session is None or not session.leave(player):
            return False
        self._tell(PLAYER_LEFT, now_ms, match, player, {"reason": reason})
        return True

    def step(self, now_ms: int) -> list[TickOutput]:
        """One tick of every session. All sessions of a process share its tick rate."""
        return [session.step(now_ms) for session in self._sessions.values()]

    def remove(self, match: str, now_ms: int) -> bool:
        """End the life of a session: players leave, tanks return. False if there was none."""
        session = self._sessions.pop(match, None)
        if session is None:
            return False
        for player in session.present:
            self._tell(PLAYER_LEFT, now_ms, match, player, {"reason": "session-removed"})
        session.close()
        self._tell(names.SESSION_REMOVED, now_ms, match, "", {"ticks": session.tick})
        return True

    def drain_events(self) -> list[GameEvent]:
        """The membership events since the last call, oldest first."""
        drained = list(self._events)
        self._events.clear()
        return drained

    def _tell(self, name: str, now_ms: int, match: str, player: str, data: dict[str, Any]) -> None:
        if len(self._events) == MAX_UNREAD_EVENTS:
            self.events_lost += 1
        self._events.append(GameEvent(name, now_ms, match, player, data))
