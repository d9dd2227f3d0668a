"""A match from the first join to its result."""

from __future__ import annotations

import json

import msgspec
import pytest

from core.errors import Conflict, NotFound, TooMany
from gamepod.arena import ArenaSettings, Attack, Move, MoveCommand, Session, ShootCommand
from gamepod.arena.pool import TankPool
from tests.unit.arena.kit import MATCH, OPEN_FIELD, one_session

DUEL = ArenaSettings(walls=(), score_limit=2, time_limit_s=60.0, shot_damage=50.0, shot_cooldown_s=0.0)


def duel(settings: ArenaSettings = DUEL, teams: tuple[str, str] = ("", "")) -> Session:
    """Two players ten metres apart."""
    _, session = one_session(settings)
    for number, player in enumerate(("ann", "bob")):
        record = session.join(player, player.title(), teams[number], 1000)
        tank = session._world.tanks[record.slot]
        tank.x, tank.y = 50.0 + 10.0 * number, 50.0
    return session


def test_moves_and_hits_become_interactions() -> None:
    """An accepted move and a hit are interactions with unique ids, the actor and the time of the tick."""
    session = duel()
    session.input("ann", 1, [MoveCommand(throttle=0.0), ShootCommand(target=1)])
    output = session.step(5000)
    move, attack = output.interactions
    assert isinstance(move, Move)
    assert isinstance(attack, Attack)
    assert (move.id, move.at_ms, move.player) == ("run-1", 5000, "ann")
    assert attack == Attack("run-2", 5000, "ann", "bob", 50.0)
    assert session.personal(session.join("ann", "", "", 0)).accepted == 2
    assert session.personal(session.join("ann", "", "", 0)).ack == 2


def test_a_miss_is_no_interaction() -> None:
    """A shot that hits nobody is an event and costs mana, but it is not in the log."""
    session = duel()
    session.input("ann", 1, [ShootCommand(aim=180.0)])
    output = session.step(5000)
    assert output.interactions == []
    assert [event.name for event in output.events if event.name != "tank_moved"] == ["tank_shot"]
    assert session.personal(session.join("ann", "", "", 0)).accepted == 0


def test_a_destroyed_tank_scores_and_returns() -> None:
    """The last hit gives the shooter the kill, the victim waits, obeys nothing, and comes back whole."""
    session = duel()
    session.command("ann", [ShootCommand(target=1)])
    session.step(5000)
    session.command("ann", [ShootCommand(target=1)])
    output = session.step(5016)
    names = [event.name for event in output.events if event.name != "tank_moved"]
    assert names == ["tank_shot", "tank_took_damage", "tank_destroyed"]
    states = session.player_states()
    assert (states["ann"]["kills"], states["ann"]["score"], states["bob"]["deaths"]) == (1, 1, 1)
    assert session.personal(session.join("bob", "", "", 0)).respawn_ms == pytest.approx(3000, abs=20)
    session.command("bob", [MoveCommand(throttle=1.0)])
    assert session.step(5032).interactions == []
    assert session.refused_by_reason["destroyed"] == 1
    for _ in range(DUEL.ticks(DUEL.respawn_s)):
        session.step(6000)
    assert session.player_states()["bob"]["hit_points"] == DUEL.max_hit_points


def play_to_the_end(session: Session) -> None:
    """Ann destroys Bob wherever he comes back, until the match is over."""
    for _ in range(2000):
        tanks = session._world.tanks
        tanks[1].x, tanks[1].y, tanks[0].mana = tanks[0].x + 5.0, tanks[0].y, 100.0
        session.command("ann", [ShootCommand(target=1)])
        if session.step(10_000).result is not None:
            return
    raise AssertionError("the match never ended")


def test_the_score_limit_ends_the_match() -> None:
    """The match ends in the tick in which a player reaches the limit, with ranks and the winner."""
    session = duel()
    play_to_the_end(session)
    result = session.result
    assert result is not None
    assert (result.reason, result.winner, result.started_at_ms) == ("score-limit", "ann", 1000)
    assert [(p.player, p.rank, p.score, p.kills, p.deaths) for p in result.players] == [
        ("ann", 1, 2, 2, 0),
        ("bob", 2, 0, 0, 2),
    ]
    assert json.loads(msgspec.json.encode(result))["match"] == MATCH


def test_after_the_end_nothing_counts() -> None:
    """Commands after the end are refused, joins too, and the result stays as it was."""
    session = duel()
    play_to_the_end(session)
    session.command("ann", [MoveCommand(throttle=1.0)])
    output = session.step(20_000)
    assert output.interactions == []
    assert output.result is session.result
    assert session.refused_by_reason["match-over"] == 1
    with pytest.raises(Conflict):
        session.join("cid", "Cid", "", 20_000)


def test_the_time_limit_ends_the_match() -> None:
    """Time runs from the first join; equal standings are a draw."""
    session = duel()
    assert session.step(60_999).result is None
    result = session.step(61_000).result
    assert result is not None
    assert (result.reason, result.winner) == ("time-limit", "")
    assert [player.rank for player in result.players] == [1, 1]


