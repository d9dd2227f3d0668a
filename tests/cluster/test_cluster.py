"""The test cluster does what a cluster does, can be hurt as tests need it, and leaves nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import pytest
import redis

from tests.cluster import pods
from tests.cluster.api import until
from tests.cluster.cluster import Cluster
from tests.cluster.fake_nodes import LABEL, TAINT, FakeNodes
from tests.cluster.fixture import Helm
from tests.cluster.policy_engine import policies_enforced
from tests.cluster.python_image import PYTHON
from tests.cluster.sandbox import SandboxError

pytestmark = pytest.mark.slow

HOST_PORT: Final = 17000
UNREACHABLE: Final = (101, 113)  # ENETUNREACH, EHOSTUNREACH


def ask_udp(address: str, port: int, *, within_s: float = 60.0) -> bytes:
    """What answers a datagram there; it is sent again until something does."""
    deadline = time.monotonic() + within_s
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect((address, port))
        while True:
            try:
                client.send(b"hello")
                return client.recv(2048)
            except (TimeoutError, ConnectionRefusedError):
                assert time.monotonic() < deadline, f"no answer from {address}:{port} within {within_s} s"


def in_pod(cluster: Cluster, namespace: str, pod: str, code: str) -> str:
    """What Python code prints when it runs in a pod."""
    return cluster.kubectl("exec", f"--namespace={namespace}", pod, "--", PYTHON, "-c", code).strip()


def answers(cluster: Cluster, namespace: str, pod: str, call: str, wanted: str = "b'echo'") -> bool:
    """Whether `call` in that pod prints what is wanted: by default what the pod called echo says.

    Names and rules follow a new Service within seconds, and a program in a pod listens a while after that is Ready.
    """
    try:
        return in_pod(cluster, namespace, pod, call) == wanted
    except SandboxError:
        return False


def test_node_is_ready_and_all_components_run(cluster: Cluster) -> None:
    """The node takes pods, and nothing has died on the way."""
    assert cluster.node_ready()
    assert cluster.failed() == []


def test_pod_answers_udp_on_its_host_port(cluster: Cluster, namespace: str, python_image_name: str) -> None:
    """A locked-down pod with a hostPort is reached from this machine at the node's address over UDP."""
    cluster.apply(pods.echo_pod("echo", namespace, host_port=HOST_PORT))
    cluster.wait_for_pod("echo", namespace)
    assert ask_udp(cluster.address, HOST_PORT) == b"hello from echo"


def test_service_name_resolves_and_routes_inside_a_pod(
    cluster: Cluster, namespace: str, python_image_name: str
) -> None:
    """A Service's name leads to its pod, from another pod and from the pod itself; its address does from here."""
    cluster.apply(pods.echo_pod("echo", namespace), pods.service("echo", namespace), pods.echo_pod("other", namespace))
    for name in ("echo", "other"):
        cluster.wait_for_pod(name, namespace)
    call = f"import socket; print(socket.create_connection(('echo.{namespace}', {pods.ECHO_PORT}), 5).recv(9))"
    for name in ("echo", "other"):
        until(
            partial(answers, cluster, namespace, name, call), f"Service from {name}", within_s=90
        )  # a DNS server that lost its API server waits a while
    address = cluster.api.get(f"/api/v1/namespaces/{namespace}/services/echo")["spec"]["clusterIP"]
    assert ask_udp(address, pods.ECHO_PORT) == b"hello from echo"


def test_pod_reaches_the_api_server_by_its_service(cluster: Cluster, namespace: str, python_image_name: str) -> None:
    """`kubernetes.default` leads a pod to the API server, whose certificate names it so."""
    cluster.apply(pods.echo_pod("client", namespace))
    cluster.wait_for_pod("client", namespace)
    code = (
        "import ssl, socket; c = socket.create_connection(('kubernetes.default.svc', 443), 5);"
        "t = ssl._create_unverified_context().wrap_socket(c, server_hostname='kubernetes.default.svc');"
        "print(t.version())"
    )
    until(partial(answers, cluster, namespace, "client", code, "TLSv1.3"), "the API server answers", within_s=90)


def test_nothing_outside_is_reachable_from_a_pod(cluster: Cluster, namespace: str, python_image_name: str) -> None:
    """A pod that calls an address outside the cluster is told at once that there is no way."""
    cluster.apply(pods.echo_pod("client", namespace))
    cluster.wait_for_pod("client", namespace)
    code = "import socket; s = socket.socket(); s.settimeout(5); print(s.connect_ex(('203.0.113.1', 80)))"
    assert int(in_pod(cluster, namespace, "client", code)) in UNREACHABLE


