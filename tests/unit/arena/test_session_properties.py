"""Whatever players send, the world stays sound: a random match, checked after every tick."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from gamepod.arena import ArenaSettings, Attack, Interaction, MoveCommand, SessionManager, ShootCommand
from gamepod.arena.geo import Projection
from tests.unit.arena.kit import MATCH

RULES = ArenaSettings(
    width_m=60.0,
    height_m=60.0,
    walls=((25.0, 25.0, 35.0, 35.0),),
    respawn_s=0.1,
    shot_cooldown_s=0.0,
    score_limit=0,
    max_commands_per_tick=6,
)
PLAYERS = ("ann", "bob", "cid", "dee")

numbers = st.one_of(st.floats(-1, 1), st.floats(allow_nan=True, allow_infinity=True))
moves = st.builds(MoveCommand, throttle=numbers, turn=numbers, sprint=st.booleans(), aim=st.none() | st.floats())
shots = st.builds(ShootCommand, target=st.none() | st.integers(-1, 5), aim=st.none() | st.floats(-999, 999))
inputs = st.tuples(
    st.just("input"),
    st.sampled_from(PLAYERS),
    st.integers(1, 200),
    st.lists(moves | shots, max_size=8),
)
comings = st.tuples(st.sampled_from(["join", "leave"]), st.sampled_from(PLAYERS), st.just(0), st.just([]))
steps = st.tuples(st.just("step"), st.just(""), st.integers(1, 10), st.just([]))


@settings(max_examples=120, deadline=None)
@given(script=st.lists(st.one_of(inputs, steps, comings), max_size=80))
def test_the_world_stays_sound(
    script: list[tuple[str, str, int, list[MoveCommand | ShootCommand]]],
) -> None:
    """No NaN, bounds kept, no id twice, no tank leaked, and `accepted` equals the log for each player."""
    manager = SessionManager(max_tanks=len(PLAYERS))
    session = manager.create(MATCH, RULES, id_prefix="run", now_ms=0)
    log: list[Interaction] = []
    now_ms = 0
    for player in PLAYERS:
        manager.join(MATCH, player, player, "", 0)
    for what, player, number, commands in script:
        if what == "input" and player in session.present:
            session.input(player, number, commands)
        elif what == "join":
            manager.join(MATCH, player, player, "", 0)
        elif what == "leave":
            manager.leave(MATCH, player, "left", 0)
        elif what == "step":
            for _ in range(number):
                now_ms += 50
                log += session.step(now_ms).interactions
                check_world(manager)
    ids = [interaction.id for interaction in log]
    assert len(ids) == len(set(ids))
    for record in session._players.values():
        written = sum((i.attacker if isinstance(i, Attack) else i.player) == record.player for i in log)
        assert record.accepted == written
    check_log(log, now_ms)
    manager.remove(MATCH, 0)
    assert manager.pool.in_use == 0


def check_log(log: list[Interaction], now_ms: int) -> None:
    """Whoever and whatever is in it may be there: players of the match, places in its world, times that have been."""
    plane = Projection(RULES.origin_lat, RULES.origin_lon)
    for interaction in log:
        assert 0 < interaction.at_ms <= now_ms
        if isinstance(interaction, Attack):
            assert 0 < interaction.damage <= RULES.shot_damage
            assert interaction.attacker != interaction.target
            assert {interaction.attacker, interaction.target} <= set(PLAYERS)
        else:
            assert interaction.player in PLAYERS
            x, y = plane.to_plane(interaction.lat, interaction.lon)
            assert -1e-3 <= x <= RULES.width_m + 1e-3
            assert -1e-3 <= y <= RULES.height_m + 1e-3


def check_world(manager: SessionManager) -> None:
    """Every number of every tank is finite and in its bounds."""
    session = manager.get(MATCH)
    assert manager.pool.in_use == len(session.present)
    for tank in session._world.tanks.values():
        for value in (tank.x, tank.y, tank.heading, tank.aim, tank.speed):
            assert math.isfinite(value)
        assert 0.0 <= tank.hit_points <= RULES.max_hit_points
        assert tank.alive == (tank.hit_points > 0.0)
        assert 0.0 <= tank.mana <= RULES.max_mana
        assert 0.0 <= tank.stamina <= RULES.max_stamina
        assert abs(tank.speed) <= RULES.max_speed_mps * RULES.sprint_factor
