"""What one client is told besides what all in its cell are: what its moving area let it see, and lose from sight. PURE.

Over UDP that is repeated like everything else: what came into sight for the usual few snapshots, since standing tanks
are told anew within a refresh; what went out of sight for a whole refresh, as nothing else would ever take it back.
"""

from __future__ import annotations

from typing import Final

from gamepod.arena.delta import Scene

SPARSE: Final = 8  # after the first few snapshots, in every so many-th of them


class Sight:
    """A client's cell, and what of the last moves of its area is still to be told."""

    __slots__ = ("_eager", "_gained", "_gone", "cell")

    def __init__(self, cell: int) -> None:
        self.cell = cell
        self._gained: set[int] = set()  # cells
        self._gone: dict[int, int] = {}  # slot -> tick until which it is told
        self._eager = 0  # snapshots that are still to tell all of it; below 0 they are counted on

    def move(self, scene: Scene, cell: int) -> None:
        """The client's tank stands in another cell now."""
        before, now = scene.grid.area(self.cell).whole, scene.grid.area(cell).whole
        self._gained = (self._gained & now) | (now - before)
        self._eager = scene.repeats
        until = scene.tick + scene.refresh
        self._gone.update(dict.fromkeys(scene.elsewhere(scene.lost(before - now), now), until))
        self.cell = cell

    def news(self, scene: Scene, *, sure: bool) -> tuple[list[int], list[int]] | None:
        """Slots seen, and slots seen no more, to be told in this snapshot. `sure` is for a link that loses nothing."""
        if not self._gained and not self._gone:
            return None
        if not sure:
            self._eager -= 1
            if self._eager < 0:
                self._gained.clear()
                if self._eager % SPARSE:
                    return None
                self._gone = {slot: until for slot, until in self._gone.items() if until > scene.tick}
        seen = scene.slots(self._gained)
        gone = scene.elsewhere(self._gone, scene.grid.area(self.cell).whole)
        return (seen, gone) if seen or gone else None

    def told(self) -> None:
        """All of it has arrived for certain."""
        self._gained.clear()
        self._gone.clear()
