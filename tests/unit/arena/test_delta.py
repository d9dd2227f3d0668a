"""Snapshots: only what changed is told, and whatever is lost heals within a refresh."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from gamepod.arena import ArenaSettings, MoveCommand
from gamepod.arena.delta import Frame
from tests.unit.arena.kit import MATCH, one_session

RULES = ArenaSettings(tick_rate_hz=20, walls=(), score_limit=0, respawn_s=0.1)


class View:
    """What a client knows, built from the frames that reached it."""

    def __init__(self) -> None:
        self.tanks: dict[int, tuple[int, ...]] = {}
        self.players: dict[int, tuple[object, ...]] = {}

    def take(self, frame: Frame) -> None:
        for slot in frame.removed:
            self.tanks.pop(slot, None)
            self.players.pop(slot, None)
        self.tanks.update({row[0]: row for row in frame.changed})
        self.players.update({row[0]: row for row in frame.players})


def test_a_standing_world_is_nearly_silent() -> None:
    """When nothing changes, each tank is told once per refresh and no more."""
    manager, session = one_session(RULES)
    for number in range(10):
        manager.join(MATCH, f"p{number}", "P", "", 0)
    for _ in range(RULES.snapshot_repeats):
        session.step(0)
    told = [row[0] for _ in range(RULES.tick_rate_hz) for row in session.step(0).frame.changed]
    assert sorted(told) == list(range(10))


def test_a_change_is_told_and_repeated() -> None:
    """A tank that moved is in the frame of that tick and of the next few."""
    manager, session = one_session(RULES)
    for number in range(3):
        manager.join(MATCH, f"p{number}", "P", "", 0)
    for _ in range(30):
        session.step(0)
    session.command("p1", [MoveCommand(throttle=0.0, aim=77.0)])
    frames = [session.step(0).frame for _ in range(RULES.snapshot_repeats + 1)]
    told = [any(row[0] == 1 and row[4] == 77 for row in frame.changed) for frame in frames]
    assert told[: RULES.snapshot_repeats] == [True] * RULES.snapshot_repeats


def test_a_full_snapshot_has_everyone() -> None:
    """A client that has just joined is told every tank and every name at once."""
    manager, session = one_session(RULES)
    for number in range(5):
        manager.join(MATCH, f"p{number}", f"Name {number}", "red", 0)
    frame = session.snapshot()
    assert [row[0] for row in frame.changed] == [0, 1, 2, 3, 4]
    assert frame.players[4] == (4, "p4", "Name 4", "red", 0, 0, 0)


def test_rows_round_to_what_clients_read() -> None:
    """Angles stay below 360 and a living tank never shows 0 hit points."""
    manager, session = one_session(RULES)
    manager.join(MATCH, "ann", "Ann", "", 0)
    tank = session._world.tanks[0]
    tank.heading, tank.aim, tank.hit_points = 2 * math.pi - 1e-9, -1e-9, 0.2
    row = session.snapshot().changed[0]
    assert row[3:] == (0, 0, 1)


@settings(max_examples=60, deadline=None)
@given(
    losses=st.lists(st.booleans(), min_size=60, max_size=60),
    script=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 3)), max_size=30),
)
def test_every_loss_heals_within_a_refresh(losses: list[bool], script: list[tuple[int, int]]) -> None:
    """However many frames are lost, a client knows the world exactly one refresh later."""
    manager, session = one_session(RULES)
    for number in range(4):
        manager.join(MATCH, f"p{number}", "P", "", 0)
    view = View()
    for tick, lost in enumerate(losses):
        for when, number in script:
            player = f"p{number}"
            if when != tick:
                continue
            if player not in session.present:
                manager.join(MATCH, player, "P", "", 0)
            elif (when + number) % 5 == 0:
                manager.leave(MATCH, player, "left", 0)
            else:
                session.command(player, [MoveCommand(throttle=1.0, turn=0.5)])
        frame = session.step(0).frame
        if not lost:
            view.take(frame)
    for _ in range(RULES.ticks(RULES.refresh_s)):
        view.take(session.step(0).frame)
    world = session.snapshot()
    assert view.tanks == {row[0]: row for row in world.changed}
    assert view.players == {row[0]: row for row in world.players}
