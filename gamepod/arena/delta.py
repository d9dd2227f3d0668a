"""What clients are told each tick: only what changed, robust under loss, and the same for everybody.

The stream of snapshots keeps no state per client. A row that changes is sent in that tick and in the next
few (`snapshot_repeats`), and every row is sent at least once per `refresh_s` whatever happened; the
refreshes are spread over the ticks by slot. So a lost datagram heals by itself within a second, a slow
reader may skip any number of snapshots, and a tick is encoded once for all clients instead of once for
each. What this gives up: a repeat costs bytes that an acknowledged delta would save.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from gamepod.arena.tank import Player, Tank

TankRow = tuple[int, int, int, int, int, int]  # slot, x cm, y cm, heading deg, aim deg, hit points
PlayerRow = tuple[int, str, str, str, int, int, int]  # slot, player, name, team, score, kills, deaths
# ("shot", slot, aim deg, length cm, slot hit or -1, damage) or ("destroyed", slot, by slot)
EventRow = tuple[str | int, ...]

_DEGREES = 180.0 / math.pi


class Frame(NamedTuple):
    """What one tick tells every client. A row replaces what is known of its slot."""

    tick: int
    changed: list[TankRow]
    removed: list[int]
    players: list[PlayerRow]
    events: list[EventRow]


def tank_row(slot: int, tank: Tank) -> TankRow:
    """A tank as clients see it. Hit points round up, so that 0 means destroyed and nothing else."""
    return (
        slot,
        int(tank.x * 100.0 + 0.5),
        int(tank.y * 100.0 + 0.5),
        int(tank.heading * _DEGREES + 0.5) % 360,
        int((tank.aim * _DEGREES) % 360.0 + 0.5) % 360,
        math.ceil(tank.hit_points) if tank.alive else 0,
    )


def player_row(player: Player) -> PlayerRow:
    """A player's name and standing."""
    return (
        player.slot,
        player.player,
        player.name,
        player.team,
        player.score,
        player.kills,
        player.deaths,
    )


class DeltaTracker:
    """Remembers the last row of each slot, and how long each change is still to be repeated."""

    def __init__(self, repeats: int, refresh_ticks: int) -> None:
        self._repeats = repeats
        self._refresh = refresh_ticks
        self._rows: dict[int, TankRow] = {}
        self._tank_until: dict[int, int] = {}  # slot -> first tick that need not repeat it
        self._player_until: dict[int, int] = {}
        self._removed_until: dict[int, int] = {}

    def player_changed(self, slot: int, tick: int) -> None:
        """This player's name or standing is to be told from `tick` on."""
        self._player_until[slot] = tick + self._repeats

    def entered(self, slot: int, tick: int) -> None:
        """A tank of this slot is in the world from `tick` on."""
        self._removed_until.pop(slot, None)
        self.player_changed(slot, tick)

    def left(self, slot: int, tick: int) -> None:
        """The tank of this slot is gone. Told for a whole refresh: nothing else would ever correct a loss."""
        self._rows.pop(slot, None)
        self._tank_until.pop(slot, None)
        self._player_until.pop(slot, None)
        self._removed_until[slot] = tick + self._refresh

    def frame(self, tick: int, tanks: Mapping[int, Tank], events: list[EventRow]) -> Frame:
        """The frame of this tick; call once per tick."""
        changed: list[TankRow] = []
        players: list[PlayerRow] = []
        rows, tank_until, player_until = self._rows, self._tank_until, self._player_until
        phase = tick % self._refresh
        for slot, tank in tanks.items():
            row = tank_row(slot, tank)
            due = slot % self._refresh == phase
            if row != rows.get(slot):
                rows[slot] = row
                tank_until[slot] = tick + self._repeats
            if due or tick < tank_until[slot]:
                changed.append(row)
            if (due or tick < player_until.get(slot, 0)) and tank.owner is not None:
                players.append(player_row(tank.owner))
        return Frame(tick, changed, self._still_removed(tick), players, events)

    def everything(self, tick: int, tanks: Mapping[int, Tank]) -> Frame:
        """Every row, for a client that has just joined."""
        changed = [tank_row(slot, tank) for slot, tank in tanks.items()]
        players = [player_row(tank.owner) for tank in tanks.values() if tank.owner is not None]
        return Frame(tick, changed, [], players, [])

    def _still_removed(self, tick: int) -> list[int]:
        gone = self._removed_until
        for slot in [slot for slot, until in gone.items() if tick >= until]:
            del gone[slot]
        return list(gone)
