"""The edge in a cluster: players queue, wait and play through it, and nothing else of the release is reached."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
import yaml

from tests.chart.images import REPOSITORY, TAG, nginx_image, valkey_image
from tests.chart.players import completed, queue, register_tanks, stream
from tests.chart.release import prepared
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
DOORBELL = 22549  # what listens for TCP in a pod of webapi; the listener that the edge is for does not exist yet
GREETING = b"\xff"  # ZeroMQ's first byte


@pytest.fixture
def values(cluster: Cluster, python_image_name: str, tmp_path: Path) -> str:
    """Values for an edge with everything, in front of the only node."""
    cluster.import_image(valkey_image(tmp_path / "valkey.tar"))
    cluster.import_image(nginx_image(tmp_path / "nginx.tar", default_image("edge")))
    repository, _, tag = python_image_name.rpartition(":")
    image = {"repository": repository, "tag": tag}
    edge = {
        "enabled": True,
        "auth": {"enabled": True, "targetPort": DOORBELL},
        "udp": {"enabled": True, "upstream": cluster.address},
    }
    path = tmp_path / "values.yaml"
    given = {
        "image": image,
        "games": {"image": image, "ports": PORTS},
        "redis": {"image": {"repository": REPOSITORY, "tag": TAG}, "persistence": {"enabled": False}},
        "secrets": {"admin": True},
        "webapi": {"settings": {"MUSTER_TRUSTED_PROXIES": 1}},
        "edge": edge,
        "networkPolicy": {"dns": {"ports": [53, DNS_PORT]}},
    }
    path.write_text(yaml.safe_dump(given))
    return str(path)


def give_address(cluster: Cluster, namespace: str, name: str) -> str:
    """Play the cloud: give a Service of type LoadBalancer an address, which the node then serves."""
    address = cluster.layout.load_balancer_address
    path = f"/api/v1/namespaces/{namespace}/services/{name}/status"
    given = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}

    def give() -> bool:
        cluster.api.send("PATCH", path, given, kind="application/merge-patch+json")
        return True

    until(give, f"Service {name}", within_s=60)
    return address


@pytest.mark.parametrize("helm", [HELM3], indirect=True, ids=["helm3"])
async def test_players_queue_and_play_through_the_edge(
    cluster: Cluster, namespace: str, helm: Helm, values: str
) -> None:
    """One address for the API, a ticket's stream, a TCP port of webapi's pods and the match's UDP."""
    with prepared(cluster, helm, namespace, values, admin="root") as release:
        # Helm waits for the address.
        address, _ = await asyncio.gather(
            asyncio.to_thread(give_address, cluster, namespace, "muster-edge"), asyncio.to_thread(release.install)
        )
        # In force, so that what the edge may is seen to be enough.
        with policies_enforced(cluster):
            url = f"http://{address}"
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
            async with asyncio.timeout(20):
                await asyncio.gather(*(started.wait() for started in playing))
            over.set()
            assert min(await asyncio.gather(*players)) > 0
            with socket.create_connection((address, AUTH_PORT), 10) as connection:
                assert connection.recv(1) == GREETING
