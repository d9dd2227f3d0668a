"""The chart on a real cluster: dry run of every option, install, upgrade under requests, `helm test`, uninstall."""

from __future__ import annotations

import json
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from core.cli.games import BUILT_IN
from core.cli.rest import Rest
from core.errors import MusterError
from tests.chart.images import REPOSITORY, TAG
from tests.chart.release import asked_all_the_time, prepared
from tests.chart.rendered import ALL, CHART, KUBERNETES, Document
from tests.cluster.api import until
from tests.cluster.binaries import HELM4
from tests.cluster.cluster import Cluster
from tests.cluster.fixture import Helm

pytestmark = pytest.mark.slow

RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@pytest.fixture
def values(python_image_name: str, valkey_on_node: None, tmp_path: Path) -> str:
    """A file of values for a node without a registry. Without servers: those are the launcher's tests."""
    repository, _, tag = python_image_name.rpartition(":")
    image = {"repository": repository, "tag": tag}
    redis = {
        "image": {"repository": REPOSITORY, "tag": TAG},
        "persistence": {"size": "100Mi", "retain": False},
    }
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump({"image": image, "matchmaker": {"launcher": "instant"}, "redis": redis}))
    return str(path)


@pytest.mark.parametrize("arguments", [(), ("--values", str(ALL))], ids=["defaults", "everything"])
def test_the_api_server_takes_everything_that_is_rendered(
    cluster: Cluster, namespace: str, helm: Helm, operator_kinds: None, arguments: tuple[str, ...]
) -> None:
    """A server-side dry run validates each object whole, as an install would; unknown fields are errors."""
    options = ["--namespace", namespace, "--kube-version", KUBERNETES, *arguments]
    rendered = yaml.safe_load_all(helm("template", "muster", str(CHART), *options))
    documents: list[Document] = [document for document in rendered if document]
    with cluster.namespace(f"{namespace}-games") as games:
        for document in documents:
            # The all-options file names namespaces for the games and their fleets; here they have the test's own.
            if document["metadata"].get("namespace") not in (None, namespace):
                document["metadata"]["namespace"] = games
        bundle = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        dry = ["--server-side", "--dry-run=server", "--validate=strict", "--filename=-"]
        done = cluster.kubectl("apply", *dry, stdin=bundle)
    assert done.count("(server dry run)") == len(documents)


def test_install_upgrade_test_uninstall(cluster: Cluster, namespace: str, helm: Helm, values: str) -> None:
    """One life of a release, in a namespace that admits restricted pods only.

    It comes up, answers through its Service, passes `helm test`, answers every request while an upgrade replaces all
    its pods but Redis, keeps its accounts, and leaves nothing.
    """
    cluster.kubectl("label", "namespace", namespace, RESTRICTED)
    with prepared(cluster, helm, namespace, values) as release:
        before = release.objects()
        notes = release.install()
        assert f"Muster 0.1.0 is installed as muster in namespace {namespace}." in notes
        assert "nobody can register a game yet" in notes
        with urllib.request.urlopen(f"{release.url()}/status", timeout=30) as answer:
            assert answer.read() == b"Server is running !"
        assert "Succeeded" in release.test()
        player = Rest(release.url())
        player.token = player.call("POST", "/v1/guests", {"name": "Ada"})["access_token"]

        old = release.pods()
        with asked_all_the_time(f"{release.url()}/readyz") as failures:
            release.upgrade("--set", "webapi.replicas=2,matchmaker.replicas=2,logging.level=debug")
            # Some of a pod's successors may be of the old kind themselves, started before it was to go.
            until(lambda: release.settled(5) and release.pods() & old == {"muster-redis-0"}, "all new", within_s=180)
        assert not failures
        assert player.call("GET", "/v1/me")["name"] == "Ada"

        release.uninstall()
        until(lambda: release.objects() <= before, "nothing left", within_s=180)


@pytest.mark.parametrize("helm", [HELM4], indirect=True, ids=["helm4"])  # what is shown are the pods
def test_matches_are_made_between_pods_and_outlive_redis(
    cluster: Cluster, namespace: str, helm: Helm, values: str
) -> None:
    """Tickets posted to one pod are matched by another: doorbells, Redis and its password work across pods.

    When Redis is replaced its volume has the game, and the same players are matched again.
    """
    with prepared(cluster, helm, namespace, values, admin="root") as release:
        release.install("--set", "secrets.admin=true,webapi.replicas=2")
        login = {"name": release.secret("admin-name"), "password": release.secret("admin-password")}
        admin = Rest(release.url())
        admin.token = admin.call("POST", "/v1/login", login)["access_token"]
        admin.call("POST", "/v1/games", {"id": "tanks", **BUILT_IN["tanks"]})
        play(release.url())
        cluster.kubectl("delete", "pod", "muster-redis-0", "--namespace", namespace)
        cluster.kubectl("rollout", "status", "statefulset/muster-redis", "--namespace", namespace, "--timeout=180s")
        until(lambda: works(release.url()), "Redis is back", within_s=120)
        play(release.url())


def play(url: str) -> None:
    """Two new players wait for a match of the tanks and get it."""
    players = []
    for name in ("Ada", "Grace"):
        player = Rest(url)
        player.token = player.call("POST", "/v1/guests", {"name": name})["access_token"]
        players.append((player, player.call("POST", "/v1/tickets", {"game": "tanks"})["id"]))
    for player, ticket in players:

        def completed(player: Rest = player, ticket: str = ticket) -> bool:
            return bool(player.call("GET", f"/v1/tickets/tanks/{ticket}")["status"] == "COMPLETED")

        until(completed, f"ticket {ticket} COMPLETED", within_s=90)


def works(url: str) -> bool:
    """Whether the API reaches Redis, asked anew so that any replica may answer."""
    with suppress(MusterError):
        Rest(url).call("GET", "/readyz")
        return True
    return False
