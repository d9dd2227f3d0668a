"""What a server process is given, whole."""

from __future__ import annotations

import sys

import pytest

from core import jointoken, trace
from core.errors import Misconfigured
from core.model import Match, MatchPlayer, Server, Timers
from core.settings import from_env
from matchmaker.launch.environment import installation_name, server_command, server_environment
from matchmaker.settings import ProcessSettings, Settings

SECRET = "s" * 32
MATCH = Match(
    id="m-1",
    game="duel",
    game_version=1,
    created_ms=5,
    players=[MatchPlayer("p-1", "Ann", "players", "t-1")],
    server=Server(arena={}),
    timers=Timers(),
    tries=3,
    move_ttl_s=30,
)


def test_environment() -> None:
    """A server gets what the contract lists, the harmless part of ours, and no secret."""
    base = {"PATH": "/bin", "MUSTER_SECRET": SECRET, "MUSTER_FLUSH_S": "0.1", "AWS_SECRET_ACCESS_KEY": "x"}
    settings = ProcessSettings(address="198.51.100.7", bind="0.0.0.0")
    env = server_environment(
        MATCH,
        settings,
        base,
        installation="here",
        run_dir="run",
        secret=SECRET,
        redis_url="redis://r",
    )
    assert env == {
        "PATH": "/bin",
        "MUSTER_FLUSH_S": "0.1",
        "MUSTER_GAME": "duel",
        "MUSTER_MATCH": "m-1",
        "MUSTER_TRACE": trace.of("m-1"),
        "MUSTER_JOIN_KEY": jointoken.match_key(SECRET, "m-1"),
        "REDIS_URL": "redis://r",
        "MUSTER_ADDRESS": "198.51.100.7",
        "MUSTER_BIND": "0.0.0.0",
        "MUSTER_SERVER": "here/m-1",
        "MUSTER_RUN_DIR": "run",
        "MUSTER_SDK_PORT": "0",
        "MUSTER_SDK_GRPC_PORT": "0",
        "MUSTER_METRICS_PORT": "0",
        "MALLOC_TRIM_THRESHOLD_": "131072",
    }


def test_command() -> None:
    """The default is this Python's gamepod; another is split as a shell would."""
    assert server_command(ProcessSettings()) == [sys.executable, "-m", "gamepod"]
    assert server_command(ProcessSettings(server_command="serve 'two words'")) == ["serve", "two words"]
    with pytest.raises(Misconfigured, match="MUSTER_SERVER_COMMAND"):
        server_command(ProcessSettings(server_command="serve 'open"))


def test_installation_name() -> None:
    """Two installations on one host have different names unless they share secret and Redis; a given name wins."""
    names = {
        installation_name("", secret, url) for secret in ("a" * 32, "b" * 32) for url in ("redis://one", "redis://two")
    }
    assert len(names) == 4
    assert installation_name("", SECRET, "u") == installation_name("", SECRET, "u")
    assert installation_name("mine", SECRET, "u") == "mine"


@pytest.mark.parametrize(
    ("cls", "variable", "value"),
    [
        (Settings, "MUSTER_LAUNCHER", "teleport"),
        (Settings, "MUSTER_LEASE_S", "0"),
        (Settings, "MUSTER_POOL_TICKETS", "many"),
        (ProcessSettings, "MUSTER_MAX_SERVERS", "0"),
        (ProcessSettings, "MUSTER_STARTS", "0"),
        (ProcessSettings, "MUSTER_SERVER_LOG_BYTES", "1"),
    ],
)
def test_a_bad_setting_is_named(cls: type, variable: str, value: str) -> None:
    """A value that cannot work is refused at the start, with the name of its variable."""
    with pytest.raises(Misconfigured, match=variable):
        from_env(cls, {variable: value})
