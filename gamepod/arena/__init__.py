"""The built-in game: tanks in a walled arena, simulated in fixed ticks, authoritative on the server.

Everything in here is pure. No clock, no chance, no I/O: time and ids come in as arguments, and a match
replays from its commands. `SessionManager` is the way in.
"""

from core.arena import ArenaSettings
from gamepod.arena.commands import Command, MoveCommand, Refusal, ShootCommand
from gamepod.arena.events import GameEvent
from gamepod.arena.interactions import Attack, Interaction, Move
from gamepod.arena.scoring import MatchResult
from gamepod.arena.session import Session, TickOutput
from gamepod.arena.sessions import SessionManager

__all__ = [
    "ArenaSettings",
    "Attack",
    "Command",
    "GameEvent",
    "Interaction",
    "MatchResult",
    "Move",
    "MoveCommand",
    "Refusal",
    "Session",
    "SessionManager",
    "ShootCommand",
    "TickOutput",
]
