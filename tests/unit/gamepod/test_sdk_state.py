"""The server's table, its health rules and its document."""

from __future__ import annotations

import itertools

import pytest

from core.errors import IllegalTransition
from core.lifecycle import ServerState
from core.model import Connection, OpenPort
from gamepod.sdk.document import game_server
from gamepod.sdk.server import ServerLife
from gamepod.sdk.state import SERVER, HealthRules, ServerEvent, step_server


@pytest.mark.parametrize(("state", "event"), list(itertools.product(ServerState, ServerEvent)))
def test_a_server_does_what_its_table_says_and_nothing_else(state: ServerState, event: ServerEvent) -> None:
    """A listed event leads to the listed state; any other raises, and the server is as it was."""
    life = ServerLife(0.0)
    life.state = state
    if (state, event) in SERVER:
        assert step_server(state, event) == SERVER[state, event]
        life.apply(event)
        assert life.state == SERVER[state, event]
    else:
        with pytest.raises(IllegalTransition):
            life.apply(event)
        assert (life.state, life.revision) == (state, 1)


def test_the_usual_life_ends_allocated_then_shut_down() -> None:
    """A game that says Ready is allocated when its players know; each change is a new revision."""
    life = ServerLife(0.0)
    life.apply(ServerEvent.READY_ASKED)
    assert life.ready_asked.is_set()
    life.became_ready()
    assert (life.state, life.revision) == (ServerState.ALLOCATED, 4)
    life.end(ServerEvent.SHUTDOWN)
    life.end(ServerEvent.FAILED)
    assert life.state == ServerState.SHUTDOWN


def test_a_game_that_was_not_asked_becomes_ready_all_the_same() -> None:
    """Where an open port or a delay means ready, the life goes the same way."""
    life = ServerLife(0.0)
    life.became_ready()
    assert life.state == ServerState.ALLOCATED
    life.became_ready()
    assert life.state == ServerState.ALLOCATED


def test_silence_is_judged_from_the_first_sign_of_health_on() -> None:
    """No sign ever: not judged. After one, `failure_threshold` periods of silence are too long."""
    rules = HealthRules(period_s=5, failure_threshold=3, initial_delay_s=5)
    assert not rules.unhealthy(0.0, None, 1e9)
    assert not rules.unhealthy(0.0, 0.0, 4.0)
    assert not rules.unhealthy(0.0, 10.0, 25.0)
    assert rules.unhealthy(0.0, 10.0, 25.1)


def test_the_document_has_the_shape_of_agones() -> None:
    """Names, nesting, number formats and unset fields are exactly those of the upstream REST gateway."""
    connection = Connection("10.0.0.5", [OpenPort("default", "tcp", 7777)])
    document = game_server(
        name="m-1",
        namespace="tanks",
        uid="inst/m-1",
        created_s=1_700_000_000,
        state=ServerState.READY,
        connection=connection,
        labels={"a": "b"},
        health=HealthRules(),
        health_watched=False,
        revision=3,
    )
    assert document == {
        "object_meta": {
            "name": "m-1",
            "namespace": "tanks",
            "uid": "inst/m-1",
            "resource_version": "3",
            "generation": "3",
            "creation_timestamp": "1700000000",
            "deletion_timestamp": "0",
            "annotations": {},
            "labels": {"a": "b"},
        },
        "spec": {"health": {"disabled": True, "period_seconds": 5, "failure_threshold": 3, "initial_delay_seconds": 5}},
        "status": {
            "state": "Ready",
            "address": "10.0.0.5",
            "addresses": [{"type": "InternalIP", "address": "10.0.0.5"}],
            "ports": [{"name": "default", "port": 7777}],
            "players": None,
            "counters": {},
            "lists": {},
        },
    }
