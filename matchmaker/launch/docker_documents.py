"""What a server looks like to Docker: the bodies that make its containers, and what a listing of them says. PURE.

A match of the arena is one container. A game's image makes two, which share a network and nothing else: gamepod beside
it as the sidecar holds the network, its ports and every secret; the game has what it registered. The body of each is
that of `POST /containers/create` (Engine API v1.44), so that a test can compare it whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import msgspec

from core import trace
from core.gameenv import fill, of_match, told
from core.model import GivenPort, Match
from core.signing import Keyring
from matchmaker.docker_settings import DockerSettings
from matchmaker.launch.base import EXIT_TURNED_AWAY, Seen
from matchmaker.launch.environment import join_keys
from matchmaker.launch.host_ports import Kind, kind_of

Role: TypeAlias = Literal["arena", "sidecar", "game"]
Document: TypeAlias = dict[str, Any]

INSTALLATION: Final = "muster.dev/installation"
MATCH: Final = "muster.dev/match"
GAME: Final = "muster.dev/game"
ROLE: Final = "muster.dev/role"
TRACE: Final = "muster.dev/trace"

MIB: Final = 1024 * 1024
CPU_PERIOD_US: Final = 100_000  # the kernel's default
SDK_PORT: Final = 9358  # Agones' sidecar ports: what its client libraries are fixed to
SDK_GRPC_PORT: Final = 9357
METRICS_PORT: Final = 8001
LIVE: Final = ("running", "paused", "restarting")
OVER: Final = ("exited", "dead", "removing")
_EXITED: Final = re.compile(r"Exited \((\d+)\)")


@dataclass(frozen=True, slots=True)
class Installation:
    """What all servers of an installation have in common."""

    name: str
    settings: DockerSettings
    secret: str
    redis_url: str
    tuning: Mapping[str, str]  # of gamepod
    keyring: Keyring | None = None  # of the secret, where none is given


@dataclass(frozen=True, slots=True)
class Container:
    """A container of ours as a listing shows it."""

    id: str
    match: str
    game: str
    role: Role
    state: str  # Docker's: created, running, exited, ...
    since_ms: int
    exit_code: int | None
    ports: tuple[tuple[Kind, int], ...]  # of the host


# The containers of one match by role; the one that holds the network comes first.
Group: TypeAlias = dict[Role, Container]


# Run in the sidecar: returns once the SDK listens.
UP: Final = ("python3", "-m", "gamepod.up", str(SDK_PORT))


def container_name(match: str, role: Role) -> str:
    """The one name that the container of a match can have: a second create is a conflict."""
    return f"{match}-game" if role == "game" else match


def container_names(match: str) -> list[str]:
    """All names that containers of a match can have."""
    return [container_name(match, "arena"), container_name(match, "game")]


def documents(where: Installation, match: Match, ports: Sequence[GivenPort], user: str) -> dict[Role, Document]:
    """The bodies of the match's containers by role, the one that holds the network first. `user` is the image's.

    Raises Invalid where the arguments name a port that there is not.
    """
    if match.server.image is None:
        return {"arena": _gamepod(where, match, ports, "arena")}
    return {"sidecar": _gamepod(where, match, ports, "sidecar"), "game": _game(where, match, ports, user)}


def _gamepod(where: Installation, match: Match, ports: Sequence[GivenPort], role: Role) -> Document:
    settings, asked = where.settings, match.server.resources
    env = {
        **where.tuning,
        "MUSTER_LOG_LEVEL": settings.log_level,
        "MUSTER_GAME": match.game,
        "MUSTER_MATCH": match.id,
        "MUSTER_TRACE": trace.of(match.id, match.trace),
        **join_keys(where.keyring or Keyring([where.secret]), match),
        "REDIS_URL": settings.redis_url or where.redis_url,
        "MUSTER_ADDRESS": settings.address,
        "MUSTER_BIND": "0.0.0.0",  # noqa: S104 - of the container; what the host opens is its own setting
        "MUSTER_METRICS_BIND": "0.0.0.0",  # noqa: S104
        "MUSTER_SERVER": f"{where.name}/{match.id}",
        "MUSTER_PORTS": msgspec.json.encode(ports).decode(),
        "MUSTER_RUN_DIR": "/tmp",  # noqa: S108 - a file system of the container's own
        "MUSTER_SDK_PORT": str(SDK_PORT),
        "MUSTER_SDK_GRPC_PORT": str(SDK_GRPC_PORT),
        "MUSTER_METRICS_PORT": str(METRICS_PORT),
    }
    cpu, memory = asked.cpu or settings.cpu, asked.memory_mib or settings.memory_mib
    if role == "sidecar":
        env["MUSTER_SIDECAR"] = "true"
        cpu, memory = settings.sidecar_cpu, settings.sidecar_memory_mib
    document = _body(where, match, role, settings.gamepod_image, env, cpu, memory)
    document["ExposedPorts"] = {_inside(port): {} for port in ports}
    document["HostConfig"]["PortBindings"] = {
        _inside(port): [{"HostIp": settings.bind, "HostPort": str(port.port)}] for port in ports
    }
    document["HostConfig"]["NetworkMode"] = settings.network
    return document


def _game(where: Installation, match: Match, ports: Sequence[GivenPort], user: str) -> Document:
    server, settings = match.server, where.settings
    numbers = {port.name: port.listen for port in ports}
    label = f"{where.name}/{match.id}"
    mine = told(numbers, sdk_ports=(SDK_PORT, SDK_GRPC_PORT), match=match.id, server=label)
    env = {**server.env, **of_match(match), **mine}
    cpu, memory = server.resources.cpu or settings.cpu, server.resources.memory_mib or settings.memory_mib
    document = _body(where, match, "game", server.image or "", env, cpu, memory)
    document["User"] = _user(user, settings.run_as)
    # Whether it is ready and well is told to the sidecar; a check of the image's own would only cost a process.
    document["Healthcheck"] = {"Test": ["NONE"]}
    if server.args:
        document["Cmd"] = fill(server.args, numbers, "/server/args")
    host = document["HostConfig"]
    host["NetworkMode"] = f"container:{container_name(match.id, 'sidecar')}"
    host["Init"] = settings.init
    host["ReadonlyRootfs"] = not server.writable_root
    return document


def _body(
    where: Installation, match: Match, role: Role, image: str, env: Mapping[str, str], cpu: float, memory_mib: int
) -> Document:
    settings, traced = where.settings, trace.of(match.id, match.trace)
    most = max(1.0, cpu * settings.cpu_burst)
    host: Document = {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": f"rw,nosuid,nodev,size={settings.tmp_mib}m,mode=1777"},  # noqa: S108
        "CpuShares": max(2, round(cpu * 1024)),
        "CpuPeriod": CPU_PERIOD_US,
        "CpuQuota": round(most * CPU_PERIOD_US),
        "Memory": memory_mib * MIB,
        "MemorySwap": memory_mib * MIB,  # in all: no swap, which would only make a game slow
        "PidsLimit": settings.pids,
        "IpcMode": "private",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": str(settings.log_bytes // 2), "max-file": "2"}},
        "RestartPolicy": {"Name": "no"},
    }
    if settings.runtime:
        host["Runtime"] = settings.runtime
    return {
        "Image": image,
        "Env": [f"{name}={value}" for name, value in sorted(env.items())],
        "Labels": {INSTALLATION: where.name, MATCH: match.id, GAME: match.game, ROLE: role, TRACE: traced},
        "HostConfig": host,
    }


def _inside(port: GivenPort) -> str:
    return f"{port.listen}/{kind_of(port).lower()}"


def _user(image_user: str, run_as: int) -> str:
    """The image's own user where that is a number and not root's: of a name nobody can tell."""
    uid = image_user.partition(":")[0]
    return image_user if uid.isdecimal() and int(uid) else f"{run_as}:{run_as}"


def read_container(item: Mapping[str, Any]) -> Container:
    """A container from an item of `GET /containers/json`."""
    labels = item["Labels"]
    exited = _EXITED.match(item["Status"])
    ports = {(port["Type"].upper(), port["PublicPort"]) for port in item.get("Ports") or () if "PublicPort" in port}
    return Container(
        item["Id"],
        labels.get(MATCH, ""),
        labels.get(GAME, ""),
        labels.get(ROLE, "arena"),
        item["State"],
        item["Created"] * 1000,
        exit_code(int(exited[1])) if exited else None,
        tuple(sorted(ports)),
    )


def exit_code(status: int) -> int:
    """An exit code as `Seen` has it: minus a signal's number where that ended the program."""
    return 128 - status if 128 < status <= 128 + 64 else status


