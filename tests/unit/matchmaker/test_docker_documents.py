"""The bodies that make containers, whole; and what a listing says of a server."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from core import jointoken, trace
from core.errors import Invalid, Misconfigured
from core.model import GivenPort, Match, Port, Resources, Server, Timers
from core.signing import Keyring
from matchmaker.docker_settings import DockerSettings
from matchmaker.launch.docker_documents import (
    Container,
    Installation,
    Role,
    by_match,
    documents,
    exit_code,
    read_container,
    seen_of,
)

WHERE = Installation("home", DockerSettings(), "s" * 32, "redis://r:6379/0", {"MUSTER_FLUSH_S": "0.1"})
GAME_PORT = GivenPort("game", "udp", 20_005, 7777)
LABELS = {
    "muster.dev/installation": "home",
    "muster.dev/match": "m-1",
    "muster.dev/game": "duel",
    "muster.dev/trace": trace.of("m-1"),
}


def a_match(**server: Any) -> Match:
    """A match that is always the same."""
    return Match("m-1", "duel", 1, 0, [], Server(**server), Timers(), 3, 30)


def host(**changes: Any) -> dict[str, Any]:
    """What every container's HostConfig has."""
    return {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": "rw,nosuid,nodev,size=64m,mode=1777"},
        "CpuShares": 102,
        "CpuPeriod": 100_000,
        "CpuQuota": 100_000,
        "Memory": 128 << 20,
        "MemorySwap": 128 << 20,
        "PidsLimit": 256,
        "IpcMode": "private",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "500000", "max-file": "2"}},
        "RestartPolicy": {"Name": "no"},
        **changes,
    }


PUBLISHED = {
    "PortBindings": {"7777/udp": [{"HostIp": "127.0.0.1", "HostPort": "20005"}]},
    "NetworkMode": "bridge",
}


def gamepod_env(**more: str) -> list[str]:
    """The environment of gamepod in a container."""
    env = {
        "MUSTER_FLUSH_S": "0.1",
        "MUSTER_LOG_LEVEL": "info",
        "MUSTER_GAME": "duel",
        "MUSTER_MATCH": "m-1",
        "MUSTER_TRACE": trace.of("m-1"),
        "MUSTER_JOIN_KEY": jointoken.match_key("s" * 32, "m-1"),
        **({} if more.get("MUSTER_SIDECAR") is None else {"MUSTER_JOIN_JWKS": json.dumps(Keyring(["s" * 32]).jwks())}),
        "REDIS_URL": "redis://r:6379/0",
        "MUSTER_ADDRESS": "127.0.0.1",
        "MUSTER_BIND": "0.0.0.0",
        "MUSTER_METRICS_BIND": "0.0.0.0",
        "MUSTER_SERVER": "home/m-1",
        "MUSTER_PORTS": msgspec.json.encode([GAME_PORT]).decode(),
        "MUSTER_RUN_DIR": "/tmp",
        "MUSTER_SDK_PORT": "9358",
        "MUSTER_SDK_GRPC_PORT": "9357",
        "MUSTER_METRICS_PORT": "8001",
        **more,
    }
    return [f"{name}={value}" for name, value in sorted(env.items())]


def test_the_arena_is_one_container() -> None:
    """The whole body of a match of the arena."""
    assert documents(WHERE, a_match(arena={}), [GAME_PORT], "65532:65532") == {
        "arena": {
            "Image": "muster/gamepod:0.1.0",
            "Env": gamepod_env(),
            "Labels": {**LABELS, "muster.dev/role": "arena"},
            "ExposedPorts": {"7777/udp": {}},
            "HostConfig": host(**PUBLISHED),
        }
    }


