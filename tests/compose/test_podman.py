"""compose.yaml run by a real Podman: by Docker Compose over Podman's socket, and by podman-compose.

Podman looks after containers' health with systemd's timers, which are not here: the tests ask for each check.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests.cluster import packages
from tests.cluster.api import until
from tests.compose.play import (
    ASKED,
    CARRIED,
    JOBS,
    LONG_S,
    OWN_PROFILES,
    REACHED,
    SHORT_S,
    admin,
    asked,
    duel,
    placed,
    servers,
)
from tests.compose.stack import ROOT, UP_S, Compose, podman_compose
from tests.compose.stand_ins import load_stand_ins, override
from tests.docker.rig import TAG
from tests.dockerd import Docker
from tests.duel import join
from tests.podman import PACKAGES, Podman, podman_service

LONG_RUNNING = {"docker-launcher", "edge", "matchmaker", "redis", "webapi"}
PROJECT = {"label": "com.docker.compose.project=muster"}
HEALTHY_S, BROKERS_S, GONE_S = 180.0, 300.0, 180.0


@dataclass
class Stack:
    """The project on Podman, and the files and variables that every tool is given."""

    podman: Podman
    client: docker.DockerClient
    env_file: Path
    over: Path
    variables: Mapping[str, str]

    def docker_compose(self, *arguments: str) -> None:
        """Run a command of Docker Compose on Podman's socket."""
        Compose(self.env_file, {**self.variables, "DOCKER_HOST": self.podman.url}, (self.over,))(*arguments)

    def podman_compose(self, *arguments: str) -> None:
        """Run a command of podman-compose beside this Podman."""
        files = ["--file", str(ROOT / "compose.yaml"), "--file", str(self.over), "--env-file", str(self.env_file)]
        env = {**self.variables, "PYTHONPATH": str(podman_compose())}
        command = self.podman.command(sys.executable, "-m", "podman_compose", *files, *arguments, env=env)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=UP_S, check=False)
        assert done.returncode == 0, done.stderr[-6000:]

    def containers(self) -> dict[str, Container]:
        """Containers of the project, by service."""
        found = self.client.containers.list(all=True, filters=PROJECT, ignore_removed=True)
        return {container.labels["com.docker.compose.service"]: container for container in found}

    def healthy(self, services: set[str]) -> bool:
        """Whether each service's own check says that it is well."""
        names = {service: container.name or "" for service, container in self.containers().items()}
        checks = {name: self.run("healthcheck", "run", names[name]) for name in sorted(services)}
        return not [done for done in checks.values() if done.returncode]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of podman to its end, whatever that is."""
        return subprocess.run(self.podman.command("podman", *command), capture_output=True, text=True, check=False)

    def left(self) -> list[str]:
        """Containers, networks and volumes that there are, but for the network that Podman always has."""
        networks = [network.name for network in self.client.networks.list() if network.name not in ("bridge", "podman")]
        names = [container.name for container in self.client.containers.list(all=True, ignore_removed=True)]
        return [*names, *networks, *(volume.name for volume in self.client.volumes.list())]


@pytest.fixture(scope="module")
def stack(
    compose: Compose,
    dockerd: Docker,
    images: dict[str, docker.models.images.Image],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """Podman with the images that were built on the Docker daemon, and stand-ins; nothing is started."""
    if reason := packages.unavailable(PACKAGES):
        pytest.skip(f"no Podman here: {reason}")
    folder = tmp_path_factory.mktemp("podman")
    built = "&".join(f"names=muster/{name}:{TAG}" for name in ("service", "gamepod"))
    with podman_service() as podman:
        client = docker.DockerClient(podman.url, timeout=UP_S)
        with closing(client):
            list(client.api.load_image(dockerd.request("GET", f"/images/get?{built}")))
            load_stand_ins(client, {name: s["image"] for name, s in compose.config("full")["services"].items()}, folder)
            over = folder / "override.yaml"
            over.write_text(override())
            variables = {
                "DOCKER_SOCKET": str(podman.socket),
                "MUSTER_TAG": TAG,
                # Its network is its own. Podman takes 0.0.0.0 for an address that nobody has.
                **dict.fromkeys(("MUSTER_PUBLISH", "MUSTER_WATCH", "MUSTER_BIND", "MUSTER_ADDRESS"), podman.address),
            }
            yield Stack(podman, client, compose.env_file, over, variables)


async def lived(stack: Stack) -> None:
    """Each check is well; two players play a match through the edge, which leaves nothing; another match goes on."""
    assert set(stack.containers()) == LONG_RUNNING | {"gamepod"}
    await asyncio.to_thread(until, lambda: stack.healthy(LONG_RUNNING), "all are healthy", within_s=HEALTHY_S)
    url = f"http://{stack.podman.address}:22548"
    rest = await asyncio.to_thread(admin, stack.env_file, url)
    await asyncio.to_thread(duel, rest, "tanks", SHORT_S)
    tickets = await asyncio.to_thread(placed, url, "tanks")
    assert tickets[0]["connection"]["address"] == stack.podman.address
    ways = zip(("udp", "tcp"), tickets, strict=True)
    results = await asyncio.gather(*(join(kind, ticket["connection"], ticket["join_token"]) for kind, ticket in ways))
    assert results[0] == results[1]
    await asyncio.to_thread(until, lambda: not servers(stack.client), "no server is left", within_s=GONE_S)
    await asyncio.to_thread(duel, rest, "long", LONG_S)
    await asyncio.to_thread(placed, url, "long")
    assert len(servers(stack.client)) == 1


def narrow(stack: Stack) -> None:
    """Game servers reach Redis in their network and nothing in others; the way to Podman passes on a few requests."""
    ports = {"redis": 6379, "docker-launcher": 2375, "edge": 8080, "webapi": 22548}
    places = {
        f"{name} {network}": (found["IPAddress"], ports[name])
        for name, container in stack.containers().items()
        if name in ports
        for network, found in container.attrs["NetworkSettings"]["Networks"].items()
    }
    source = ["python3", "-c", f"PLACES = {places!r}\n{REACHED}"]
    said = stack.client.containers.run(f"muster/gamepod:{TAG}", entrypoint=source, network="muster-games", remove=True)
    reached: dict[str, Any] = json.loads(said)
    assert {name for name, is_reached in reached.items() if is_reached} == {"redis muster-games", "webapi muster-games"}
    assert len(reached) == 7
    requests = [("GET", "/v1.41/info"), ("GET", "/v1.41/volumes"), ("POST", "/v1.41/build"), ("GET", "/libpod/info")]
    program = ["python3", "-c", f"REQUESTS = {requests!r}\n{ASKED}"]
    done = stack.run("exec", stack.containers()["matchmaker"].name or "", *program)
    assert json.loads(done.stdout) == [200, 403, 403, 403]


async def test_docker_compose_on_podman_s_socket(stack: Stack) -> None:
    """Up, a match, and down while another is played: nothing is left."""
    await asyncio.to_thread(stack.docker_compose, "up", "--detach")
    await lived(stack)
    await asyncio.to_thread(narrow, stack)
    await asyncio.to_thread(stack.docker_compose, "down", "--volumes")
    assert stack.left() == []


async def test_all_profiles_on_podman_s_socket(stack: Stack) -> None:
    """Both brokers acknowledge a match's events; Prometheus finds every service and the match's server."""
    await asyncio.to_thread(stack.docker_compose, "--profile", "full", "up", "--detach")
    checked = LONG_RUNNING | OWN_PROFILES - {"backup"}
    assert set(stack.containers()) == checked | {"backup", "gamepod"}
    await asyncio.to_thread(until, lambda: stack.healthy(checked), "all are healthy", within_s=BROKERS_S)
    url, address = f"http://{stack.podman.address}:22548", stack.podman.address
    rest = await asyncio.to_thread(admin, stack.env_file, url)
    await asyncio.to_thread(duel, rest, "long", LONG_S)
    await asyncio.to_thread(placed, url, "long")
    jobs = await asyncio.to_thread(asked, address, "up == 1", len(JOBS))
    assert {one["metric"]["job"] for one in jobs} == JOBS
    (server,) = [one["metric"] for one in jobs if one["metric"]["job"] == "games"]
    (container,) = servers(stack.client)
    assert (server["game"], server["pod"]) == ("long", container.name)
    await asyncio.to_thread(asked, address, CARRIED, 2)
    await asyncio.to_thread(stack.docker_compose, "--profile", "full", "down", "--volumes")
    assert stack.left() == []


async def test_podman_compose(stack: Stack) -> None:
    """Likewise; it stops all at once, so the matchmaker, which ends its servers, is stopped before."""
    await asyncio.to_thread(stack.podman_compose, "up", "--detach")
    await lived(stack)
    await asyncio.to_thread(stack.podman_compose, "stop", "matchmaker")
    assert not servers(stack.client)
    await asyncio.to_thread(stack.podman_compose, "down", "--volumes")
    assert stack.left() == []
