"""The values the simulation works on: one tank, one player's record, and the settings counted in ticks."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from core.arena import ArenaSettings, Wall
from gamepod.arena.commands import Command


@dataclass(slots=True)
class Player:
    """What the match knows of one player: outlives the tank, so a return finds score and numbers kept."""

    player: str
    name: str
    team: str  # "" where everyone plays alone
    slot: int  # the player's short number in this match, never given to another
    last_actions: deque[str]
    interaction: str = ""  # what the player did last: "move" or "attack:<target>"
    score: int = 0
    kills: int = 0
    deaths: int = 0
    damage_dealt: float = 0.0
    shots: int = 0
    accepted: int = 0  # interactions produced
    last_seq: int = 0  # highest command number taken in
    allowance: float = 0.0  # commands that may still come this second
    refused: int = 0
    last_refusal: str = ""
    items: dict[str, int] | None = None  # as last read from the inventory; None before that
    offer_at: int = 0  # tick from which the player may offer again
    pending: list[Command] = field(default_factory=list)


class Tank:
    """A vehicle in the arena; reused through `TankPool`. Metres, radians, seconds."""

    __slots__ = (
        "aim",
        "alive",
        "control_until",
        "heading",
        "hit_points",
        "mana",
        "moved",
        "owner",
        "ready_at",
        "respawn_at",
        "speed",
        "sprint",
        "stamina",
        "target",
        "throttle",
        "turn",
        "x",
        "y",
    )

    owner: Player | None

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the last owner, whole: nothing of one player may show in the next one's tank."""
        self.owner = None
        self.x = self.y = 0.0
        self.heading = self.aim = 0.0  # counter-clockwise from east
        self.speed = self.throttle = self.turn = 0.0
        self.sprint = self.alive = self.moved = False
        self.control_until = 0  # tick after which the steering is dropped
        self.ready_at = 0  # tick at which the gun may fire again
        self.respawn_at = 0
        self.hit_points = self.mana = self.stamina = 0.0
        self.target = ""  # player last shot at

    def place(self, x: float, y: float, heading: float, settings: ArenaSettings) -> None:
        """Put a fresh tank into the world: full of everything, standing still."""
        self.x, self.y = x, y
        self.heading = self.aim = heading
        self.speed = self.throttle = self.turn = 0.0
        self.sprint = False
        self.alive = True
        self.moved = True
        self.control_until = 0
        self.hit_points = settings.max_hit_points
        self.mana = settings.max_mana
        self.stamina = settings.max_stamina

    def stop(self) -> None:
        """Let go of the controls."""
        self.throttle = self.turn = 0.0
        self.sprint = False


class Physics:
    """`ArenaSettings` counted per tick, and walls grown by a tank's radius: computed once a match."""

    __slots__ = (
        "acceleration_step",
        "control_ticks",
        "cooldown_ticks",
        "dt",
        "mana_step",
        "max_x",
        "max_y",
        "min_edge",
        "respawn_ticks",
        "settings",
        "sprint_cost",
        "sprint_speed",
        "stamina_step",
        "thick_walls",
        "turn_step",
    )

    def __init__(self, settings: ArenaSettings) -> None:
        dt = 1.0 / settings.tick_rate_hz
        radius = settings.tank_radius_m
        self.settings = settings
        self.dt = dt
        self.acceleration_step = settings.acceleration_mps2 * dt
        self.turn_step = math.radians(settings.turn_rate_dps) * dt
        self.sprint_speed = settings.max_speed_mps * settings.sprint_factor
        self.sprint_cost = settings.sprint_cost_per_second * dt
        self.mana_step = settings.mana_per_second * dt
        self.stamina_step = settings.stamina_per_second * dt
        self.control_ticks = settings.ticks(settings.control_timeout_s)
        # Even with no cooldown one tick separates two shots: there is no shorter time.
        self.cooldown_ticks = settings.ticks(settings.shot_cooldown_s)
        self.respawn_ticks = settings.ticks(settings.respawn_s)
        self.min_edge = radius
        self.max_x = settings.width_m - radius
        self.max_y = settings.height_m - radius
        self.thick_walls: tuple[Wall, ...] = tuple(
            (west - radius, south - radius, east + radius, north + radius)
            for west, south, east, north in settings.walls
        )
