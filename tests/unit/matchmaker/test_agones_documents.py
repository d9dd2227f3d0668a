"""What Agones is asked and how its answers are read, as a table."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from core.admission import Admission, check_server
from core.errors import Invalid
from core.gameenv import traceparent
from core.model import AgonesFleet, Connection, GameSpec, Match, MatchPlayer, OpenPort, Port, Server, Timers
from core.registration import check_game
from matchmaker.agones_settings import AgonesSettings
from matchmaker.launch.agones_documents import Allocation, GameServer, allocated, allocation, connection, seen

FLEET = AgonesFleet("duel", "fleets", {"tier": "big"})
MATCH = Match(
    "m-1", "tanks", 1, 0, [MatchPlayer("p-1", "Ada", "red", "t-1")],
    Server(agones=FLEET, ports=[Port("web", "ws")], env={"map": "mars"}), Timers(), 3, 30,
)  # fmt: skip


def a_server(state: str, **metadata: Any) -> GameServer:
    """An allocated game server in a state."""
    labels = {"muster.dev/match": "m-1", "muster.dev/game": "tanks"}
    server = msgspec.convert({"metadata": {"labels": labels}, "status": {"state": state}}, GameServer)
    server.metadata = msgspec.structs.replace(server.metadata, **metadata)
    return server


def test_an_allocation_asks_for_a_server_that_is_for_this_game() -> None:
    """The whole document: fleet, the registration's labels and the game's own; the match in labels and annotations."""
    assert allocation(MATCH, "here", "key") == {
        "apiVersion": "allocation.agones.dev/v1",
        "kind": "GameServerAllocation",
        "spec": {
            "selectors": [
                {
                    "matchLabels": {"tier": "big", "agones.dev/fleet": "duel", "muster.dev/game": "tanks"},
                    "gameServerState": "Ready",
                }
            ],
            "scheduling": "Packed",
            "metadata": {
                "labels": {
                    "muster.dev/installation": "here",
                    "muster.dev/match": "m-1",
                    "muster.dev/game": "tanks",
                },
                "annotations": {
                    "muster.dev/roster": '[{"player":"p-1","name":"Ada","team":"red"}]',
                    "muster.dev/settings": '{"map":"mars"}',
                    "muster.dev/join-key": "key",
                    "muster.dev/traceparent": traceparent(MATCH),
                },
            },
        },
    }


def test_a_selector_cannot_widen_what_may_be_taken() -> None:
    """The game's own label and the fleet's win over whatever the registration says."""
    greedy = AgonesFleet("duel", "", {"muster.dev/game": "chess", "agones.dev/fleet": "chess"})
    match = msgspec.structs.replace(MATCH, server=Server(agones=greedy))
    wanted = allocation(match, "here", "key")["spec"]["selectors"][0]["matchLabels"]
    assert wanted == {"muster.dev/game": "tanks", "agones.dev/fleet": "duel"}


def test_ports_have_the_protocol_of_the_registration() -> None:
    """By name; else what the game server's own document says, else UDP, as in Agones."""
    answer = msgspec.json.decode(
        b'{"status": {"state": "Allocated", "gameServerName": "duel-1", "address": "10.0.0.1", "ports":'
        b' [{"name": "web", "port": 7001}, {"name": "chat", "port": 7002}, {"name": "game", "port": 7003}]}}',
        type=Allocation,
    ).status
    server = allocated(answer, MATCH, "here")
    assert (server.match, server.game, server.metadata.name) == ("m-1", "tanks", "duel-1")
    server.spec = msgspec.convert({"ports": [{"name": "chat", "protocol": "TCP"}]}, type(server.spec))
    ports = [OpenPort("web", "ws", 7001), OpenPort("chat", "tcp", 7002), OpenPort("game", "udp", 7003)]
    assert connection(server, MATCH) == Connection("10.0.0.1", ports)


@pytest.mark.parametrize(
    ("state", "gone", "expected"),
    [
        ("Allocated", False, (False, None, "")),
        ("Ready", False, (False, None, "")),  # a game that says Ready again is asked for nothing: it has its match
        ("Shutdown", False, (True, 0, "")),
        ("Shutdown", True, (True, 0, "")),
        ("Unhealthy", False, (True, 1, "Agones says Unhealthy")),
        ("Error", True, (True, 1, "Agones says Error")),
        ("Allocated", True, (True, None, "its game server was deleted")),
    ],
)
def test_what_a_state_means(state: str, gone: bool, expected: tuple[bool, int | None, str]) -> None:
    """Shutdown is the end of a match, Unhealthy a crash, and one that somebody deleted is lost."""
    found = seen(a_server(state), gone=gone)
    assert (found.ended, found.exit_code, found.detail) == expected
    assert (found.match, found.game, found.tells) == ("m-1", "tanks", False)


def test_one_on_its_way_out_is_over() -> None:
    """A deletion timestamp is the end, whatever the state still says."""
    leaving = a_server("Allocated", deletion_timestamp=datetime.now(UTC))
    assert leaving.over
    assert seen(leaving).stopping


def test_a_registration_names_a_fleet_where_the_operator_lets_it() -> None:
    """One of arena, image, command or agones; names are Kubernetes' names."""
    spec = GameSpec(server=Server(agones=FLEET), players_per_match=2)
    assert check_game("tanks", spec, commands_allowed=False) == spec
    check_server(spec.server, Admission())
    with pytest.raises(Invalid, match="MUSTER_AGONES"):
        check_server(spec.server, Admission(agones=False))
    both = GameSpec(server=Server(agones=FLEET, arena={}), players_per_match=2)
    with pytest.raises(Invalid, match="arena and agones"):
        check_game("tanks", both, commands_allowed=False)
    for wrong in ({"fleet": "Duel!"}, {"fleet": "a", "namespace": "../x"}, {"fleet": "a", "selector": {"a,b": "c"}}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(json.dumps(wrong), type=AgonesFleet)


def test_settings_name_the_namespaces() -> None:
    """In order, blanks left out."""
    assert AgonesSettings(namespaces=" a, b,").named == ["a", "b"]
    assert AgonesSettings().named == []
