"""What clients are told: who is where, what changed when, and who has left which cell. PURE.

No state is kept for what a client has acknowledged. A row that changes is told in that snapshot and in the next few
(`snapshot_repeats`), and every row at least once per `refresh_s` whatever happened; refreshes are spread over the ticks
by slot. So a lost datagram heals by itself within a second, a slow reader may skip any number of snapshots, and what
all in one cell of the grid are told is put together once for them. What this gives up: a repeat costs bytes that an
acknowledged delta would save; but nearly every tank moves in every tick, and then there is no repeat.

A client that is told every n-th tick only is asked for here with `every`: its windows of time are n times as wide.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from core.arena import ArenaSettings
from gamepod.arena.grid import Area, Grid
from gamepod.arena.tank import Player, Tank

TankRow = tuple[int, int, int, int, int, int]  # slot, x cm, y cm, heading deg, aim deg, hit points
PlayerRow = tuple[int, str, str, str, int, int, int]  # slot, player, name, team, score, kills, deaths
FarRow = tuple[int, int, int]  # slot, x m, y m
# ("shot", slot, aim deg, length cm, slot hit or -1, damage) or ("destroyed", slot, by slot)
EventRow = tuple[str | int, ...]

EVERY: Final = (1, 2, 3, 4, 6, 12)  # ticks between two snapshots of one client; 60 to 5 Hz at 60 ticks a second
FAR_HZ: Final = 20  # rate of rows in the outer rings: a screen's interpolation hides it
PLAYER_REFRESHES: Final = 5  # a name is told again after so many refreshes: it changes less than a place
SWEEP_TICKS: Final = 8  # between two looks for what need not be told any more
EVERYWHERE: Final = -1  # in place of a cell

_DEGREES = 180.0 / math.pi
_NO_BOUND = 1 << 30


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


class Scene:
    """The world as clients may see it now. Good until the next `advance`."""

    def __init__(self, settings: ArenaSettings) -> None:
        self.grid = Grid(settings.width_m, settings.height_m, settings.sight_m)
        self.tick = 0
        self.rows: dict[int, TankRow] = {}  # by slot
        self.cell_of: dict[int, int] = {}  # by slot
        self.repeats = settings.snapshot_repeats
        self.refresh = settings.ticks(settings.refresh_s)
        bounded = settings.sight_m > 0
        self._most_rows = settings.snapshot_rows if bounded else _NO_BOUND
        self._far_ticks = max(1, settings.tick_rate_hz // FAR_HZ)
        self._radar = settings.ticks(settings.radar_s) if bounded and settings.radar_s else 0
        self._players: dict[int, Player] = {}  # of the tanks that are here
        self._changed: dict[int, int] = {}  # slot -> tick of the last change of its row
        self._standing: dict[int, int] = {}  # slot -> tick of the last change of its player's row
        self._cells: dict[int, list[int]] = {}  # those that are not empty: slots
        self._crowds: dict[tuple[int, int], int] = {}  # what `every` found lately
        self._crossed: dict[int, dict[int, int]] = {}  # cell -> slots that went elsewhere -> tick
        self._jumped: dict[tuple[int, int], int] = {}  # (slot, cell that it left for one not beside it) -> tick
        self._removed: dict[int, tuple[int, int]] = {}  # slot that left the match -> (tick, its cell)
        self._events: deque[tuple[int, int, EventRow]] = deque()  # (tick, cell or EVERYWHERE, row)

    def player_changed(self, slot: int, tick: int) -> None:
        """This player's name or standing is to be told from `tick` on."""
        self._standing[slot] = tick

    def entered(self, slot: int, tank: Tank, player: Player, tick: int) -> None:
        """A tank of this slot is in the world from `tick` on."""
        if (before := self._removed.pop(slot, None)) is not None:
            self._jumped[slot, before[1]] = tick  # back already, elsewhere: who saw it there must still hear
        self._players[slot] = player
        self.player_changed(slot, tick)
        self.rows[slot] = tank_row(slot, tank)
        self._changed[slot] = tick
        self._into(self.grid.cell(tank.x, tank.y), slot)

    def left(self, slot: int, tick: int) -> None:
        """The tank of this slot is gone. Told for a whole refresh: nothing else would ever correct a loss."""
        del self.rows[slot], self._changed[slot], self._players[slot], self._standing[slot]
        cell = self.cell_of.pop(slot)
        self._out_of(cell, slot)
        self._removed[slot] = (tick, cell)

    def advance(self, tick: int, tanks: Mapping[int, Tank], events: Iterable[EventRow]) -> None:
        """Look at the world after a tick."""
        self.tick = tick
        rows, changed, cell_of, cell = self.rows, self._changed, self.cell_of, self.grid.cell
        for slot, tank in tanks.items():
            row = tank_row(slot, tank)
            if row != rows[slot]:
                rows[slot] = row
                changed[slot] = tick
                here = cell(tank.x, tank.y)
                if here != cell_of[slot]:
                    self._cross(slot, cell_of[slot], here, tick)
        while self._events and self._events[0][0] <= tick - EVERY[-1]:
            self._events.popleft()
        for event in events:
            # A shot matters where the gun is: nobody is hit from farther away than is told. The end of a tank matters
            # to the score, which everybody sees.
            where = self.cell_of.get(int(event[1]), EVERYWHERE) if event[0] == "shot" else EVERYWHERE
            self._events.append((tick, where, event))
        if tick % SWEEP_TICKS == 0:
            self._sweep(tick - self.refresh)
            self._crowds.clear()

    # ---- what is to be told

    def spread(self, asked: int) -> int:
        """The rows of far cells take turns over so many snapshots of a client that asked for one every `asked`."""
        return max(1, self._far_ticks // asked)

    def every(self, cell: int, asked: int) -> int:
        """How often those in a cell are told who asked for one snapshot every `asked` ticks: less often in a crowd."""
        if len(self.rows) <= self._most_rows:
            return asked
        found = self._crowds.get((cell, asked))
        if found is None:
            found = self._crowds[cell, asked] = self._thinned(cell, asked)
        return found

    def _thinned(self, cell: int, asked: int) -> int:
        cells, area = self._cells, self.grid.area(cell)
        near = sum([len(cells[cell]) for cell in area.near if cell in cells])
        far = sum([len(cells[cell]) for cell in area.far if cell in cells])
        rows = near + far / self.spread(asked)
        return next((every for every in EVERY if every >= asked and rows <= every * self._most_rows), EVERY[-1])

    def due(self, every: int, stride: int) -> Iterator[tuple[int, list[int]]]:
        """By cell, the slots whose rows belong into this tick's snapshot of those who are told every so many ticks.

        With a stride above 1 rows take turns over so many snapshots.
        """
        tick, changed, refresh, turn = self.tick, self._changed, self.refresh, self.tick // every
        window = every * stride
        since = tick - self.repeats * window
        for cell, members in self._cells.items():
            slots = members if stride == 1 else [slot for slot in members if (slot + turn) % stride == 0]
            found = [slot for slot in slots if changed[slot] > since or (tick - slot) % refresh < window]
            if found:
                yield cell, found

    def slots(self, cells: Iterable[int]) -> list[int]:
        """Everybody in these cells."""
        return [slot for cell in cells if cell in self._cells for slot in self._cells[cell]]

    def gone(self, area: Area) -> list[int]:
        """Slots that lately left an area by themselves, or the match."""
        whole, cell_of, crossed = area.whole, self.cell_of, self._crossed
        found = list(self._removed)
        # Step by step one leaves an area over its edge only.
        for cell in area.edge:
            if cell in crossed:
                found += [slot for slot in crossed[cell] if cell_of.get(slot, cell) not in whole]
        for slot, cell in self._jumped:
            if cell in whole and cell_of.get(slot, cell) not in whole:
                found.append(slot)
        return found

    def lost(self, cells: Collection[int]) -> list[int]:
        """Slots that somebody who saw these cells may know: who is there, and who lately was."""
        found = [*self.slots(cells), *(slot for cell in cells for slot in self._crossed.get(cell, ()))]
        return found + [slot for slot, cell in self._jumped if cell in cells]

    def elsewhere(self, slots: Iterable[int], cells: Collection[int]) -> list[int]:
        """Those of the slots that are in none of the cells."""
        return [slot for slot in slots if self.cell_of.get(slot) not in cells]

    def players(self, ticks: int) -> list[PlayerRow]:
        """Names and standings to be told to everybody who was told last so many ticks ago."""
        since, refresh = self.tick - self.repeats * ticks, self.refresh * PLAYER_REFRESHES
        return [
            player_row(player)
            for slot, player in self._players.items()
            if self._standing[slot] > since or (self.tick - slot) % refresh < ticks
        ]

    def radar(self, ticks: int) -> list[FarRow]:
        """Where living tanks are, roughly and in turns, for everybody."""
        tick, period = self.tick, self._radar
        if not period:
            return []
        return [_far_row(row) for slot, row in self.rows.items() if row[5] and (tick - slot) % period < ticks]

    def events(self, ticks: int) -> Iterator[tuple[int, EventRow]]:
        """What happened in the last so many ticks: (cell or EVERYWHERE, row)."""
        since = self.tick - ticks
        return ((cell, row) for tick, cell, row in self._events if tick > since)

    def everybody(self) -> tuple[list[PlayerRow], list[FarRow]]:
        """All names and standings, and the whole radar, for a client that has just joined."""
        far = [_far_row(row) for row in self.rows.values() if row[5]] if self._radar else []
        return [player_row(player) for player in self._players.values()], far

    # ---- keeping up

    def _into(self, cell: int, slot: int) -> None:
        self.cell_of[slot] = cell
        self._cells.setdefault(cell, []).append(slot)

    def _cross(self, slot: int, cell: int, other: int, tick: int) -> None:
        self._out_of(cell, slot)
        self._into(other, slot)
        if self.grid.beside(cell, other):
            self._crossed.setdefault(cell, {})[slot] = tick
        else:
            self._jumped[slot, cell] = tick

    def _out_of(self, cell: int, slot: int) -> None:
        self._cells[cell].remove(slot)
        if not self._cells[cell]:
            del self._cells[cell]

    def _sweep(self, since: int) -> None:
        """Forget who left before `since`."""
        self._removed = {slot: left for slot, left in self._removed.items() if left[0] > since}
        self._jumped = {jump: tick for jump, tick in self._jumped.items() if tick > since}
        for cell, slots in list(self._crossed.items()):
            left = self._crossed[cell] = {slot: tick for slot, tick in slots.items() if tick > since}
            if not left:
                del self._crossed[cell]


def _far_row(row: TankRow) -> FarRow:
    return row[0], row[1] // 100, row[2] // 100
