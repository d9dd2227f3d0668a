"""NetworkPolicies in force: a stranger's code in a game pod reaches what it must and nothing else, and matches go on.

Before they are in force everything is reached, so that what is closed afterwards is closed by them.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.images import REPOSITORY, TAG, valkey_image
from tests.chart.players import admin, completed, queue
from tests.chart.release import Release, prepared
from tests.cluster.addons import PORT as DNS_PORT
from tests.cluster.api import until
from tests.cluster.binaries import HELM4
from tests.cluster.cluster import Cluster
from tests.cluster.fixture import Helm
from tests.cluster.policy_engine import policies_enforced

pytestmark = pytest.mark.slow

PROBE = (Path(__file__).parent / "probe.py").read_text()
PORT = 7777
COVERED_S = 60.0
TRY_S = 20.0  # what is closed is refused at once


@dataclass(frozen=True)
class Game:
    """A match of the probe: its pod's own address, and where players reach it."""

    pod: str
    address: str
    port: int

    def reaches(self, host: str, port: int) -> bool:
        """Whether the code in the pod reaches it."""
        with socket.create_connection((self.address, self.port), 60) as connection, connection.makefile("rw") as lines:
            lines.write(f"{host} {port}\n")
            lines.flush()
            return lines.readline() == "open\n"


@pytest.fixture
def release(cluster: Cluster, namespace: str, helm: Helm, python_image_name: str, tmp_path: Path) -> Iterator[Release]:
    """A release with its policies, and the probe registered: a match for each player."""
    cluster.import_image(valkey_image(tmp_path / "valkey.tar"))
    repository, _, tag = python_image_name.rpartition(":")
    image = {"repository": repository, "tag": tag}
    values = tmp_path / "values.yaml"
    given = {
        "image": image,
        "games": {"image": image},
        "redis": {"image": {"repository": REPOSITORY, "tag": TAG}, "persistence": {"enabled": False}},
        "secrets": {"admin": True},
        "networkPolicy": {"dns": {"ports": [53, DNS_PORT]}},
    }
    values.write_text(yaml.safe_dump(given))
    server = {
        "image": python_image_name,
        "args": ["-uc", PROBE, str(PORT)],
        "ports": [{"name": "game", "protocol": "tcp", "port": PORT}],
        "ready": {"when": "port"},
    }
    with prepared(cluster, helm, namespace, str(values), admin="root") as made:
        made.install()
        admin(made, made.url()).call("POST", "/v1/games", {"id": "probe", "players_per_match": 1, "server": server})
        yield made


def game(release: Release) -> Game:
    """A new player's match."""
    ticket = completed(*queue(release.url(), "Eve", "probe"), "probe")
    path = f"/api/v1/namespaces/{release.namespace}/pods/{ticket['match']}"
    connection = ticket["connection"]
    pod = release.cluster.api.get(path)["status"]["podIP"]
    return Game(pod, connection["address"], connection["ports"][0]["port"])


def pod_of(release: Release, component: str) -> str:
    """Address of the one pod of a component."""
    selector = f"labelSelector=app.kubernetes.io/component={component}"
    found: list[Any] = release.cluster.api.get(f"/api/v1/namespaces/{release.namespace}/pods?{selector}")["items"]
    return str(found[0]["status"]["podIP"])


@pytest.mark.parametrize("helm", [HELM4], indirect=True, ids=["helm4"])
def test_a_game_reaches_what_it_must_and_nothing_else(release: Release) -> None:
    """From outside only players' ports and the API are reached; a match that starts under the policies is played."""
    cluster = release.cluster
    webapi, matchmaker, redis = (pod_of(release, name) for name in ("webapi", "matchmaker", "redis"))
    one, other = game(release), game(release)
    needed = [("muster-redis", 6379), (redis, 6379), (webapi, 22549), (matchmaker, 22549)]
    forbidden = [
        ("muster-webapi", 22548),  # the API
        (webapi, 8000),  # metrics
        (matchmaker, 8002),
        (other.pod, PORT),  # another match
        (other.pod, 8001),
        ("kubernetes.default.svc", 443),
        (cluster.address, 6443),
        (cluster.address, 10250),  # the kubelet
    ]
    for_all = [(webapi, 22548), (one.pod, PORT), (one.address, one.port)]
    for_nobody = [(webapi, 22549), (webapi, 8000), (matchmaker, 8002), (redis, 6379), (one.pod, 8001)]
    assert [place for place in [*needed, *forbidden] if not one.reaches(*place)] == []
    assert [place for place in [*for_all, *for_nobody] if not is_open(*place)] == []
    with policies_enforced(cluster) as engine:
        assert [place for place in needed if not one.reaches(*place)] == []
        assert [place for place in forbidden if one.reaches(*place)] == []
        assert [place for place in for_all if not is_open(*place)] == []
        assert [place for place in for_nobody if is_open(*place)] == []
        new = game(release)
        until(lambda: engine.covers(new.pod), "the new pod is covered", within_s=COVERED_S)
        assert new.reaches("muster-redis", 6379)
        assert not new.reaches("muster-webapi", 22548)


def is_open(host: str, port: int) -> bool:
    """Whether this machine, which is outside of the cluster, reaches it."""
    try:
        socket.create_connection((host, port), TRY_S).close()
    except OSError:
        return False
    return True
