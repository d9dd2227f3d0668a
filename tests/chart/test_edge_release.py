"""The edge in a cluster: players queue, wait and play through it, and nothing else of the release is reached."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.images import REPOSITORY, TAG, nginx_image, valkey_image
from tests.chart.players import completed, queue, register_tanks, stream
from tests.chart.release import Release, await_api, prepared
from tests.chart.rendered import default_image
from tests.cluster.addons import PORT as DNS_PORT
from tests.cluster.api import until
from tests.cluster.binaries import HELM3
from tests.cluster.cluster import Cluster
from tests.cluster.fixture import Helm
from tests.cluster.policy_engine import policies_enforced
from tests.duel import fly

pytestmark = pytest.mark.slow

PORTS = {"first": 20000, "last": 20019}
AUTH_PORT = 22550  # of the chart's defaults


@pytest.fixture
def values(cluster: Cluster, python_image_name: str, tmp_path: Path) -> str:
    """Values for an edge with everything, in front of the only node."""
    cluster.import_image(valkey_image(tmp_path / "valkey.tar"))
    cluster.import_image(nginx_image(tmp_path / "nginx.tar", default_image("edge")))
    repository, _, tag = python_image_name.rpartition(":")
    image = {"repository": repository, "tag": tag}
    edge = {
        "enabled": True,
        "auth": {"enabled": True},
        "udp": {"enabled": True, "upstream": cluster.address},
    }
    path = tmp_path / "values.yaml"
    given = {
        "image": image,
        "games": {"image": image, "ports": PORTS},
        "redis": {"image": {"repository": REPOSITORY, "tag": TAG}, "persistence": {"enabled": False}},
        "secrets": {"admin": True},
        "edge": edge,
        "networkPolicy": {"dns": {"ports": [53, DNS_PORT]}},
    }
    path.write_text(yaml.safe_dump(given))
    return str(path)


def addresses(cluster: Cluster, namespace: str) -> set[str]:
    """Addresses of the release's pods."""
    found = cluster.api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    return {pod["status"].get("podIP", "") for pod in found}


def give_address(cluster: Cluster, namespace: str, name: str) -> str:
    """Play the cloud: give a Service of type LoadBalancer an address, which the node then serves."""
    address = cluster.layout.load_balancer_address
    path = f"/api/v1/namespaces/{namespace}/services/{name}/status"
    given = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}

    def give() -> bool:
        cluster.api.send("PATCH", path, given, kind="application/merge-patch+json")
        return True

    until(give, f"Service {name}", within_s=180)
    return address


def over_lines(address: str, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    """Requests to the auth listener over one connection, and their answers."""
    with socket.create_connection((address, AUTH_PORT), 60) as connection, connection.makefile("rb") as answers:
        connection.sendall(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
        return [json.loads(answers.readline()) for _ in requests]


def audit(release: Release) -> list[dict[str, Any]]:
    """Events that webapi told of who came in."""
    said = release.cluster.kubectl("logs", "deployment/muster-webapi", "--namespace", release.namespace)
    return [event for line in said.splitlines() if (event := json.loads(line)).get("part") == "audit"]


@pytest.mark.parametrize("helm", [HELM3], indirect=True, ids=["helm3"])
async def test_players_queue_and_play_through_the_edge(
    cluster: Cluster, namespace: str, helm: Helm, values: str
) -> None:
    """One address for the API, a ticket's stream, accounts over TCP and the match's UDP."""
    with prepared(cluster, helm, namespace, values, admin="root") as release:
        # Helm waits for the address.
        address, _ = await asyncio.gather(
            asyncio.to_thread(give_address, cluster, namespace, "muster-edge"), asyncio.to_thread(release.install)
        )
        # In force, so that what the edge may is seen to be enough.
        with policies_enforced(cluster):
            url = f"http://{address}"
            await asyncio.to_thread(await_api, url)  # the node serves it a moment after Helm knows of it
            await asyncio.to_thread(register_tanks, release, url)
            ada, ticket = await asyncio.to_thread(queue, url, "Ada")
            waiting = asyncio.create_task(asyncio.to_thread(stream, url, ada, ticket))
            grace, other = await asyncio.to_thread(queue, url, "Grace")
            said = await waiting
            assert "QUEUED" in said
            assert "COMPLETED" in said
            tickets = [completed(ada, ticket), completed(grace, other)]
            assert tickets[0]["connection"]["address"] == cluster.address
            over, playing = asyncio.Event(), [asyncio.Event() for _ in tickets]
            players = [
                asyncio.create_task(fly(t["connection"] | {"address": address}, t["join_token"], started, over))
                for t, started in zip(tickets, playing, strict=True)
            ]
            async with asyncio.timeout(60):
                await asyncio.gather(*(started.wait() for started in playing))
            over.set()
            assert min(await asyncio.gather(*players)) > 0
            account = {"name": "Ada", "password": "correct horse"}
            kinds = ("register", "login")
            answers = await asyncio.to_thread(over_lines, address, *({"type": kind, **account} for kind in kinds))
            assert [answer["ok"] for answer in answers] == [True, True], answers
            events = await asyncio.to_thread(audit, release)
            by_door = {event["via"]: event["address"] for event in events}
            # The same client's address at both doors, which is not the edge's.
            assert by_door["tcp"] == by_door["rest"]
            assert by_door["tcp"] not in await asyncio.to_thread(addresses, cluster, namespace)
            assert [event["event"] for event in events if event["via"] == "tcp"] == [
                "user_registered",
                "user_logged_in",
            ]
