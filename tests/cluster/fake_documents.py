"""What a kubelet would write about its node and its pods, as pure functions: the documents of `fake_nodes.py`."""

from __future__ import annotations

import datetime
from typing import Any, Final

Document = dict[str, Any]

LABEL: Final = "muster.test/fake"  # "true" on each fake node
TAINT: Final = {"key": LABEL, "value": "true", "effect": "NoSchedule"}
LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LEASE_S: Final = 40


def timestamp(at: datetime.datetime, *, micros: bool = False) -> str:
    """As the API takes it: Time in whole seconds, MicroTime with six digits."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micros else "%Y-%m-%dT%H:%M:%SZ")


def node_document(name: str, *, tainted: bool) -> Document:
    """A node as it registers."""
    labels = {LABEL: "true", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    spec = {"taints": [TAINT]} if tainted else {}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec}


def node_status(number: int, pods: int, at: datetime.datetime) -> Document:
    """A large node that is well. Its addresses are of the range for documentation (RFC 5737), which nobody has."""
    resources = {"cpu": "256", "memory": "1Ti", "pods": str(pods), "ephemeral-storage": "1Ti"}
    ready = {"type": "Ready", "status": "True", "reason": "Fake", "message": "no kubelet, no machine"}
    return {
        "capacity": resources,
        "allocatable": resources,
        "conditions": [{**ready, "lastHeartbeatTime": timestamp(at), "lastTransitionTime": timestamp(at)}],
        "addresses": [{"type": "InternalIP", "address": f"203.0.113.{number % 254 + 1}"}],
        "nodeInfo": dict.fromkeys(NODE_INFO, "fake"),
    }


NODE_INFO: Final = (
    "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion",
    "kubeProxyVersion", "operatingSystem", "architecture",
)  # fmt: skip


def lease_document(name: str, at: datetime.datetime) -> Document:
    """The heartbeat: the node controller believes in a node whose lease was renewed."""
    spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_S, "renewTime": timestamp(at, micros=True)}
    metadata = {"name": name, "namespace": "kube-node-lease"}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def running_status(pod: Document, at: datetime.datetime) -> Document:
    """A pod all of whose containers run and are ready. Native sidecars do, other init containers are done."""
    address = pod_address(pod["metadata"]["uid"])
    started = {"running": {"startedAt": timestamp(at)}}
    return {
        "phase": "Running",
        "conditions": conditions("True", at),
        "startTime": timestamp(at),
        "podIP": address,
        "podIPs": [{"ip": address}],
        "containerStatuses": [container(entry, started) for entry in pod["spec"]["containers"]],
        "initContainerStatuses": [
            container(entry, started if entry.get("restartPolicy") == "Always" else terminated(at, 0, ""))
            for entry in pod["spec"].get("initContainers", [])
        ],
    }


def ended_status(pod: Document, at: datetime.datetime, exit_code: int, reason: str) -> Document:
    """A pod all of whose containers have ended with this exit code."""
    state = terminated(at, exit_code, reason)
    return {
        "phase": "Succeeded" if exit_code == 0 else "Failed",
        "conditions": conditions("False", at),
        "containerStatuses": [container(entry, state) for entry in pod["spec"]["containers"]],
        "initContainerStatuses": [
            container(entry, terminated(at, 0, "")) for entry in pod["spec"].get("initContainers", [])
        ],
    }


def conditions(ready: str, at: datetime.datetime) -> list[Document]:
    """A pod's conditions; Ready and ContainersReady have the status given."""
    statuses = {"PodScheduled": "True", "Initialized": "True", "ContainersReady": ready, "Ready": ready}
    return [{"type": kind, "status": status, "lastTransitionTime": timestamp(at)} for kind, status in statuses.items()]


def container(entry: Document, state: Document) -> Document:
    """Status of one container in this state."""
    runs = "running" in state
    return {
        "name": entry["name"],
        "image": entry["image"],
        "imageID": "",
        "containerID": f"fake://{entry['name']}",
        "ready": runs,
        "started": runs,
        "restartCount": 0,
        "state": state,
    }


def terminated(at: datetime.datetime, exit_code: int, reason: str) -> Document:
    """The state of a container that has ended; the reason is what a kubelet would give, if none is given."""
    why = reason or ("Completed" if exit_code == 0 else "Error")
    return {
        "terminated": {"exitCode": exit_code, "reason": why, "startedAt": timestamp(at), "finishedAt": timestamp(at)}
    }


def pod_address(uid: str) -> str:
    """An address of the range for benchmarks (RFC 2544), which nobody has; the same for the same pod."""
    value = int(uid[:4], 16)
    return f"198.18.{value >> 8}.{value & 255}"
