"""compose.yaml run for real: Docker Compose, a Docker daemon, Muster's own images, this machine's programs beside them.

The tests share one project and build on each other: the small stack, all of it, and down.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from contextlib import suppress
from typing import Any

import aiohttp
import docker

from core.errors import MusterError
from tests.cluster.api import until
from tests.compose.play import (
    ASKED,
    CARRIED,
    JOBS,
    LONG_S,
    OWN_PROFILES,
    PROMETHEUS_PORT,
    REACHED,
    SEEN_S,
    SHORT_S,
    admin,
    asked,
    duel,
    placed,
    servers,
)
from tests.compose.stack import Compose, drawn_secrets
from tests.docker.rig import TAG
from tests.dockerd import Docker
from tests.duel import join

SMALL = {"docker-launcher", "edge", "matchmaker", "redis", "webapi"}
PORT, LINES_PORT = 22548, 22550


def running(compose: Compose) -> dict[str, str]:
    """Services that run, each with its health."""
    lines = compose("ps", "--format", "json").splitlines()
    return {found["Service"]: found["Health"] for found in map(json.loads, lines)}


def addresses(client: docker.DockerClient, service: str) -> dict[str, str]:
    """The addresses of a service's container, by network."""
    networks = client.containers.get(f"muster-{service}-1").attrs["NetworkSettings"]["Networks"]
    return {name: network["IPAddress"] for name, network in networks.items()}


async def welcomed(url: str, game: str, ticket: dict[str, Any]) -> str:
    """What a player is told first who joins through the edge and webapi, over a WebSocket."""
    place = f"{url}/v1/matches/{game}/{ticket['match']}/ws"
    protocols = ("muster.v1", f"muster.token.{ticket['join_token']}")
    async with aiohttp.ClientSession() as session, session.ws_connect(place, protocols=protocols) as socket:
        await socket.send_json({"type": "join", "token": ticket["join_token"]})
        return str((await socket.receive_json(timeout=SEEN_S))["type"])


async def test_plain_up_is_enough_for_a_match(small: Compose, dockerd: Docker, client: docker.DockerClient) -> None:
    """Five services, healthy; through the edge two players queue and play in a container, which is gone after it."""
    assert running(small) == dict.fromkeys(SMALL, "healthy")
    url = f"http://{dockerd.address}:{PORT}"
    rest = await asyncio.to_thread(admin, small.env_file, url)
    await asyncio.to_thread(duel, rest, "tanks", SHORT_S)
    tickets = await asyncio.to_thread(placed, url, "tanks")
    assert tickets[0]["connection"]["address"] == dockerd.address
    assert [container.attrs["HostConfig"]["NetworkMode"] for container in servers(client)] == ["muster-games"]
    ways = zip(("udp", "tcp"), tickets, strict=True)
    results = await asyncio.gather(*(join(kind, ticket["connection"], ticket["join_token"]) for kind, ticket in ways))
    assert results[0] == results[1]
    await asyncio.to_thread(until, lambda: not servers(client), "no server is left", within_s=SEEN_S)


async def test_accounts_over_lines_come_through_the_edge(small: Compose, dockerd: Docker) -> None:
    """webapi believes the edge's first line, which says whose connection it is."""
    async with asyncio.timeout(SEEN_S):
        reader, writer = await asyncio.open_connection(dockerd.address, LINES_PORT)
        writer.write(json.dumps({"type": "register", "name": "Joan", "password": "correct horse"}).encode() + b"\n")
        assert json.loads(await reader.readline())["ok"] is True
        writer.close()


def test_the_way_to_the_daemon_is_the_matchmaker_s_and_narrow(small: Compose, client: docker.DockerClient) -> None:
    """Nobody else reaches the proxy, and it passes on no image, volume, network, file or build."""
    requests = [
        ("GET", "/v1.41/info"),
        ("GET", "/v1.41/containers/json"),
        ("GET", "/v1.41/volumes"),
        ("GET", "/v1.41/containers/muster-redis-1/archive?path=/data"),
        ("GET", "/v1.41/containers/x/../../volumes"),
        ("POST", "/v1.41/images/create?fromImage=x"),
        ("POST", "/v1.41/networks/create"),
        ("POST", "/v1.41/build"),
        ("DELETE", "/v1.41/images/muster/gamepod:test"),
    ]
    answers = small("exec", "-T", "matchmaker", "python3", "-c", f"REQUESTS = {requests!r}\n{ASKED}")
    assert json.loads(answers) == [200, 200, *[403] * 7]
    ((_, address),) = addresses(client, "docker-launcher").items()
    source = f"PLACES = {{'daemon': ('{address}', 2375)}}\n{REACHED}"
    reached = {
        name: json.loads(small("exec", "-T", name, "python3", "-c", source)) for name in ("webapi", "matchmaker")
    }
    assert reached == {"webapi": {"daemon": False}, "matchmaker": {"daemon": True}}


