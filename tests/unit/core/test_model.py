"""Registrations: what a type cannot say is refused with a pointer to the place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.errors import Invalid
from core.model import GameSpec, Match, MatchPlayer, Server, Team, Timers, teams_of
from core.registration import check_game


def read(**fields: Any) -> GameSpec:
    return msgspec.convert({"server": {"arena": {}}, "players_per_match": 2} | fields, GameSpec)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"players_per_match": None, "teams": [{"name": "red", "min_players": 1, "max_players": 3}]},
        {"server": {"image": "example/game:1", "ports": [{"name": "game", "protocol": "udp", "port": 7777}]}},
        {"server": {"command": ["serve"], "ports": [{}], "ready": {"when": "port"}}},
        {
            "server": {
                "image": "x",
                "ports": [{}],
                "ready": {"when": "http", "path": "/up?x=1"},
                "counted_by": "connections",
            }
        },
        {"server": {"image": "x", "ports": [{"protocol": "udp"}], "ready": {"when": "log", "line": "listening on *"}}},
        {"server": {"image": "x", "ready": {"when": "delay", "delay_s": 59}}},
        {"server": {"image": "x", "counters": {"rooms": {"count": 10, "capacity": 10}}, "lists": {"maps": {}}}},
        {"server": {"image": "x", "health": {"period_s": 1, "failure_threshold": 10, "disabled": True}}},
        {"supply": {"early": {}}},
        {"supply": {"warm": {"share": 0.1, "cover": 0.99}, "early": {"idle_s": 2}, "idle_most": 5}},
        {"supply": {"warm": {"schedule": [{"from": "22:00", "to": "02:00", "servers": 4, "days": ["sat"]}]}}},
    ],
)
def test_good_games(fields: dict[str, Any]) -> None:
    """These registrations are fine."""
    check_game("tanks", read(**fields), commands_allowed=True)


@pytest.mark.parametrize(
    ("game", "fields", "pointer"),
    [
        ("Tanks", {}, "/id"),
        ("tanks", {"supply": {"warm": {}}}, "/supply/warm"),
        (
            "tanks",
            {"supply": {"early": {}}, "server": {"image": "x", "ready": {"when": "log", "line": "up"}}},
            "/supply",
        ),
        ("tanks", {"supply": {"early": {}}, "server": {"agones": {"fleet": "f"}}}, "/supply"),
        (
            "tanks",
            {"server": {"agones": {"fleet": "f"}, "ready": {"when": "log", "line": "up"}}},
            "/server/ready/when",
        ),
        ("tanks", {"supply": {"warm": {"servers": 11}}}, "/supply/warm/servers"),
        ("tanks", {"supply": {"warm": {"servers": 3}}, "limits": {"servers": 2}}, "/supply/warm/servers"),
        (
            "tanks",
            {"supply": {"warm": {"schedule": [{"from": "18:00", "to": "20:00", "servers": 11}]}}},
            "/supply/warm/schedule/0/servers",
        ),
        (
            "tanks",
            {"supply": {"warm": {"schedule": [{"from": "18:00", "to": "18:00", "servers": 1}]}}},
            "/supply/warm/schedule/0/to",
        ),
        ("tanks", {"server": {}}, "/server"),
        ("tanks", {"server": {"arena": {}, "image": "x"}}, "/server"),
        ("tanks", {"server": {"command": ["serve"]}}, "/server/command"),
        (
            "tanks",
            {"server": {"image": "x", "counters": {"a": {"count": 2, "capacity": 1}}}},
            "/server/counters/a/count",
        ),
        ("tanks", {"server": {"image": "x", "lists": {"a": {"values": ["x", "x"]}}}}, "/server/lists/a/values"),
        (
            "tanks",
            {"server": {"image": "x", "lists": {"a": {"capacity": 0, "values": ["x"]}}}},
            "/server/lists/a/values",
        ),
        ("tanks", {"server": {"arena": {"name": "x" * 20_000}}}, "/server/arena"),
        ("tanks", {"server": {"image": "x", "ports": [{"name": "a"}, {"name": "a"}]}}, "/server/ports"),
        ("tanks", {"server": {"image": "x", "ready": {"when": "port"}}}, "/server/ready/when"),
        (
            "tanks",
            {"server": {"image": "x", "ports": [{"protocol": "udp"}], "ready": {"when": "port"}}},
            "/server/ready/when",
        ),
        *(
            ("tanks", {"server": {"image": "x", "ports": ports, "ready": ready}}, f"/server/ready/{field}")
            for ports, ready, field in (
                ([{"protocol": "udp"}], {"when": "http"}, "when"),
                ([{}], {"when": "http", "port": "web"}, "port"),
                ([{"name": "a"}, {"name": "b", "protocol": "udp"}], {"when": "port", "port": "b"}, "port"),
                ([{}], {"when": "http", "path": "up"}, "path"),
                ([{}], {"when": "http", "path": "/a\r\nHost: b"}, "path"),
                ([{}], {"when": "log"}, "line"),
                ([{}], {"when": "log", "line": " ** "}, "line"),
                ([{}], {"when": "log", "line": "up\n"}, "line"),
                ([{}], {"when": "port", "line": "up"}, "line"),
                ([{}], {"when": "log", "line": "up", "path": "/up"}, "path"),
                ([{}], {"when": "delay", "delay_s": 60}, "delay_s"),
            )
        ),
        ("tanks", {"server": {"arena": {}, "ready": {"when": "log", "line": "up"}}}, "/server/ready/when"),
        ("tanks", {"server": {"image": "x", "counted_by": "connections"}}, "/server/counted_by"),
        ("tanks", {"server": {"arena": {"time_limit": 60}}}, "/server/arena/time_limit"),
        ("tanks", {"server": {"arena": {"width_m": -1}}}, "/server/arena/width_m"),
        ("tanks", {"server": {"image": "x", "args": ["-p", "{port:gme}"]}}, "/server/args/1"),
        ("tanks", {"players_per_match": None}, "/players_per_match"),
        ("tanks", {"teams": [{"name": "red", "min_players": 3, "max_players": 1}]}, "/teams/0/min_players"),
        ("tanks", {"teams": [{"name": "red", "min_players": 1, "max_players": 1}] * 2}, "/teams"),
        (
            "tanks",
            {"teams": [{"name": n, "min_players": 1, "max_players": 150} for n in ("red", "blue")]},
            "/teams",
        ),
        ("tanks", {"teams": [{"name": "red", "min_players": 1, "max_players": 3}]}, "/players_per_match"),
    ],
)
def test_bad_games(game: str, fields: dict[str, Any], pointer: str) -> None:
    """The first thing that cannot work is named by a JSON pointer."""
    with pytest.raises(Invalid) as caught:
        check_game(game, read(**fields), commands_allowed=False)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    "fields",
    [
        {"playerspermatch": 2},
        {"players_per_match": 0},
        {"players_per_match": 201},
        {"timers": {"start_s": 0}},
        {"limits": {"servers": 10_001}},
        {"move_ttl_s": 9},
        {"server": {"arena": {}, "ports": [{"protocol": "sctp"}]}},
        {"teams": [{"name": "", "min_players": 1, "max_players": 1}]},
    ],
)
def test_types_refuse(fields: dict[str, Any]) -> None:
    """A typing mistake or a value out of bounds is refused by the type itself."""
    with pytest.raises(msgspec.ValidationError):
        read(**fields)


def test_teams_of() -> None:
    """A game without teams has one of all its players."""
    assert teams_of(read()) == [Team("players", 2, 2)]
    red = Team("red", 1, 3)
    assert teams_of(GameSpec(server=Server(arena={}), teams=[red])) == [red]


def test_tickets_of_a_match() -> None:
    """A match names each ticket once, in the order of its seats."""
    seats = [MatchPlayer(f"p{i}", "", "players", ticket) for i, ticket in enumerate(("t2", "t1", "t2"))]
    match = Match("m", "tanks", 1, 0, seats, Server(arena={}), Timers(), 3, 30)
    assert match.tickets == ["t2", "t1"]


def test_documents_survive_the_way_to_redis() -> None:
    """A registration is the same after encoding and decoding."""
    spec = read(server={"command": ["serve"], "ports": [{"name": "game"}]}, timers={"start_s": 5})
    assert msgspec.json.decode(msgspec.json.encode(spec), type=GameSpec) == spec