def test_a_match_nobody_joined_does_not_time_out_by_itself() -> None:
    """Before the first join the clock of the match stands still."""
    _, session = one_session(DUEL)
    assert session.step(10**9).result is None


def test_teams_win_together() -> None:
    """Where there are teams, their sums decide and the winner is a team."""
    session = duel(teams=("red", "blue"))
    play_to_the_end(session)
    assert session.result is not None
    assert session.result.winner == "red"
    assert [(team.team, team.rank, team.score) for team in session.result.teams] == [
        ("red", 1, 2),
        ("blue", 2, 0),
    ]


def test_a_team_kill_costs() -> None:
    """With friendly fire a destroyed teammate takes a point away."""
    settings = ArenaSettings(walls=(), friendly_fire=True, shot_damage=100.0)
    session = duel(settings, teams=("red", "red"))
    session.command("ann", [ShootCommand(target=1)])
    session.step(5000)
    assert session.player_states()["ann"]["score"] == -1
    assert session.player_states()["ann"]["kills"] == 0


def test_the_caller_may_end_the_match() -> None:
    """`end` takes effect at the next tick, with the caller's reason."""
    session = duel()
    session.end("server-closing")
    result = session.step(2000).result
    assert result is not None
    assert result.reason == "server-closing"


def test_a_player_who_returns_keeps_score_and_numbers() -> None:
    """Leaving gives the tank back; joining again finds the same slot, score and counters."""
    session = duel()
    session.input("ann", 1, [MoveCommand(throttle=0.0)])
    session.step(5000)
    assert session.leave("ann")
    assert not session.leave("ann")
    assert session.present == ("bob",)
    with pytest.raises(NotFound):
        session.input("ann", 2, [MoveCommand(throttle=0.0)])
    record = session.join("ann", "Ann", "", 6000)
    assert (record.slot, record.last_seq, record.accepted) == (0, 1, 1)


def test_a_full_match_refuses() -> None:
    """No more tanks than the capacity, and no more players ever than the roster."""
    pool = TankPool(10)
    session = Session(MATCH, ArenaSettings(capacity=1, max_roster=2), pool, id_prefix="run")
    session.join("ann", "Ann", "", 0)
    with pytest.raises(TooMany):
        session.join("bob", "Bob", "", 0)
    session.leave("ann")
    session.join("bob", "Bob", "", 0)
    session.leave("bob")
    with pytest.raises(TooMany):
        session.join("cid", "Cid", "", 0)
    assert pool.in_use == 0


def test_room_is_made_for_further_players() -> None:
    """A match that gets more seats than it had room for takes them all, and never less than before."""
    session = Session(MATCH, ArenaSettings(capacity=1, max_roster=2), TankPool(10), id_prefix="run")
    session.make_room(3)
    session.make_room(2)
    for name in ("ann", "bob", "cid"):
        session.join(name, name, "", 0)
    assert (len(session.present), session.settings.capacity) == (3, 3)


def test_the_state_of_a_player_has_every_field() -> None:
    """The state to be stored names body, place, fight, standing and the last actions, runs kept once."""
    session = duel()
    session.command("ann", [MoveCommand(throttle=0.0)] * 3 + [ShootCommand(target=1)])
    session.step(5000)
    state = session.player_states()["ann"]
    assert state["last_actions"] == ["move", "attack:bob"]
    assert (state["interaction"], state["target"], state["damage_dealt"]) == ("attack:bob", "bob", 50.0)
    numbers = {"hit_points", "mana", "stamina", "lat", "lon", "score", "kills", "deaths"}
    assert numbers | {"interaction", "damage_dealt", "target", "last_actions"} == state.keys()


def test_only_changed_states_are_asked_for() -> None:
    """After a look, only players who did or suffered something are listed again."""
    session = duel(OPEN_FIELD)
    assert session.player_states(changed_only=True).keys() == {"ann", "bob"}
    session.step(5000)
    session.player_states(changed_only=True)
    for _ in range(5):
        session.step(5000)
    assert session.player_states(changed_only=True).keys() == set()
    session.command("ann", [ShootCommand(target=1)])
    session.step(5000)
    assert session.player_states(changed_only=True).keys() == {"ann", "bob"}


def test_a_sprint_needs_stamina() -> None:
    """A sprint without stamina is refused; the same steering without sprint is not."""
    session = duel()
    session._world.tanks[0].stamina = 0.0
    session.command("ann", [MoveCommand(1.0, sprint=True), MoveCommand(1.0)])
    assert len(session.step(5000).interactions) == 1
    assert session.refused_by_reason["not-enough-stamina"] == 1


def test_moved_tanks_are_reported_now_and_then() -> None:
    """A tank that drives is reported once per interval; one that stands is not."""
    session = duel()
    session.step(0)
    seen = []
    for tick in range(2 * OPEN_FIELD.ticks(OPEN_FIELD.moved_event_s)):
        if tick % 10 == 0:
            session.command("ann", [MoveCommand(throttle=1.0)])
        seen += [event for event in session.step(0).events if event.name == "tank_moved"]
    assert sum(event.player == "ann" for event in seen) == 2
    assert sum(event.player == "bob" for event in seen) <= 1
