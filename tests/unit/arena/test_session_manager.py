"""The session manager: bounded, and every coming and going is told once."""

from __future__ import annotations

import pytest

from core.errors import Conflict, NotFound, TooMany
from gamepod.arena import SessionManager, sessions
from tests.unit.arena.kit import OPEN_FIELD


def test_a_session_lives_and_ends_with_its_events() -> None:
    """Creation, joins, leaves and removal each give one event, and a repeated call gives none."""
    manager = SessionManager()
    manager.create("m", OPEN_FIELD, id_prefix="run", now_ms=1)
    manager.join("m", "ann", "Ann", "red", 2)
    manager.join("m", "ann", "Ann", "red", 3)
    manager.join("m", "bob", "Bob", "", 4)
    assert manager.leave("m", "bob", "left", 5)
    assert not manager.leave("m", "bob", "left", 6)
    assert manager.remove("m", 7)
    assert not manager.remove("m", 8)
    told = [(event.name, event.at_ms, event.player) for event in manager.drain_events()]
    assert told == [
        ("session_created", 1, ""),
        ("player_joined_session", 2, "ann"),
        ("player_joined_session", 4, "bob"),
        ("player_left_session", 5, "bob"),
        ("player_left_session", 7, "ann"),
        ("session_removed", 7, ""),
    ]
    assert manager.drain_events() == []
    assert manager.pool.in_use == 0


def test_sessions_are_bounded_and_unique() -> None:
    """A second session of a match is a conflict; one over the bound is too many; a missing one is not found."""
    manager = SessionManager(max_sessions=1)
    manager.create("m", OPEN_FIELD, id_prefix="run", now_ms=0)
    with pytest.raises(Conflict):
        manager.create("m", OPEN_FIELD, id_prefix="run", now_ms=0)
    with pytest.raises(TooMany):
        manager.create("n", OPEN_FIELD, id_prefix="run", now_ms=0)
    with pytest.raises(NotFound):
        manager.join("n", "ann", "Ann", "", 0)
    assert not manager.leave("n", "ann", "left", 0)


def test_sessions_share_the_pool_and_step_together() -> None:
    """Matches of one process play side by side and draw from one pool, whose end refuses a join."""
    manager = SessionManager(max_tanks=2)
    for match in ("m", "n"):
        manager.create(match, OPEN_FIELD, id_prefix=match, now_ms=0)
        manager.join(match, "ann", "Ann", "", 0)
    assert [output.match for output in manager.step(5)] == ["m", "n"]
    with pytest.raises(TooMany):
        manager.join("m", "bob", "Bob", "", 0)
    assert manager.get("m").present == ("ann",)
    assert (len(manager), manager.matches) == (2, ("m", "n"))


def test_unread_events_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that never drains loses the oldest events, and the loss is counted."""
    monkeypatch.setattr(sessions, "MAX_UNREAD_EVENTS", 3)
    manager = SessionManager()
    for number in range(5):
        manager.create("m", OPEN_FIELD, id_prefix="run", now_ms=number)
        manager.remove("m", number)
    assert manager.events_lost == 7
    assert len(manager.drain_events()) == 3
