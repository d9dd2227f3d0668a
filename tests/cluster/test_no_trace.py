"""A sandbox leaves this machine as it found it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cluster import packages
from tests.cluster.api import until
from tests.cluster.binaries import PAUSE, program
from tests.cluster.cluster import Cluster, down, running, up
from tests.cluster.components import PAUSE_IMAGE
from tests.cluster.images import static_image
from tests.cluster.layout import Layout, claimed_layout, saved_layout
from tests.cluster.sandbox import ROOT, Sandbox, is_running, sweep
from tests.cluster.trace import Trace, difference, living, processes, trace
from tests.dockerd import down as docker_down
from tests.dockerd import up as docker_up

pytestmark = pytest.mark.slow

# Starts a tied sandbox with a program in it, as a test run does, and waits to be killed.
STARTER = """
import sys, time
from tests.cluster.layout import claimed_layout
from tests.cluster.sandbox import Sandbox
sandbox = Sandbox(claimed_layout(sys.argv[1]))
sandbox.create(tied=True)
sandbox.start("sleeper", ["sleep", "600"])
print(sandbox.pid(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def name() -> Iterator[str]:
    """Name of a sandbox of the test's own, which is gone afterwards whatever the test did."""
    reason = packages.unavailable(packages.CLUSTER)
    if reason:
        pytest.skip(f"no sandbox here: {reason}")
    packages.ensure(packages.CLUSTER | packages.DOCKER)
    own = f"trace-{os.getpid()}"
    yield own
    Sandbox(saved_layout(own) or Layout(own, 0)).destroy()


def assert_gone(before: Trace, layout: Layout, seen: frozenset[tuple[int, str]]) -> None:
    """Nothing of the sandbox is left, and every process that was seen in it is dead."""
    assert living(seen) == set()
    assert difference(before, trace(), layout) == {}


def pause_pod() -> dict[str, object]:
    """A pod of the smallest image, with a hostPort."""
    ports = [{"containerPort": 7000, "hostPort": 17100, "protocol": "UDP"}]
    container = {"name": "pause", "image": PAUSE_IMAGE, "imagePullPolicy": "Never", "ports": ports}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pause", "namespace": "default"}, "spec": spec}


def run_a_pod(cluster: Cluster) -> None:
    """Let the cluster make what pods need: a network namespace, mounts, firewall rules, control groups."""
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    until(lambda: cluster.api.exists(account), "service account", within_s=120)
    cluster.apply(pause_pod())
    cluster.wait_for_pod("pause")


def test_down_leaves_nothing_of_a_cluster_with_a_pod(name: str) -> None:
    """After `down`, processes, mounts, links, routes, firewall, sysctls, control groups and folders are as before."""
    before = trace()
    cluster = up(name, tied=True)
    run_a_pod(cluster)
    seen = processes(cluster.layout)
    assert len(seen) > len(cluster.components)  # containers and their shims are among them
    showing = difference(before, trace(), cluster.layout)
    assert set(showing) <= {"links", "addresses and routes", "control groups", "folders", "sysctls"}
    assert all(cluster.layout.link in line for line in showing["sysctls"])  # those that each link has
    down(name)
    assert_gone(before, cluster.layout, seen)


def test_a_killed_starter_takes_its_sandbox_along(name: str) -> None:
    """When the process that a sandbox is tied to is killed, nothing runs on; a later run sweeps up the rest."""
    before = trace()
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, name], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        layout = saved_layout(name)
        assert layout is not None
        seen = processes(layout)
        starter.send_signal(signal.SIGKILL)
    until(lambda: not is_running(pid), "the sandbox ended", within_s=60)
    assert running(name) is None
    sweep()
    assert saved_layout(name) == layout  # too young: it might be about to start
    os.utime(layout.folder / "layout.json", (0, 0))
    sweep()
    assert_gone(before, layout, seen)


def test_destroy_removes_a_half_made_sandbox(name: str) -> None:
    """A sandbox that never got as far as running anything goes like any other."""
    before = trace()
    layout = claimed_layout(name)
    layout.save()
    Sandbox(layout).destroy()
    assert_gone(before, layout, frozenset())


def test_what_is_another_sandbox_s_is_no_trace() -> None:
    """Sandboxes that come and go meanwhile are left out of the comparison; what is left of this one is not."""
    own, other = Layout("trace-1", 201), Layout("trace-12", 202)
    before: Trace = {"links": frozenset({"eth0", other.link})}
    items = [f"10.201.0.0/16 dev {own.link}", f"/tmp/{own.hostname}", "/run/anything", f"conf/{own.link}/x = 1"]
    others = [f"10.202.0.0/16 dev {other.link}", f"/tmp/{other.hostname}", f"conf/{other.link}/x = 1"]
    assert difference(before, {"links": frozenset({"eth0", *items, *others})}, own) == {
        "links": [f"+ {item}" for item in sorted(items)]
    }


def test_docker_daemon_leaves_nothing(name: str) -> None:
    """A Docker daemon runs a container, which outlives its being killed, and is gone without a trace."""
    before = trace()
    docker = docker_up(name, tied=True)
    archive = static_image(docker.layout.folder / "tmp" / "pause.tar", PAUSE_IMAGE, program(PAUSE, "pause"))
    docker.load_image(archive)
    docker.request("POST", "/containers/create?name=pause", b'{"Image": "%s"}' % PAUSE_IMAGE.encode())
    docker.request("POST", "/containers/pause/start")
    docker.kill()
    docker.start()
    assert docker.request("GET", "/containers/pause/json")["State"]["Running"]
    seen = processes(docker.layout)
    docker_down(name)
    assert_gone(before, docker.layout, seen)
