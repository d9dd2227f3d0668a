"""metrics-server, for tests that need it: the metrics API with the kubelet's own figures, as pure documents.

It is upstream's program with upstream's rights; only how often it asks is shorter, and the kubelet's certificate, which
nobody signed here, is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.cluster.api import until
from tests.cluster.binaries import METRICS_SERVER, program
from tests.cluster.cluster import Cluster, condition
from tests.cluster.images import static_image

Document = dict[str, Any]

IMAGE: Final = "muster.test/metrics-server:1"
NAMESPACE: Final = "kube-system"
NAME: Final = "metrics-server"
LABELS: Final = {"k8s-app": NAME}
API: Final = "v1beta1.metrics.k8s.io"
PORT: Final = 10250
RESOLUTION: Final = "10s"  # the least that it takes; 60 s otherwise
START_S: Final = 60.0


@contextmanager
def metrics_api(cluster: Cluster) -> Iterator[None]:
    """The cluster has a metrics API for as long as the context lasts. Figures of a pod appear after some 20 s."""
    archive = cluster.layout.folder / "images" / f"{NAME}.tar"
    cluster.import_image(static_image(archive, IMAGE, program(METRICS_SERVER, NAME)))
    made = documents()
    cluster.apply(*made)
    try:
        path = f"/apis/apiregistration.k8s.io/v1/apiservices/{API}"
        until(lambda: condition(cluster.api.get(path), "Available") == "True", "metrics API", within_s=START_S)
        yield
    finally:
        cluster.delete(*made)


def documents() -> list[Document]:
    """All that it takes: an account with rights, one pod, and the API server told where it is."""
    service = {"name": NAME, "namespace": NAMESPACE, "port": 443}
    api = {"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100}
    ports = [{"name": "https", "port": 443, "targetPort": "https"}]
    return [
        *account(),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata(),
            "spec": {"selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}, "spec": pod()}},
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata(), "spec": {"selector": LABELS, "ports": ports}},
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API, "labels": LABELS},
            "spec": {**api, "service": service, "insecureSkipTLSVerify": True},
        },
    ]


def account() -> Iterator[Document]:
    """Its account: it reads nodes' metrics, and asks the API server who asks it and what they may."""
    rbac = "rbac.authorization.k8s.io/v1"
    role = f"system:{NAME}"
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata()}
    yield {"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": role}, "rules": rules}
    yield binding("ClusterRoleBinding", {"name": role}, "ClusterRole", role)
    yield binding("ClusterRoleBinding", {"name": f"{NAME}:delegator"}, "ClusterRole", "system:auth-delegator")
    yield binding("RoleBinding", metadata(f"{NAME}-reader"), "Role", "extension-apiserver-authentication-reader")


def binding(kind: str, name: Document, role_kind: str, role: str) -> Document:
    """The role is the account's."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": name,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }


def pod() -> Document:
    """Its pod."""
    often = [
        f"--metric-resolution={RESOLUTION}",
        "--kubelet-request-timeout=5s",
    ]  # the one is to be less than the other
    arguments = [f"--secure-port={PORT}", "--cert-dir=/tmp", *often]
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": [*arguments, "--kubelet-preferred-address-types=InternalIP", "--kubelet-insecure-tls"],
        "ports": [{"name": "https", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/livez", "port": "https", "scheme": "HTTPS"}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    return {
        "serviceAccountName": NAME,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def metadata(name: str = NAME) -> Document:
    """Of an object in the system's namespace."""
    return {"name": name, "namespace": NAMESPACE, "labels": LABELS}
