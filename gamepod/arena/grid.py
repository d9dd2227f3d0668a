"""The world cut into square cells, and which cells belong to what a player is told: the area of interest.

A cell is a third of the radius wide, so the cells up to three away hold everything within the radius of any place in
the middle one. All who stand in one cell have the same area: what they are told is put together once for all of them.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

RINGS: Final = 3  # cells from the middle to the edge: finer ones tell less that is too far, and are shared by fewer
NEAR_RINGS: Final = 1  # of them are told at full rate
MAX_AREAS: Final = 512  # remembered; more than players of a match, so only wanderers over a wide map make it forget


class Area(NamedTuple):
    """The cells around one, itself included."""

    near: tuple[int, ...]
    far: tuple[int, ...]
    edge: tuple[int, ...]  # those of the far ones from which one step leads out
    whole: frozenset[int]


class Grid:
    """Cells of a world of `width_m` x `height_m`. With a radius of 0 there is one cell, and everything is near."""

    __slots__ = ("_areas", "_columns", "_per_m", "_rows")

    def __init__(self, width_m: float, height_m: float, radius_m: float) -> None:
        size_m = radius_m / RINGS if radius_m else max(width_m, height_m)
        self._per_m = 1.0 / size_m
        self._columns = max(1, math.ceil(width_m * self._per_m))
        self._rows = max(1, math.ceil(height_m * self._per_m))
        self._areas: dict[int, Area] = {}

    def cell(self, x: float, y: float) -> int:
        """The cell of a place in metres; the far border belongs to the last cells."""
        column = min(self._columns - 1, int(x * self._per_m))
        return min(self._rows - 1, int(y * self._per_m)) * self._columns + column

    def beside(self, cell: int, other: int) -> bool:
        """Whether two cells touch."""
        (row, column), (other_row, other_column) = divmod(cell, self._columns), divmod(other, self._columns)
        return abs(row - other_row) <= 1 and abs(column - other_column) <= 1

    def area(self, cell: int) -> Area:
        """What is told to those who stand in a cell."""
        found = self._areas.get(cell)
        if found is None:
            if len(self._areas) >= MAX_AREAS:
                self._areas.clear()
            found = self._areas[cell] = self._around(cell)
        return found

    def _around(self, cell: int) -> Area:
        row, column = divmod(cell, self._columns)
        near: list[int] = []
        far: list[int] = []
        edge: list[int] = []
        for r in range(max(0, row - RINGS), min(self._rows, row + RINGS + 1)):
            for c in range(max(0, column - RINGS), min(self._columns, column + RINGS + 1)):
                ring = max(abs(r - row), abs(c - column))
                (near if ring <= NEAR_RINGS else far).append(r * self._columns + c)
                if ring == RINGS:
                    edge.append(r * self._columns + c)
        return Area(tuple(near), tuple(far), tuple(edge), frozenset(near + far))
