"""Snapshots: only what changed is told, and whatever is lost heals within a refresh."""

from __future__ import annotations

import math

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gamepod.arena import ArenaSettings, MoveCommand, Session
from gamepod.transport.encoding import TickBytes, heads
from gamepod.transport.protocol import Snapshot
from tests.unit.arena.kit import MATCH, one_session

# One cell: this is about time, and tests/unit/arena/test_interest.py about place.
RULES = ArenaSettings(tick_rate_hz=20, walls=(), score_limit=0, respawn_s=0.1, interest_m=0.0)
decode = msgspec.json.Decoder(Snapshot).decode


def told(session: Session, *, full: bool = False) -> Snapshot:
    """What the first player's client is told of this tick."""
    shared = TickBytes(session.scene, 1200)
    body = shared.everything(0) if full else shared.of(0, 1, 1)
    record = next(iter(session._players.values()))
    return decode(heads(session.tick, session.personal(record))[0] + body.stream)


def stepped(session: Session) -> Snapshot:
    """What is told of the next tick."""
    session.step(0)
    return told(session)


class View:
    """What a client knows, built from the snapshots that reached it."""

    def __init__(self) -> None:
        self.tanks: dict[int, tuple[int, ...]] = {}
        self.players: dict[int, tuple[object, ...]] = {}

    def take(self, snapshot: Snapshot) -> None:
        for slot in snapshot.removed:
            self.tanks.pop(slot, None)
            self.players.pop(slot, None)
        self.tanks.update({row[0]: row for row in snapshot.changed})
        self.players.update({row[0]: row for row in snapshot.players})


def test_a_standing_world_is_nearly_silent() -> None:
    """When nothing changes, each tank is told once per refresh and no more."""
    manager, session = one_session(RULES)
    for number in range(10):
        manager.join(MATCH, f"p{number}", "P", "", 0)
    for _ in range(RULES.snapshot_repeats):
        session.step(0)
    rows = [row[0] for _ in range(RULES.tick_rate_hz) for row in stepped(session).changed]
    assert sorted(rows) == list(range(10))


def test_a_change_is_told_and_repeated() -> None:
    """A tank that moved is in the snapshot of that tick and of the next few."""
    manager, session = one_session(RULES)
    for number in range(3):
        manager.join(MATCH, f"p{number}", "P", "", 0)
    for _ in range(30):
        session.step(0)
    session.command("p1", [MoveCommand(throttle=0.0, aim=77.0)])
    snapshots = [stepped(session) for _ in range(RULES.snapshot_repeats + 1)]
    found = [any(row[0] == 1 and row[4] == 77 for row in snapshot.changed) for snapshot in snapshots]
    assert found[: RULES.snapshot_repeats] == [True] * RULES.snapshot_repeats


def test_a_full_snapshot_has_everyone() -> None:
    """A client that has just joined is told every tank and every name at once."""
    manager, session = one_session(RULES)
    for number in range(5):
        manager.join(MATCH, f"p{number}", f"Name {number}", "red", 0)
    snapshot = told(session, full=True)
    assert [row[0] for row in snapshot.changed] == [0, 1, 2, 3, 4]
    assert snapshot.players[4] == (4, "p4", "Name 4", "red", 0, 0, 0)
    assert snapshot.far == []


def test_rows_round_to_what_clients_read() -> None:
    """Angles stay below 360 and a living tank never shows 0 hit points."""
    manager, session = one_session(RULES)
    manager.join(MATCH, "ann", "Ann", "", 0)
    tank = session._world.tanks[0]
    tank.heading, tank.aim, tank.hit_points = 2 * math.pi - 1e-9, -1e-9, 0.2
    session.scene.advance(1, session._world.tanks, [])
    row = told(session, full=True).changed[0]
    assert row[3:] == (0, 0, 1)


@settings(max_examples=60, deadline=None)
@given(
    losses=st.lists(st.booleans(), min_size=60, max_size=60),
    script=st.lists(st.tuples(st.integers(0, 59), st.integers(1, 4)), max_size=30),
)
def test_every_loss_heals_within_a_refresh(losses: list[bool], script: list[tuple[int, int]]) -> None:
    """However many snapshots are lost, a client knows all tanks exactly one refresh later, and all names after five."""
    manager, session = one_session(RULES)
    for number in range(5):
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
        snapshot = stepped(session)
        if not lost:
            view.take(snapshot)
    refresh = RULES.ticks(RULES.refresh_s)
    for _ in range(refresh):
        view.take(stepped(session))
    assert view.tanks == {row[0]: row for row in told(session, full=True).changed}
    for _ in range(4 * refresh):
        view.take(stepped(session))
    assert view.players == {row[0]: row for row in told(session, full=True).players}