def test_an_image_is_two_containers() -> None:
    """The whole bodies of a game's image and its sidecar: the network and the secrets are the sidecar's."""
    server = {"image": "g:1", "args": ["-p", "{port:game}"], "env": {"MODE": "x"}, "writable_root": True}
    wanted = a_match(**server, resources=Resources(cpu=0.5, memory_mib=256))
    assert documents(WHERE, wanted, [GAME_PORT], "") == {
        "sidecar": {
            "Image": "muster/gamepod:0.1.0",
            "Env": gamepod_env(MUSTER_SIDECAR="true"),
            "Labels": {**LABELS, "muster.dev/role": "sidecar"},
            "ExposedPorts": {"7777/udp": {}},
            "HostConfig": host(**PUBLISHED, CpuShares=20, Memory=64 << 20, MemorySwap=64 << 20),
        },
        "game": {
            "Image": "g:1",
            "Env": [
                "AGONES_SDK_GRPC_PORT=9357",
                "AGONES_SDK_HTTP_PORT=9358",
                "MODE=x",
                "MUSTER_MATCH=m-1",
                "MUSTER_PORT_GAME=7777",
                "MUSTER_SERVER=home/m-1",
                "PORT=7777",
            ],
            "Labels": {**LABELS, "muster.dev/role": "game"},
            "User": "65532:65532",
            "Healthcheck": {"Test": ["NONE"]},
            "Cmd": ["-p", "7777"],
            "HostConfig": host(
                NetworkMode="container:m-1",
                Init=True,
                ReadonlyRootfs=False,
                CpuShares=512,
                CpuQuota=200_000,
                Memory=256 << 20,
                MemorySwap=256 << 20,
            ),
        },
    }


@pytest.mark.parametrize(
    ("image_user", "user"),
    [("", "65532:65532"), ("root", "65532:65532"), ("0:0", "65532:65532"), ("game", "65532:65532"), ("7:8", "7:8")],
)
def test_nobody_is_root(image_user: str, user: str) -> None:
    """An image's own user is kept where it is a number that is not root's."""
    assert documents(WHERE, a_match(image="g:1"), [GAME_PORT], image_user)["game"]["User"] == user


def test_a_port_that_there_is_not() -> None:
    """Arguments that name an unknown port are refused with the place."""
    with pytest.raises(Invalid, match="voice") as refused:
        documents(WHERE, a_match(image="g:1", args=["{port:voice}"], ports=[Port()]), [GAME_PORT], "")
    assert refused.value.pointer == "/server/args"


def container(role: Role, state: str = "running", code: int | None = None) -> Container:
    """A container of the match."""
    return Container(f"id-{role}", "m-1", "duel", role, state, 1000, code, ())


@pytest.mark.parametrize(
    ("group", "seen"),
    [
        ([container("arena")], (False, None, True)),
        ([container("arena", "exited", 3)], (True, 3, True)),
        ([container("sidecar"), container("game")], (False, None, True)),
        ([container("sidecar"), container("game", "created")], (False, None, True)),
        ([container("sidecar"), container("game", "exited", 0)], (True, 0, False)),
        ([container("sidecar", "exited", 0), container("game", "exited", -9)], (True, -9, False)),
        ([container("sidecar", "exited", 3), container("game", "exited", -15)], (True, 3, True)),
        ([container("sidecar", "exited", 1), container("game")], (True, 1, True)),
        ([container("sidecar")], (True, None, True)),
        ([container("game")], (True, None, True)),
    ],
)
def test_what_containers_are_as_a_server(group: list[Container], seen: tuple[bool, int | None, bool]) -> None:
    """A server runs while all its containers do; the game's exit code tells, but for a match that is another's."""
    found = seen_of(by_match(reversed(group))["m-1"])
    assert found is not None
    assert (found.ended, found.exit_code, found.tells) == seen
    assert found.remains == found.ended


def test_what_was_never_started_is_not_seen() -> None:
    """Containers that were only made are no server: whoever wants one starts it."""
    assert seen_of(by_match([container("sidecar", "created"), container("game", "created")])["m-1"]) is None


def test_a_listing_is_read() -> None:
    """An item of the daemon's list, and exit codes as they are in `Seen`."""
    item = {
        "Id": "abc",
        "Labels": {**LABELS, "muster.dev/role": "game"},
        "State": "exited",
        "Status": "Exited (137) 2 seconds ago",
        "Created": 5,
        "Ports": [{"Type": "udp", "PrivatePort": 1, "PublicPort": 20_001}, {"Type": "tcp", "PrivatePort": 2}],
    }
    assert read_container(item) == Container("abc", "m-1", "duel", "game", "exited", 5000, -9, (("UDP", 20_001),))
    assert [exit_code(status) for status in (0, 3, 128, 143, 255)] == [0, 3, 128, -15, 255]


@pytest.mark.parametrize(
    ("changes", "variable"),
    [({"port_first": 9, "port_last": 8}, "PORT_FIRST"), ({"run_as": 0}, "RUN_AS"), ({"max_servers": 0}, "MAX_SERVERS")],
)
def test_settings_that_cannot_work(changes: dict[str, Any], variable: str) -> None:
    """A wrong setting is refused by its name."""
    with pytest.raises(Misconfigured, match=variable):
        DockerSettings(**changes)
