"""Interest management: a client knows exactly what it should of its area, whatever is lost or comes late."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gamepod.arena import ArenaSettings, MoveCommand, ShootCommand
from gamepod.arena.delta import EVERY
from gamepod.arena.grid import Grid
from gamepod.transport.encoding import TickBytes
from gamepod.transport.gateway import Gateway
from gamepod.transport.limits import TransportLimits
from tests.unit.arena.kit import MATCH, Clock, FakeLink, authenticate, message, one_session, token

# Fast tanks among small cells: every second somebody comes into sight.
RULES = ArenaSettings(
    tick_rate_hz=20, walls=(), score_limit=0, time_limit_s=0.0, respawn_s=0.1, width_m=120.0, height_m=90.0,
    interest_m=24.0, shot_range_m=24.0, max_speed_mps=50.0, acceleration_mps2=200.0, shot_damage=50.0, shot_mana=0.0,
)  # fmt: skip
REFRESH = RULES.ticks(RULES.refresh_s)
SILENCE = 3 * REFRESH  # after which a client forgets a slot
PLAYERS = 8


class View:
    """What a client knows that reads as docs/protocol.md says."""

    def __init__(self) -> None:
        self.tanks: dict[int, tuple[int, ...]] = {}
        self.players: dict[int, list[Any]] = {}
        self.far: dict[int, list[int]] = {}
        self.events: list[list[Any]] = []
        self.told: dict[int, int] = {}  # slot -> tick of the latest that was heard of it, also that it is gone

    def take(self, snapshot: dict[str, Any]) -> None:
        tick = snapshot["tick"]
        for slot in snapshot.get("removed", ()):
            if tick >= self.told.get(slot, 0):
                self.told[slot] = tick
                self.tanks.pop(slot, None)
        for row in snapshot.get("changed", ()):
            if tick >= self.told.get(row[0], 0):
                self.told[row[0]] = tick
                self.tanks[row[0]] = tuple(row)
        self.players.update({row[0]: row for row in snapshot.get("players", ())})
        self.far.update({row[0]: row for row in snapshot.get("far", ())})
        self.events += snapshot.get("events", ())
        for slot in [slot for slot in self.tanks if self.told[slot] < tick - SILENCE]:
            del self.tanks[slot]


class House:
    """A gateway with one session whose tanks are where the test wants them."""

    def __init__(self, rules: ArenaSettings = RULES, *, datagram: bool = True, players: int = PLAYERS) -> None:
        self.clock = Clock()
        self.manager, self.session = one_session(rules)
        limits = TransportLimits(datagram_idle_timeout_s=1e6, idle_timeout_s=1e6, messages_per_second=1e6)
        self.gateway = Gateway(self.manager, authenticate, self.clock, limits)
        self.links = [FakeLink(datagram=datagram) for _ in range(players)]
        for number, link in enumerate(self.links):
            self.gateway.join(link, token(f"p{number}"))

    def tick(self) -> None:
        self.clock.ms += 50
        self.gateway.broadcast(self.manager.step(self.clock.ms))

    def put(self, *places: tuple[float, float]) -> None:
        """Carry the tanks somewhere, and wait until all is told of that."""
        for slot, (x, y) in enumerate(places):
            tank = self.session._world.tanks[slot]
            tank.x, tank.y = x, y
        for _ in range(2 * REFRESH):
            self.tick()
        for link in self.links:
            link.take()

    def say(self, number: int, kind: str, **fields: Any) -> None:
        self.gateway.received(self.links[number], message(kind, **fields))

    def area(self, slot: int) -> dict[int, tuple[int, ...]]:
        """The rows of a player's area as they are."""
        scene = self.session.scene
        whole = scene.grid.area(scene.cell_of[slot]).whole
        return {other: scene.rows[other] for other, cell in scene.cell_of.items() if cell in whole}


drives = st.tuples(
    st.integers(0, 59), st.integers(0, PLAYERS - 1), st.sampled_from(["drive", "drive", "shoot", "leave", "rate"]),
    st.floats(-1, 1), st.floats(-1, 1),
)  # fmt: skip
scripts = st.lists(drives, max_size=60)


def play(house: House, tick: int, script: list[tuple[int, int, str, float, float]]) -> None:
    """What the script says for this tick."""
    for when, number, what, one, two in script:
        player = f"p{number}"
        if when != tick:
            continue
        if player not in house.session.present:
            house.manager.join(MATCH, player, "P", "", 0)
        elif what == "leave" and number:  # the first one watches
            house.manager.leave(MATCH, player, "left", 0)
        elif what == "shoot":
            house.session.command(player, [ShootCommand(aim=one * 180)])
        elif what == "rate" and not number:
            house.say(0, "rate", hz=1 + int(abs(one) * 60))
        else:
            house.session.command(player, [MoveCommand(throttle=math.copysign(1.0, one), turn=two)])


