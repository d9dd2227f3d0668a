"""A command's words, environment and ports; its output."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import msgspec
import pytest

from core.errors import Invalid
from core.gameenv import ROSTER_BYTES, fill, of_match, traceparent
from core.model import Match, MatchPlayer, Port, Server, Timers, ports_of
from gamepod.childlog import FILE_BYTES, LINE_CHARS, LINES, ChildLog
from gamepod.command import child_env
from gamepod.ports import PortTaken, choose_ports, listens

PORTS = {"game": 7000, "voice-chat": 7001}
COMMAND = "/server/command"


def test_ports_are_filled_into_the_command_line() -> None:
    """`{port}` is the first port and `{port:name}` a named one; other braces stay as they are."""
    words = ["game", "--port={port}", "{port:voice-chat}", "{x}", "{port}{port}"]
    assert fill(words, PORTS, COMMAND) == ["game", "--port=7000", "7001", "{x}", "70007000"]


def test_an_unknown_port_name_is_refused_by_name() -> None:
    """A typing mistake in a port's name is told with the names there are."""
    with pytest.raises(Invalid, match=r"\{port:gme\}.*game, voice-chat"):
        fill(["{port:gme}"], PORTS, COMMAND)


def test_a_child_gets_its_own_environment_and_no_secret() -> None:
    """What the game registered and what Muster tells it are there; our own variables are not."""
    own = {"PATH": "/bin", "REDIS_URL": "redis://secret", "MUSTER_JOIN_KEY": "k", "MUSTER_SECRET": "s"}
    given = {"MODE": "fast", "PORT": "1"}
    match = Match(
        "m-1", "duel", 7, 0, [MatchPlayer("p-1", "Ann", "red", "t-1")], Server(), Timers(), 3, 30, region="eu"
    )
    found = child_env(own, given, PORTS, sdk_ports=(9358, 9357), match=match, server="i/m-1")
    settings = json.loads(found.pop("MUSTER_SETTINGS"))
    assert (settings["region"], settings["timers"]["reconnect_s"]) == ("eu", 30)
    assert found.pop("TRACEPARENT") == traceparent(match)
    assert found == {
        "MUSTER_GAME": "duel",
        "MUSTER_GAME_VERSION": "7",
        "MUSTER_ROSTER": '[{"id":"p-1","team":"red"}]',
        "PATH": "/bin",
        "MODE": "fast",
        "PORT": "7000",
        "MUSTER_PORT_GAME": "7000",
        "MUSTER_PORT_VOICE_CHAT": "7001",
        "AGONES_SDK_HTTP_PORT": "9358",
        "AGONES_SDK_GRPC_PORT": "9357",
        "MUSTER_MATCH": "m-1",
        "MUSTER_SERVER": "i/m-1",
    }


def test_a_roster_that_no_environment_takes_is_left_out() -> None:
    """It is the sidecar's to tell; and a server that starts before its match is told nothing of one."""
    many = [MatchPlayer(f"p-{i}", "", "team " * 12, "t-1") for i in range(200)]
    match = Match("m-1", "duel", 7, 0, many, Server(), Timers(), 3, 30)
    assert len(of_match(match)["MUSTER_ROSTER"]) < ROSTER_BYTES
    more = [msgspec.structs.replace(seat, id="p" * 400) for seat in many]
    assert "MUSTER_ROSTER" not in of_match(msgspec.structs.replace(match, players=more))
    assert of_match(msgspec.structs.replace(match, players=[])) == {}


def test_a_game_without_ports_gets_one() -> None:
    """A registration that names no port has a TCP port of Muster's choice."""
    assert ports_of(Server(command=["game"])) == [Port("game", "tcp", 0)]


def test_free_ports_are_chosen_and_differ() -> None:
    """Ports of 0 become free ones, each another."""
    chosen = choose_ports([Port(f"p{i}", "udp" if i % 2 else "tcp") for i in range(8)], "127.0.0.1")
    assert all(port.port > 0 for port in chosen)
    assert len({port.port for port in chosen if port.protocol == "tcp"}) == 4


async def test_a_taken_port_is_named_and_seen_to_listen() -> None:
    """A port that the game fixes and somebody else has is refused by its number."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert await listens(port)
        with pytest.raises(PortTaken, match=str(port)):
            choose_ports([Port("game", "tcp", port)], "127.0.0.1")
    assert not await listens(port)


def test_output_is_kept_bounded_with_its_last_lines(tmp_path: Path) -> None:
    """Two files of FILE_BYTES at most hold the newest output, and the last lines are at hand, shortened."""
    log = ChildLog(tmp_path / "game.log")
    for i in range(3000):
        log.feed(f"line {i} {'x' * 1000}\n".encode())
    log.feed(b"the end, \xff without a newline")
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2 * FILE_BYTES
    assert log.last_lines()[-1] == "the end, � without a newline"
    assert len(log.last_lines()) == LINES
    assert all(len(line) <= LINE_CHARS for line in log.last_lines())
    assert (tmp_path / "game.log").read_bytes().endswith(b"newline")
    log.close()


def test_output_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    """A full disk loses output, counts it, and keeps the last lines all the same."""
    (tmp_path / "full.log").symlink_to("/dev/full")
    log = ChildLog(tmp_path / "full.log")
    log.feed(b"hello\n")
    assert log.lost == 6
    assert log.last_lines() == ["hello"]
    log.close()