def by_match(containers: Iterable[Container]) -> dict[str, Group]:
    """The containers of each match by role."""
    groups: dict[str, Group] = {}
    for container in sorted(containers, key=lambda c: c.role == "game"):
        groups.setdefault(container.match, {})[container.role] = container
    return groups


def runs(group: Group, role: Role) -> bool:
    """Whether the match has a container of that role, and it runs."""
    return role in group and group[role].state in LIVE


def seen_of(group: Group) -> Seen | None:
    """What a match's containers are as one server: it runs as long as all of them do. None where none was started.

    Where the game has ended its exit code tells how, but for a sidecar that found the match to be another's.
    """
    if all(container.state == "created" for container in group.values()):
        return None
    some = next(iter(group.values()))
    over = [container for container in group.values() if container.state in OVER]
    # Somebody removed one of two by hand: what is left is no server.
    torn = some.role == "game" or (some.role == "sidecar" and "game" not in group)
    first = next((c for c in over if c.role == "game"), over[0] if over else None)
    if some.exit_code == EXIT_TURNED_AWAY and some.role == "sidecar":
        first = some
    return Seen(
        some.match,
        some.game,
        0,
        min(container.since_ms for container in group.values()),
        ended=bool(over) or torn,
        exit_code=first.exit_code if first else None,
        tells=first is None or first.role != "game",
        remains=bool(over) or torn,
    )