@settings(max_examples=40, deadline=None)
@given(script=scripts)
def test_a_stream_knows_its_area_at_every_tick(script: list[tuple[int, int, str, float, float]]) -> None:
    """Where nothing is lost a client knows who is in its area and nobody else, near ones to the tick."""
    house, view = House(datagram=False), View()
    spread = house.session.scene.spread(1)
    history: list[dict[int, tuple[int, ...]]] = []
    for tick in range(60):
        play(house, tick, [step for step in script if step[2] != "rate"])
        house.tick()
        for snapshot in house.links[0].take("snapshot"):
            view.take(snapshot)
        scene, area = house.session.scene, house.area(0)
        history.append(area)
        assert view.tanks.keys() <= area.keys()
        near = scene.grid.area(scene.cell_of[0]).near
        for slot, row in area.items():
            if scene.cell_of[slot] in near:
                assert view.tanks[slot] == row
            elif all(slot in before for before in history[-spread:]):
                assert view.tanks[slot] in [before[slot] for before in history[-spread:]]


@settings(max_examples=40, deadline=None)
@given(
    script=scripts,
    fates=st.lists(st.sampled_from([0, 0, 0, 1, 2, 5, None]), min_size=20, max_size=80),
)
def test_loss_and_reordering_heal(script: list[tuple[int, int, str, float, float]], fates: list[int | None]) -> None:
    """Over UDP, whatever is lost or comes late and at whatever rate, a quiet while later a client knows all exactly."""
    house, view = House(), View()
    post: list[tuple[int, dict[str, Any]]] = []  # (tick of arrival, snapshot)
    number = 0
    for tick in range(60):
        play(house, tick, script)
        house.tick()
        for snapshot in house.links[0].take("snapshot"):
            fate = fates[number % len(fates)]
            number += 1
            if fate is not None:
                post.append((tick + fate, snapshot))
        for when, snapshot in post:
            if when == tick:
                view.take(snapshot)
    for _, snapshot in [late for late in post if late[0] >= 60]:
        view.take(snapshot)
    for _ in range(SILENCE + 2 * REFRESH):  # the last shots are over, the tanks stand
        house.tick()
        for snapshot in house.links[0].take("snapshot"):
            view.take(snapshot)
    assert view.tanks == house.area(0)
    present = {slot for slot, _ in house.session._world.tanks.items()}
    assert view.players.keys() >= present
    assert {slot: row for slot, row in view.far.items() if slot in present} == {
        slot: [slot, row[1] // 100, row[2] // 100] for slot, row in house.session.scene.rows.items()
    }


@given(
    width=st.floats(20, 5000), height=st.floats(20, 5000), radius=st.floats(20, 5000),
    one=st.tuples(st.floats(0, 1), st.floats(0, 1)), other=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)  # fmt: skip
def test_an_area_holds_all_within_the_radius(
    width: float, height: float, radius: float, one: tuple[float, float], other: tuple[float, float]
) -> None:
    """Whoever is within the radius is in a cell of the area, and who is a third farther than it in both ways is not."""
    grid = Grid(width, height, radius)
    (x, y), (other_x, other_y) = ((share_x * width, share_y * height) for share_x, share_y in (one, other))
    seen = grid.cell(other_x, other_y) in grid.area(grid.cell(x, y)).whole
    if math.hypot(other_x - x, other_y - y) <= radius * (1 - 1e-9):
        assert seen
    if max(abs(other_x - x), abs(other_y - y)) > radius * 4 / 3 * (1 + 1e-9):
        assert not seen


def test_what_is_far_is_not_told_but_on_the_radar() -> None:
    """A tank outside the area is in no row, only to the metre in `far`; with the radar off it is hidden."""
    for radar_s, known in ((1.0, {1: [1, 100, 80]}), (0.0, {})):
        house, view = House(dataclasses.replace(RULES, radar_s=radar_s), players=2), View()
        house.put((10, 10), (100.9, 80.9))
        for _ in range(REFRESH):
            house.tick()
            for snapshot in house.links[0].take("snapshot"):
                view.take(snapshot)
        assert view.tanks.keys() == {0}
        view.far.pop(0, None)
        assert view.far == known


def test_who_leaves_the_area_is_told() -> None:
    """A tank that goes out of sight is in `removed` for a refresh, and in no row after that."""
    house = House(players=2)
    house.put((10, 10), (20, 20))
    tank = house.session._world.tanks[1]
    tank.x, tank.y = 100.0, 80.0
    gone = []
    for _ in range(REFRESH):
        house.tick()
        (snapshot,) = house.links[0].take("snapshot")
        assert 1 not in [row[0] for row in snapshot.get("changed", ())]
        gone.append(snapshot.get("removed"))
    assert gone == [[1]] * REFRESH


def test_who_leaves_and_comes_back_at_once_is_not_left_standing() -> None:
    """A player who gave up the tank and joined again elsewhere before the next tick is gone from where the tank was."""
    house = House(players=2)
    house.put((10, 10), (20, 20))
    house.manager.leave(MATCH, "p1", "left", 0)
    house.session._world.spawns = 3
    house.manager.join(MATCH, "p1", "P", "", 0)
    assert 1 not in house.area(0)
    house.tick()
    assert house.links[0].take("snapshot")[0]["removed"] == [1]


def test_a_shot_is_told_where_its_gun_is_seen_and_a_kill_everywhere() -> None:
    """Who is far from a fight is not told of its shots, but of who was destroyed."""
    house = House(dataclasses.replace(RULES, shot_damage=1000.0), players=3)
    house.put((10, 10), (20, 10), (110, 80))
    house.session.command("p0", [ShootCommand(target=1)])
    house.tick()
    told = [sorted(event[0] for event in link.take("snapshot")[0]["events"]) for link in house.links]
    assert told == [["destroyed", "shot"], ["destroyed", "shot"], ["destroyed"]]


@pytest.mark.parametrize("hz", [1, 7, 10, 19, 20, 120])
def test_a_client_is_told_as_often_as_it_asks(hz: int) -> None:
    """At most `hz` snapshots a second, or the fewest there are, and in them every event exactly once."""
    house, view = House(players=2), View()
    house.say(0, "rate", hz=hz)
    house.put((10, 10), (20, 10))
    ticks = []
    for number in range(60):
        if number % 9 == 0:
            house.session.command("p1", [ShootCommand(aim=90.0)])
        house.tick()
        for snapshot in house.links[0].take("snapshot"):
            ticks.append(snapshot["tick"])
            view.take(snapshot)
    fastest = max(RULES.tick_rate_hz / hz, 1)
    every = next((every for every in EVERY if every >= fastest), EVERY[-1])
    assert {later - sooner for sooner, later in pairwise(ticks)} == {every}
    told_late = house.session.tick - ticks[-1]
    shots = sum(number % 9 == 0 for number in range(60 - told_late))
    assert len(view.events) == shots


def test_a_reader_that_is_behind_is_told_less_often_and_then_more_again() -> None:
    """Dropped snapshots slow a client down step by step to the slowest rate; without trouble it gets faster again."""
    house = House(datagram=False, players=1)
    link, pace = house.links[0], house.gateway._by_link[house.links[0]].pace
    link.behind = True
    for _ in range(20 * 10):
        house.tick()
    assert pace.every == EVERY[-1]
    house.say(0, "rate", hz=120)
    assert pace.every == EVERY[-1]  # asking does not help
    link.behind = False
    for _ in range(20 * 30):
        house.tick()
    assert pace.every == 1


def test_a_client_that_reports_losses_is_told_less_often() -> None:
    """A client that got half of its datagrams is slowed down; one that got all, or claims more, is not."""
    house = House(players=3)
    for second in range(1, 4):
        for _ in range(20):
            house.tick()
        sent = [house.gateway._by_link[link].pace.sent for link in house.links]
        house.say(0, "ping", t=second, got=sent[0] // 2)
        house.say(1, "ping", t=second, got=sent[1])
        house.say(2, "ping", t=second, got=2**53 - 1)
    assert [house.gateway._by_link[link].pace.every > 1 for link in house.links] == [True, False, False]


def test_a_crowd_is_told_in_bounded_pieces() -> None:
    """Two hundred tanks in one place: nobody is sent more rows a tick than the bound, and nobody is forgotten."""
    rules = dataclasses.replace(RULES, capacity=200, snapshot_rows=20, max_speed_mps=1.0)
    house, view = House(rules, players=200), View()
    house.put(*((10.0 + slot % 14, 10.0 + slot // 14) for slot in range(200)))
    rows, ticks = 0, 3 * EVERY[-1]
    for tick in range(ticks):
        for number in range(200):
            house.session.command(f"p{number}", [MoveCommand(throttle=1.0, turn=1.0, aim=tick)])
        house.tick()
        for snapshot in house.links[0].take("snapshot"):
            rows += len(snapshot.get("changed", ()))
            view.take(snapshot)
    assert rows / ticks <= rules.snapshot_rows
    assert view.tanks.keys() == house.area(0).keys()
    assert len(view.tanks) == 200


def test_those_in_one_cell_share_their_bytes() -> None:
    """What two clients in one cell are told is put together once."""
    house = House(players=2)
    shared = TickBytes(house.session.scene, 1200)
    assert shared.of(0, 1, 1) is shared.of(0, 1, 1)
    assert shared.of(0, 1, 1) is not shared.of(1, 1, 1)


@pytest.mark.parametrize("fields", [{"hz": 0}, {"hz": 121}, {"hz": -5}, {"hz": 1.5}, {"hz": "20"}, {"hz": None}, {}])
def test_an_absurd_rate_is_refused(fields: dict[str, Any]) -> None:
    """A rate that is none is a bad message, counted, and changes nothing."""
    house = House(players=1)
    house.links[0].take()
    house.say(0, "rate", **fields)
    assert house.links[0].take()[0]["code"] == "bad-message"
    assert house.gateway.stats.bad_messages["no-message"] == 1
    assert house.gateway._by_link[house.links[0]].pace.every == 1
