"""What a pod says of its server, and what an answer of the API server means."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from matchmaker.launch.base import LaunchRefused, LaunchRetryable
from matchmaker.launch.kube_errors import KubeAway, KubeRefused, as_launch_error, asked_s, is_passing
from matchmaker.launch.pod_state import Pod, host_ports, is_pending, seen

META = {
    "name": "m-1",
    "uid": "u",
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "labels": {"muster.dev/match": "m-1", "muster.dev/game": "tanks"},
}


def a_pod(container: str = "game", *, meta: dict[str, Any] | None = None, **status: Any) -> Pod:
    """A pod as the API server writes it."""
    spec = {
        "nodeName": "node-1",
        "containers": [
            {
                "name": container,
                "image": "example/game",
                "ports": [{"containerPort": 1, "hostPort": 20_001, "protocol": "UDP"}, {"containerPort": 2}],
                "resources": {"limits": {"memory": "64Mi"}},
            }
        ],
    }
    return msgspec.convert({"metadata": META | (meta or {}), "spec": spec, "status": status}, Pod, strict=False)


def ended(code: int, reason: str = "Error", message: str = "", name: str = "game") -> dict[str, Any]:
    """The statuses of a container that has ended."""
    state = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return {"containerStatuses": [{"name": name, "state": state}]}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """The statuses of a container that waits."""
    return {"containerStatuses": [{"name": "game", "state": {"waiting": {"reason": reason, "message": message}}}]}


def test_one_that_runs() -> None:
    """It is neither ended nor stuck, and takes its ports of the node."""
    pod = a_pod(phase="Running")
    server = seen(pod)
    assert (server.match, server.game, server.ended, server.stuck) == ("m-1", "tanks", False, False)
    assert server.since_ms == 1_767_225_600_000
    assert host_ports(pod) == [("UDP", 20_001)]
    assert not is_pending(pod)


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (ended(0, "Completed"), 0, "exited with code 0"),
        (ended(7), 7, "exited with code 7"),
        (ended(139), 139, "ended by signal 11"),
        (ended(137, "OOMKilled"), 137, r"more memory than its limit \(64Mi\)"),
        ({"phase": "Failed", "reason": "Evicted", "message": "disk"}, None, "ended: Evicted: disk"),
        (ended(137) | {"phase": "Failed", "reason": "Evicted", "message": "disk"}, None, "ended: Evicted: disk"),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, None, "ended: DeadlineExceeded"),
        ({"phase": "Failed"}, None, "its pod ended"),
    ],
)
def test_how_it_ended(status: dict[str, Any], code: int | None, says: str) -> None:
    """The exit code of the game, and a sentence that names the cause."""
    server = seen(a_pod(**status))
    assert server.ended
    assert server.remains
    assert server.exit_code == code
    assert re.search(says, server.detail)


def test_its_last_words() -> None:
    """The last lines of its log come with its end."""
    assert seen(a_pod(**ended(1, message="one\ntwo\n"))).output == ("one", "two")
    assert seen(a_pod(**ended(1, message="Error on reading termination message from logs: no such file"))).output == ()


def test_who_tells() -> None:
    """The arena tells its match how it ended; of another game the exit code does."""
    assert seen(a_pod("gamepod", **ended(0, name="gamepod"))).tells
    assert not seen(a_pod()).tells


def test_one_that_somebody_deletes() -> None:
    """How a game takes its deletion is not how the match went: there is no exit code."""
    server = seen(a_pod(meta={"deletionTimestamp": "2026-01-01T00:01:00Z"}, **ended(0)))
    assert (server.ended, server.stopping, server.exit_code) == (True, True, None)
    assert server.detail == "its pod was deleted"


def test_one_that_is_gone() -> None:
    """It has ended, and nothing remains of it."""
    server = seen(a_pod(phase="Running"), gone=True)
    assert (server.ended, server.remains, server.detail) == (True, False, "its pod was deleted")


def test_one_that_was_evicted() -> None:
    """The condition of a disruption is the reason, where the status has none."""
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drain"}
    assert "EvictionByEvictionAPI: drain" in seen(a_pod(phase="Running", conditions=[condition]), gone=True).detail


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"]
)
def test_one_that_is_stuck(reason: str) -> None:
    """A container that cannot be made is told with its image and the kubelet's words."""
    server = seen(a_pod(phase="Pending", **waiting(reason, "no such image")))
    assert server.stuck
    assert not server.ended
    assert server.detail == f"the container 'game' of image 'example/game' cannot start: {reason}: no such image"


def test_one_that_waits() -> None:
    """Making the containers takes a while, and is no reason for anything."""
    server = seen(a_pod(phase="Pending", **waiting("ContainerCreating")))
    assert (server.stuck, server.homeless, server.detail) == (False, False, "")


def test_one_that_no_node_takes() -> None:
    """The scheduler's words are told; it may still find a node."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    server = seen(a_pod(phase="Pending", conditions=[condition]))
    assert (server.stuck, server.detail) == (False, "no node takes it: Unschedulable: 0/1 nodes")
    assert server.homeless


@pytest.mark.parametrize(
    ("status", "message", "kind", "says"),
    [
        (
            403,
            'pods is forbidden: User "u" cannot create resource "pods" in API group ""',
            LaunchRefused,
            "lacks a right",
        ),
        (403, 'pods "m-1" is forbidden: exceeded quota: games', LaunchRetryable, "no room"),
        (403, 'pods "m-1" is forbidden: violates PodSecurity "restricted"', LaunchRefused, "does not admit"),
        (404, 'namespaces "games" not found', LaunchRefused, "namespace"),
        (422, "spec.containers[0].image: Required value", LaunchRefused, "Required value"),
        (400, "unknown field", LaunchRefused, "unknown field"),
        (401, "Unauthorized", LaunchRetryable, "401"),
        (409, "quota was changed", LaunchRetryable, "409"),
        (429, "too many requests", LaunchRetryable, "429"),
        (503, "apiserver is shutting down", LaunchRetryable, "503"),
    ],
)
def test_answers_of_the_api_server(status: int, message: str, kind: type[Exception], says: str) -> None:
    """What asking again does not change is refused, the rest is put off, both in the API server's words."""
    error = as_launch_error(KubeRefused(status, "", message))
    assert type(error) is kind
    assert says in str(error)


def test_no_answer() -> None:
    """An API server that is away puts the start off, and asks for nothing."""
    assert isinstance(as_launch_error(KubeAway("away")), LaunchRetryable)
    assert is_passing(KubeAway("away"))
    assert asked_s(KubeAway("away")) == 0.0


def test_what_passes_by_itself() -> None:
    """The same call may pass later, after as long as the API server asks for; a refusal stays one."""
    assert is_passing(KubeRefused(429, "TooManyRequests", "", 3.0))
    assert asked_s(KubeRefused(429, "TooManyRequests", "", 3.0)) == 3.0
    assert not is_passing(KubeRefused(422, "Invalid", "wrong"))