def test_pod_that_is_not_root_writes_to_a_volume(cluster: Cluster, namespace: str, python_image_name: str) -> None:
    """A claim gets a volume of the default class, whose files belong to the group that the pod asks for."""
    pod = pods.echo_pod("writer", namespace)
    pod["spec"] |= {
        "securityContext": {"fsGroup": 4242},
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    cluster.apply(pods.claim("data", namespace), pod)
    cluster.wait_for_pod("writer", namespace)
    code = "import os; open('/data/file', 'w').close(); print(os.stat('/data/file').st_gid)"
    assert in_pod(cluster, namespace, "writer", code) == "4242"


def test_both_majors_of_helm_speak_to_the_cluster(cluster: Cluster, helm: Helm) -> None:
    """Helm 3 and Helm 4 are what they say, and list what is installed: nothing."""
    assert helm("version", "--short").startswith(("v3.", "v4."))
    assert json.loads(helm("list", "--all-namespaces", "--output", "json")) == []


def test_network_policies_are_in_force_where_a_test_asks_for_it(
    cluster: Cluster, namespace: str, python_image_name: str
) -> None:
    """A policy that allows nothing closes a pod inside `policies_enforced`, and neither before nor after."""
    cluster.apply(pods.echo_pod("echo", namespace), pods.echo_pod("client", namespace), pods.deny_all(namespace))
    address = cluster.wait_for_pod("echo", namespace)["status"]["podIP"]
    cluster.wait_for_pod("client", namespace)
    code = f"import socket; s = socket.socket(); s.settimeout(9); print(s.connect_ex(('{address}', {pods.ECHO_PORT})))"
    until(partial(answers, cluster, namespace, "client", code, "0"), "echo listens", within_s=90)
    with policies_enforced(cluster) as engine:
        assert engine.covers(address)
        assert in_pod(cluster, namespace, "client", code) != "0"
    assert in_pod(cluster, namespace, "client", code) == "0"


def test_redis_is_reached_alike_from_here_and_from_a_pod(
    cluster: Cluster, namespace: str, python_image_name: str, cluster_redis: str
) -> None:
    """One URL of a Redis serves this machine and pods."""
    cluster.apply(pods.echo_pod("client", namespace))
    cluster.wait_for_pod("client", namespace)
    code = f"import redis; print(redis.Redis.from_url('{cluster_redis}').set('seen', 'yes'))"
    assert in_pod(cluster, namespace, "client", code) == "True"
    with redis.Redis.from_url(cluster_redis) as client:
        assert client.get("seen") == b"yes"


def test_request_counts_tell_one_request(cluster: Cluster, namespace: str) -> None:
    """One created object is one write in the API server's counters."""
    # In no namespace: controllers fill new ones and empty those of earlier tests, whenever they come to it.
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    one = {**kind, "metadata": {"name": namespace}, "value": 1}
    before = cluster.request_counts()
    cluster.apply(one)

    def writes() -> int:
        return cluster.request_counts().since(before).writes(["priorityclasses"])

    try:
        until(writes, "a request is counted", within_s=30)
        assert writes() == 1
    finally:
        cluster.delete(one)


def test_cluster_outlives_its_api_server(cluster: Cluster, namespace: str, python_image_name: str) -> None:
    """While the API server is dead a pod goes on answering, and afterwards the cluster is whole."""
    cluster.apply(pods.echo_pod("echo", namespace, host_port=HOST_PORT))
    cluster.wait_for_pod("echo", namespace)
    with cluster.without("kube-apiserver"):
        with pytest.raises(OSError, match=r"refused|reset"):
            cluster.api.text("/readyz")
        assert ask_udp(cluster.address, HOST_PORT) == b"hello from echo"
    assert cluster.node_ready()


def test_containers_outlive_the_kubelet(cluster: Cluster, namespace: str, python_image_name: str) -> None:
    """A killed kubelet leaves its containers running, and takes them up again when it is back."""
    cluster.apply(pods.echo_pod("echo", namespace, host_port=HOST_PORT))
    identity = cluster.wait_for_pod("echo", namespace)["status"]["containerStatuses"][0]["containerID"]
    with cluster.without("kubelet"):
        assert ask_udp(cluster.address, HOST_PORT) == b"hello from echo"
    assert cluster.wait_for_pod("echo", namespace)["status"]["containerStatuses"][0]["containerID"] == identity


async def seen(check: Callable[[], bool]) -> None:
    """Return once `check`, which blocks, says yes; the fake nodes go on meanwhile."""
    await asyncio.to_thread(until, check, "as expected", within_s=180, every_s=0.2)


async def test_fake_nodes_run_pods_by_the_hundred(cluster: Cluster, namespace: str) -> None:
    """Pods on fake nodes are scheduled, become Ready, end as told and go, all over the real API."""
    count = 200
    async with FakeNodes(cluster.api, 4) as nodes, cluster.api.session() as session:
        path = f"/api/v1/namespaces/{namespace}/pods"
        for number in range(count):
            pod = pods.python_pod(f"fake-{number}", namespace, "")
            pod["spec"] |= {"tolerations": [{**TAINT, "operator": "Equal"}], "nodeSelector": {LABEL: "true"}}
            await session.post(path, json=pod)
        running = f"{path}?fieldSelector=status.phase=Running"
        await seen(lambda: len(cluster.api.get(running)["items"]) == count)
        await nodes.end(namespace, "fake-7", exit_code=137, reason="OOMKilled")
        assert cluster.api.get(f"{path}/fake-7")["status"]["phase"] == "Failed"
        await session.delete(path)
        await seen(lambda: not cluster.api.get(path)["items"])
    assert not [
        node for node in cluster.api.get("/api/v1/nodes")["items"] if node["metadata"]["name"].startswith("fake")
    ]
