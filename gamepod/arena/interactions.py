"""What a player did to the world, as it is written to Redis: one value per accepted command.

Only an accepted `move`, or a `shoot` that damaged somebody, is an interaction. A shot that hits nobody is a game
event and costs mana, but it is not written: an attack without a target has no key (`attack:<attacker>:<target>`).
A player's `accepted` counter grows by one per interaction, so a client can compare it with the log exactly.
"""

from __future__ import annotations

from typing import NamedTuple


class Move(NamedTuple):
    """A steering command that was accepted, with the place where it took hold (degrees)."""

    id: str  # unique across all matches: "<prefix of the session>-<counter>"
    at_ms: int  # UTC
    player: str
    lat: float
    lon: float


class Attack(NamedTuple):
    """A shot that took hit points from its target."""

    id: str
    at_ms: int  # UTC
    attacker: str
    target: str
    damage: float  # hit points really taken, so never more than the target had


Interaction = Move | Attack
