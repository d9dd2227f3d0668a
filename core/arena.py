"""Every number of the built-in arena, with its unit, its bounds and the reason for its default. PURE.

A game's developer may override any of them in JSON (`ArenaSettings.from_dict`). A wrong name, type or value
is refused here, once and precisely, so that nothing in the simulation ever has to doubt a setting.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from core.errors import Invalid

_Value = TypeVar("_Value", int, float)

Wall = tuple[float, float, float, float]  # west, south, east, north edge in metres

MIN_SIGHT_M = 20.0  # a smaller area would change at every turn of a tank
MAX_WALLS = 64  # each tank tests each wall every tick, so a map is bounded


def _within(default: _Value, low: float, high: float) -> _Value:
    """A number field with inclusive bounds; the bounds travel in the field's metadata."""
    spec: Any = field(default=default, metadata={"low": low, "high": high})
    return cast(_Value, spec)


@dataclass(frozen=True, slots=True)
class ArenaSettings:
    """Rules and sizes of one match. Raises `core.errors.Invalid`, its `pointer` naming the setting."""

    # Time and room
    tick_rate_hz: int = _within(60, 5, 120)  # steps per second; 60 matches a browser's frames
    capacity: int = _within(100, 1, 200)  # players at once; 200 fit the snapshot bounds of the protocol
    max_roster: int = _within(400, 1, 2000)  # players ever in one match, so that churn cannot fill memory
    width_m: float = _within(240.0, 20.0, 5000.0)  # 20 s from side to side at full speed
    height_m: float = _within(160.0, 20.0, 5000.0)  # 3:2, the shape of a browser canvas
    origin_lat: float = _within(48.8584, -80.0, 80.0)  # degrees, south-west corner; a flat map fails at poles
    origin_lon: float = _within(2.2945, -179.0, 179.0)  # degrees; kept off the date line
    walls: tuple[Wall, ...] = (
        (56.0, 36.0, 62.0, 72.0),  # two pillars and a bar: cover near each spawn side, no dead ends
        (178.0, 88.0, 184.0, 124.0),
        (100.0, 77.0, 140.0, 83.0),
    )

    # Driving
    tank_radius_m: float = _within(2.0, 0.5, 5.0)  # half a real tank's length
    max_speed_mps: float = _within(12.0, 1.0, 50.0)  # 43 km/h: crossing fire takes long enough to aim
    reverse_factor: float = _within(0.5, 0.0, 1.0)  # share of full speed backwards, so fleeing costs sight
    sprint_factor: float = _within(1.6, 1.0, 3.0)  # times full speed while stamina lasts
    acceleration_mps2: float = _within(24.0, 1.0, 200.0)  # half a second to full speed: still feels heavy
    turn_rate_dps: float = _within(150.0, 10.0, 720.0)  # degrees per second at full turn
    control_timeout_s: float = _within(0.5, 0.1, 5.0)  # a silent client's tank brakes

    # Body
    max_hit_points: float = _within(100.0, 1.0, 10_000.0)
    max_mana: float = _within(100.0, 1.0, 10_000.0)
    mana_per_second: float = _within(8.0, 0.0, 10_000.0)  # sustains just under one shot a second
    max_stamina: float = _within(100.0, 1.0, 10_000.0)
    stamina_per_second: float = _within(12.0, 0.0, 10_000.0)  # a full sprint is back after 8 s
    sprint_cost_per_second: float = _within(25.0, 0.0, 10_000.0)  # 4 s of sprint
    respawn_s: float = _within(3.0, 0.1, 60.0)  # long enough to matter, short enough to stay

    # Shooting
    shot_damage: float = _within(20.0, 0.1, 10_000.0)  # hit points; five hits destroy
    shot_range_m: float = _within(60.0, 1.0, 5000.0)  # a quarter of the map
    shot_cooldown_s: float = _within(0.4, 0.0, 60.0)  # 2.5 shots a second at most
    shot_mana: float = _within(10.0, 0.0, 10_000.0)  # ten shots in a burst
    friendly_fire: bool = False

    # Exchanging items
    trade_range_m: float = _within(20.0, 0.0, 5000.0)  # ten tanks' radii: those two stand together; 0 means no trade
    trade_timeout_s: float = _within(15.0, 1.0, 120.0)  # an offer is open so long

    # Winning
    score_per_kill: int = _within(1, 0, 1000)  # a team kill costs as much, where friendly fire is on
    score_limit: int = _within(20, 0, 1_000_000)  # of a player, or a team's sum; 0 means none
    time_limit_s: float = _within(300.0, 0.0, 86_400.0)  # from the first join; 0 means none

    # Fair play
    max_commands_per_tick: int = _within(32, 1, 256)  # room for half a second of late input in one burst
    max_commands_per_second: int = _within(300, 1, 10_000)  # 60 Hz with five commands each
    sequence_window: int = _within(1024, 1, 100_000)  # how far a number may jump ahead after packet loss

    # A seat that was left
    backfill: bool = False  # the match asks for a player in place of each who left

    # What is told
    snapshot_repeats: int = _within(3, 1, 10)  # ticks a change is sent in: three losses in a row are rare
    refresh_s: float = _within(1.0, 0.1, 10.0)  # every tank is sent at least this often, whatever was lost
    interest_m: float = _within(90.0, 0.0, 5000.0)  # what is farther is not told; a shot's range at least; 0 tells all
    snapshot_rows: int = _within(50, 20, 500)  # tanks in one snapshot, about: a crowd takes turns; two datagrams
    radar_s: float = _within(1.0, 0.0, 60.0)  # living tanks are told to all so often, to the metre; 0 hides them
    moved_event_s: float = _within(0.5, 0.05, 60.0)  # `tank_moved` is history for people, not a replay
    last_actions: int = _within(8, 0, 64)  # kept per player for the operator's view

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            if spec.metadata:
                _check_number(spec.name, getattr(self, spec.name), spec.metadata, spec.type == "int")
        for name in ("friendly_fire", "backfill"):
            if not isinstance(getattr(self, name), bool):
                raise Invalid(f"{name} must be true or false", pointer=f"/{name}")
        if self.max_roster < self.capacity:
            raise Invalid("max_roster must be at least capacity", pointer="/max_roster")
        _check_walls(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> ArenaSettings:
        """Settings from a JSON object; what it leaves out keeps its default.

        Raises `core.errors.Invalid` for an unknown key, a wrong type or a value out of bounds.
        """
        known = {spec.name for spec in dataclasses.fields(cls)}
        for key in document:
            if key not in known:
                from difflib import get_close_matches  # which no match that starts needs

                near = get_close_matches(key, known, n=1)
                hint = f": is it {near[0]!r}?" if near else "; docs/arena.md lists them all"
                raise Invalid(f"{key[:64]!r} is not an arena setting{hint}", pointer=f"/{key[:64]}")
        values = dict(document)
        if "walls" in values:
            values["walls"] = _read_walls(values["walls"])
        return cls(**values)

    @property
    def sight_m(self) -> float:
        """Metres within which a player is told everything; 0 where everything is told to everybody."""
        return max(self.interest_m, self.shot_range_m, MIN_SIGHT_M) if self.interest_m else 0.0

    def ticks(self, seconds: float) -> int:
        """A duration in whole ticks, at least one."""
        return max(1, round(seconds * self.tick_rate_hz))


def _check_number(name: str, value: object, bounds: Mapping[str, float], whole: bool) -> None:
    number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not number:
        raise Invalid(f"{name} must be a{' whole' if whole else ''} number", pointer=f"/{name}")
    # A NaN fails this comparison too, which is why it is written as "not within".
    if not bounds["low"] <= cast(float, value) <= bounds["high"]:
        raise Invalid(f"{name} must be from {bounds['low']:g} to {bounds['high']:g}", pointer=f"/{name}")


def _read_walls(value: object) -> tuple[Wall, ...]:
    if not isinstance(value, list | tuple):
        raise Invalid("walls must be a list of [west, south, east, north]", pointer="/walls")
    walls = []
    for index, wall in enumerate(value):
        if not isinstance(wall, list | tuple) or len(wall) != 4:
            raise Invalid("a wall is [west, south, east, north] in metres", pointer=f"/walls/{index}")
        if any(isinstance(edge, bool) or not isinstance(edge, int | float) for edge in wall):
            raise Invalid("a wall's edges must be numbers", pointer=f"/walls/{index}")
        walls.append(cast(Wall, tuple(wall)))
    return tuple(walls)


def _check_walls(settings: ArenaSettings) -> None:
    """Walls lie inside the world and leave a free border, so a place to spawn always exists."""
    if len(settings.walls) > MAX_WALLS:
        raise Invalid(f"at most {MAX_WALLS} walls", pointer="/walls")
    border = 3 * settings.tank_radius_m
    for index, (west, south, east, north) in enumerate(settings.walls):
        inside_x = border <= west < east <= settings.width_m - border
        inside_y = border <= south < north <= settings.height_m - border
        if not (inside_x and inside_y):
            detail = f"wall {index} must have west < east and south < north, {border:g} m inside the world"
            raise Invalid(detail, pointer=f"/walls/{index}")
