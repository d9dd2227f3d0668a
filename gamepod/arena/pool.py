"""A bounded pool of tanks, shared by every session of a server process.

A match that ends hands its tanks back for the next one, so a long-lived server neither grows nor pays for
allocation in the middle of a tick. The pool knows each tank it lent, so a tank can be neither returned
twice nor slipped in from elsewhere.
"""

from __future__ import annotations

from core.errors import TooMany
from gamepod.arena.tank import Tank


class PoolExhausted(TooMany):
    """Every tank is in use."""

    code = "server-full"


class TankPool:
    """At most `capacity` tanks, made when first needed and never thrown away."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("a pool needs room for one tank")
        self._capacity = capacity
        self._free: list[Tank] = []
        self._lent: dict[int, Tank] = {}  # by identity: a tank has no other name

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def in_use(self) -> int:
        """Tanks lent now."""
        return len(self._lent)

    @property
    def made(self) -> int:
        """Tanks that exist, lent or free; never above `capacity`."""
        return len(self._lent) + len(self._free)

    def acquire(self) -> Tank:
        """A cleared tank. Raises `PoolExhausted` when all are in use."""
        if self._free:
            tank = self._free.pop()
        elif len(self._lent) < self._capacity:
            tank = Tank()
        else:
            raise PoolExhausted(f"all {self._capacity} tanks are in use")
        self._lent[id(tank)] = tank
        return tank

    def release(self, tank: Tank) -> None:
        """Take a tank back. Raises `ValueError` for one that is not lent: that is a bug of ours."""
        if id(tank) not in self._lent:
            raise ValueError("this tank was not lent by this pool")
        del self._lent[id(tank)]
        tank.clear()
        self._free.append(tank)
