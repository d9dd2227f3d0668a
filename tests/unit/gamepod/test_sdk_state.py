"""The server's table, its health rules and its document."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from core.errors import IllegalTransition
from core.lifecycle import ServerState
from core.model import Connection, CounterSpec, ListSpec, OpenPort
from gamepod.sdk.document import game_server
from gamepod.sdk.metadata import Metadata
from gamepod.sdk.server import ServerLife
from gamepod.sdk.state import SERVER, HealthRules, ServerEvent, step_server
from gamepod.sdk.tallies import Tallies


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


@pytest.mark.parametrize("first", [None, ServerEvent.READY_ASKED, ServerEvent.ALLOCATED])
async def test_ready_again_leads_back_to_its_match(first: ServerEvent | None) -> None:
    """Ready in Allocated goes through Agones' states, and the server is its match's still."""
    life = ServerLife(0.0)
    if first is not None:
        life.apply(first)
    life.became_ready()
    before = life.revision
    life.apply(ServerEvent.READY_ASKED)
    assert (life.state, life.revision) == (ServerState.ALLOCATED, before + 3)


async def test_a_server_without_a_match_stays_ready() -> None:
    """In the local mode nobody allocates it but the game itself."""
    life = ServerLife(0.0, match=False)
    life.became_ready()
    assert life.state == ServerState.READY
    life.apply(ServerEvent.ALLOCATED)
    life.apply(ServerEvent.READY_ASKED)
    assert life.state == ServerState.READY


async def test_a_reservation_ends_by_its_timer() -> None:
    """Reserved for a while is Ready after it; whatever the game says meanwhile ends the timer; 0 is for ever."""
    life = ServerLife(0.0)
    life.reserve(1)
    assert (life.state, life.ready_asked.is_set()) == (ServerState.RESERVED, False)
    await life.ready_asked.wait()
    assert life.state == ServerState.REQUEST_READY
    life.became_ready()
    life.reserve(1)
    life.apply(ServerEvent.ALLOCATED)
    life.apply(ServerEvent.RESERVED)
    await asyncio.sleep(1.2)
    assert life.state == ServerState.RESERVED
    life.reserve(2**62)
    life.end(ServerEvent.SHUTDOWN)
    assert life.state == ServerState.SHUTDOWN
    with pytest.raises(IllegalTransition):
        life.reserve(0)


def test_silence_is_judged_from_the_first_sign_of_health_on() -> None:
    """No sign ever: not judged. After one, `failure_threshold` periods of silence are too long."""
    rules = HealthRules(period_s=5, failure_threshold=3, initial_delay_s=5)
    assert not rules.unhealthy(0.0, None, 1e9)
    assert not rules.unhealthy(0.0, 0.0, 4.0)
    assert not rules.unhealthy(0.0, 10.0, 25.0)
    assert rules.unhealthy(0.0, 10.0, 25.1)
    assert not HealthRules(disabled=True).unhealthy(0.0, 10.0, 1e9)


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
        metadata=Metadata({"a": "b"}, {"c": "d"}),
        tallies=Tallies({"rooms": CounterSpec(1, 10)}, {"players": ListSpec(100, ["x"])}, seats=2),
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
            "annotations": {"c": "d"},
            "labels": {"a": "b"},
        },
        "spec": {"health": {"disabled": True, "period_seconds": 5, "failure_threshold": 3, "initial_delay_seconds": 5}},
        "status": {
            "state": "Ready",
            "address": "10.0.0.5",
            "addresses": [{"type": "InternalIP", "address": "10.0.0.5"}],
            "ports": [{"name": "default", "port": 7777}],
            "players": {"count": "0", "capacity": "2", "ids": []},
            "counters": {"rooms": {"count": "1", "capacity": "10"}},
            "lists": {"players": {"capacity": "100", "values": ["x"]}},
        },
    }
