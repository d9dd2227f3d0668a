"""The pool of tanks: bounded, reused, never leaked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamepod.arena.pool import PoolExhausted, TankPool
from gamepod.arena.tank import Tank


def test_a_returned_tank_is_used_again_and_clean() -> None:
    """The next owner gets the same tank with nothing of the last one in it."""
    pool = TankPool(1)
    tank = pool.acquire()
    tank.hit_points, tank.target, tank.alive = 3.0, "somebody", True
    pool.release(tank)
    again = pool.acquire()
    assert again is tank
    assert (again.hit_points, again.target, again.alive, again.owner) == (0.0, "", False, None)


def test_the_bound_holds() -> None:
    """A pool with every tank lent refuses, and lends again after a return."""
    pool = TankPool(2)
    first, _ = pool.acquire(), pool.acquire()
    with pytest.raises(PoolExhausted):
        pool.acquire()
    pool.release(first)
    assert pool.acquire() is first


def test_a_foreign_or_returned_tank_is_refused() -> None:
    """A tank is taken back once, and only if this pool lent it."""
    pool = TankPool(2)
    tank = pool.acquire()
    pool.release(tank)
    for wrong in (tank, Tank()):
        with pytest.raises(ValueError, match="not lent"):
            pool.release(wrong)


def test_a_pool_of_nothing_is_a_mistake() -> None:
    """A pool without room for a tank is refused when it is made."""
    with pytest.raises(ValueError, match="room"):
        TankPool(0)


@given(steps=st.lists(st.booleans(), max_size=200), capacity=st.integers(1, 8))
def test_tanks_are_neither_lost_nor_doubled(steps: list[bool], capacity: int) -> None:
    """After any order of lending and returning, lent and free tanks add up and none is lent twice."""
    pool = TankPool(capacity)
    lent: list[Tank] = []
    for lend in steps:
        if lend and len(lent) < capacity:
            lent.append(pool.acquire())
        elif not lend and lent:
            pool.release(lent.pop())
        assert pool.in_use == len(lent) == len({id(tank) for tank in lent})
        assert len(lent) <= pool.made <= pool.capacity