def test_secrets_are_on_no_command_line(small: Compose, client: docker.DockerClient) -> None:
    """Everybody on the host may read those of a container's programs."""
    drawn = {
        value for name, value in drawn_secrets(small.env_file).items() if "NAME" not in name and "USER" not in name
    }
    for name in SMALL:
        lines = str(client.containers.get(f"muster-{name}-1").top()["Processes"])
        assert not [value for value in drawn if value in lines], name


async def test_the_whole_stack(full: Compose, dockerd: Docker, client: docker.DockerClient) -> None:
    """A browser's way into a match; brokers acknowledge its events; Prometheus scrapes it, and has the rules."""
    assert running(full) == dict.fromkeys(SMALL | OWN_PROFILES, "healthy")
    url = f"http://{dockerd.address}:{PORT}"
    rest = await asyncio.to_thread(admin, full.env_file, url)
    await asyncio.to_thread(duel, rest, "long", LONG_S)
    ticket, _ = await asyncio.to_thread(placed, url, "long")
    assert await welcomed(url, "long", ticket) == "welcome"
    jobs = await asyncio.to_thread(asked, dockerd.address, "up == 1", len(JOBS))
    assert {one["metric"]["job"] for one in jobs} == JOBS
    (server,) = [one["metric"] for one in jobs if one["metric"]["job"] == "games"]
    (container,) = servers(client)
    assert (server["game"], server["pod"], server["namespace"]) == ("long", container.name, "compose")
    await asyncio.to_thread(asked, dockerd.address, CARRIED, 2)
    with urllib.request.urlopen(f"http://{dockerd.address}:{PROMETHEUS_PORT}/api/v1/rules", timeout=60) as answer:
        rules = [rule for group in json.load(answer)["data"]["groups"] for rule in group["rules"]]
    assert len(rules) > 10
    assert not [rule for rule in rules if rule.get("lastError")]


def test_game_servers_reach_what_they_need_and_no_more(full: Compose, client: docker.DockerClient) -> None:
    """From their network Redis answers, in that network; brokers, events and the ways to the daemon do not."""
    ports = {
        "redis": 6379,
        "rabbitmq": 5672,
        "kafka": 9092,
        "docker-launcher": 2375,
        "docker-reader": 2375,
        "sinks": 8004,
    }
    places = {
        f"{name} {address}": (address, port)
        for name, port in ports.items()
        for address in addresses(client, name).values()
    }
    source = ["python3", "-c", f"PLACES = {places!r}\n{REACHED}"]
    said = client.containers.run(f"muster/gamepod:{TAG}", entrypoint=source, network="muster-games", remove=True)
    (redis,) = [name for name, reached in json.loads(said).items() if reached]
    assert redis == f"redis {addresses(client, 'redis')['muster-games']}"
    assert len(places) >= len(ports)


def test_a_backup_is_put_back(full: Compose, dockerd: Docker, client: docker.DockerClient) -> None:
    """A matchmaker that stops ends its servers; a Redis that lost everything has its account and game again."""
    assert len(servers(client)) == 1
    full("stop", "webapi", "matchmaker", "worker", "sinks")
    assert not servers(client)
    full("exec", "-T", "redis", "valkey-cli", "FLUSHALL")
    full("run", "--rm", "backup", "core.cli", "restore", "--from", "/backups", "--replace")
    full("start", "webapi")

    def game() -> Any:
        with suppress(MusterError):  # webapi starts
            return admin(full.env_file, f"http://{dockerd.address}:{PORT}").call("GET", "/v1/games/tanks")
        return None

    assert until(game, "the game is there", within_s=SEEN_S)["id"] == "tanks"


def test_down_leaves_nothing(full: Compose, client: docker.DockerClient) -> None:
    """Containers, networks and volumes are gone."""
    full("--profile", "full", "down", "--volumes")
    assert not servers(client)
    assert not client.containers.list(all=True, filters={"label": "com.docker.compose.project=muster"})
    assert not [network.name for network in client.networks.list() if "muster" in network.name]
    assert not client.volumes.list(filters={"label": "com.docker.compose.project=muster"})
