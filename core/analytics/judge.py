"""What cannot be right: tanks too fast for their arena, more damage than its weapon does, storms of logins. PURE.

A judgement needs only events of the last seconds, in the order of their match, so whoever reads on after a crash reads
a little of what came before (`core.analytics.source`) and judges as if it had never stopped. Whatever a flag is about
is flagged once a minute: its id says what, who and which minute, so that repeats of it are one.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from core.arena import ArenaSettings
from core.errors import Invalid

METRES_PER_DEGREE: Final = 111_320.0  # of latitude, as the arena has it
SLACK: Final = 1.1  # of what is allowed, for how numbers are rounded
LATE_MS: Final = 1000  # a server that fell behind plays this much at once; a clock may be set by as much
FAR_APART_MS: Final = 10_000  # places are compared within; also the least that is read again after a crash
DAMAGE_MS: Final = 5_000  # damage of one attacker is summed over so long
ATTACKS_MOST: Final = 512  # of that time; who makes more is over any limit
KNOWN_MOST: Final = 100_000  # players, attackers, addresses that are remembered; those not heard of longest go first
MINUTE_MS: Final = 60_000

SPEED: Final = "impossible_speed"
DAMAGE: Final = "impossible_damage"
STORM: Final = "login_storm"
FLAGS: Final = frozenset({SPEED, DAMAGE, STORM})


class Limits(NamedTuple):
    """What a match allows."""

    speed_mps: float  # of a tank that sprints
    blind_ms: float  # places so far apart are not compared: who was destroyed meanwhile comes back elsewhere
    hit: float  # hit points of one attack
    cooldown_ms: float  # between two attacks of a player; 0: there is no such limit


class Flag(NamedTuple):
    """What cannot be right. `about` are the fields of its event."""

    id: str
    event: str
    at_ms: int
    match: str
    about: dict[str, Any]


def arena_limits(settings: Mapping[str, Any]) -> Limits | None:
    """The limits of an arena of these settings; None where they cannot be read."""
    try:
        arena = ArenaSettings.from_dict(settings)
    except (Invalid, TypeError):
        return None
    return Limits(
        speed_mps=arena.max_speed_mps * arena.sprint_factor,
        blind_ms=min(FAR_APART_MS, arena.respawn_s * 1000 - LATE_MS),
        hit=arena.shot_damage,
        cooldown_ms=arena.shot_cooldown_s * 1000,
    )


@dataclass(slots=True)
class Judge:
    """Remembers what a judgement needs. `address_most`, `name_most`: failed logins a minute that are no storm."""

    address_most: int
    name_most: int
    _places: OrderedDict[tuple[str, str], tuple[int, float, float]] = field(default_factory=OrderedDict)
    _attacks: OrderedDict[tuple[str, str], deque[tuple[int, float]]] = field(default_factory=OrderedDict)
    _failures: OrderedDict[tuple[str, str, int], int] = field(default_factory=OrderedDict)

    def look(self, event: Mapping[str, Any], limits: Limits | None) -> list[Flag]:
        """What is wrong with one event (a body as in docs/events.md); `limits` of its match, None: unknown."""
        match event["event"]:
            case "tank_moved" if limits is not None:
                return self._move(event, limits)
            case "tank_took_damage" if limits is not None:
                return self._attack(event, limits)
            case "user_login_failed":
                return self._failure(event)
        return []

    def _move(self, event: Mapping[str, Any], limits: Limits) -> list[Flag]:
        match, player, at_ms = event["match"], str(event["player"]), int(event["at_ms"])
        lat, lon = number(event["lat"]), number(event["lon"])
        if lat is None or lon is None:
            return []
        before = self._places.get((match, player))
        if before is not None and before[0] > at_ms:
            return []  # sent again
        _keep(self._places, (match, player), (at_ms, lat, lon))
        if before is None or at_ms - before[0] >= limits.blind_ms:
            return []
        gap_ms = at_ms - before[0]
        metres = distance_m(before[1:], (lat, lon))
        most = limits.speed_mps * (gap_ms + LATE_MS) / 1000 * SLACK
        if metres <= most:
            return []
        about = {"player": player, "metres": round(metres, 1), "allowed_metres": round(most, 1), "within_ms": gap_ms,
                 "move": event["id"]}  # fmt: skip
        return [_flag(SPEED, match, player, at_ms, about)]

    def _attack(self, event: Mapping[str, Any], limits: Limits) -> list[Flag]:
        match, attacker, at_ms = event["match"], str(event["attacker"]), int(event["at_ms"])
        damage = number(event["damage"])
        recent = self._attacks.get((match, attacker))
        if recent is None:
            recent = deque(maxlen=ATTACKS_MOST)
        if damage is None or damage < 0:
            damage = math.inf  # no number is no damage that a weapon does
        recent.append((at_ms, damage))
        while recent[0][0] <= at_ms - DAMAGE_MS:
            recent.popleft()
        _keep(self._attacks, (match, attacker), recent)
        dealt, most = sum(one for _, one in recent), math.inf
        if limits.cooldown_ms:
            most = limits.hit * (math.floor((DAMAGE_MS + LATE_MS) / limits.cooldown_ms) + 1) * SLACK
        if damage > limits.hit * SLACK:
            dealt, most = damage, limits.hit
        elif dealt <= most:
            return []
        told = round(dealt, 1) if math.isfinite(dealt) else None
        about = {"player": attacker, "target": str(event["player"]), "damage": told, "allowed_damage": round(most, 1),
                 "attack": event["id"]}  # fmt: skip
        return [_flag(DAMAGE, match, attacker, at_ms, about)]

    def _failure(self, event: Mapping[str, Any]) -> list[Flag]:
        at_ms, found = int(event["at_ms"]), []
        for by, most in (("address", self.address_most), ("name", self.name_most)):
            who = str(event.get(by) or "")
            if not who:
                continue
            key = (by, who, at_ms // MINUTE_MS)
            failures = self._failures.get(key, 0) + 1
            _keep(self._failures, key, failures)
            if failures == most + 1:
                about = {"by": by, "who": who, "failures": failures, "allowed": most}
                found.append(_flag(STORM, "", f"{by}-{who}", at_ms, about))
        return found


def _flag(event: str, match: str, who: str, at_ms: int, about: dict[str, Any]) -> Flag:
    place = f"{match}-{who}" if match else who
    return Flag(f"{event}-{place}-{at_ms // MINUTE_MS}", event, at_ms, match, about)


def _keep(memory: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > KNOWN_MOST:
        memory.popitem(last=False)


def distance_m(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Metres between two places (lat, lon), on a plane: arenas are small."""
    north = (b[0] - a[0]) * METRES_PER_DEGREE
    east = (b[1] - a[1]) * METRES_PER_DEGREE * math.cos(math.radians(a[0]))
    return math.hypot(north, east)


def number(value: object) -> float | None:
    """A finite number, or None: a server may tell anything."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
