"""APIs that a pod serves and the API server passes on, as pure documents: an account, a pod, and where it is.

For upstream's programs, statically linked, with upstream's rights. Their certificates, which nobody signed here, are
not checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster.api import until
from tests.cluster.cluster import Cluster, condition
from tests.cluster.images import static_image

Document = dict[str, Any]

NAMESPACE: Final = "kube-system"
PORT: Final = 10250
START_S: Final = 180.0
CONFIG: Final = "/etc/config"  # where its files are
RBAC: Final = "rbac.authorization.k8s.io/v1"


@dataclass(frozen=True)
class Served:
    """One API, and who serves it."""

    name: str
    group: str
    version: str
    args: Sequence[str]
    rights: Sequence[Document]  # rules of its ClusterRole
    ready: str  # path of its readiness
    files: Mapping[str, str] | None = None  # name -> text, in CONFIG

    @property
    def image(self) -> str:
        return f"muster.test/{self.name}:1"

    @property
    def labels(self) -> dict[str, str]:
        return {"k8s-app": self.name}

    def metadata(self, name: str = "") -> Document:
        """Of an object in the system's namespace."""
        return {"name": name or self.name, "namespace": NAMESPACE, "labels": self.labels}


@contextmanager
def serving(cluster: Cluster, served: Served, program: Path) -> Iterator[None]:
    """The cluster has this API for as long as the context lasts."""
    archive = cluster.layout.folder / "images" / f"{served.name}.tar"
    cluster.import_image(static_image(archive, served.image, program))
    made = documents(served)
    cluster.apply(*made)
    try:
        path = f"/apis/apiregistration.k8s.io/v1/apiservices/{served.version}.{served.group}"
        until(lambda: condition(cluster.api.get(path), "Available") == "True", served.group, within_s=START_S)
        yield
    finally:
        cluster.delete(*made)


def documents(served: Served) -> list[Document]:
    """All that it takes: an account with rights, one pod, and the API server told where it is."""
    labels = served.labels
    service = {"name": served.name, "namespace": NAMESPACE, "port": 443}
    api = {"group": served.group, "version": served.version, "groupPriorityMinimum": 100, "versionPriority": 100}
    ports = [{"name": "https", "port": 443, "targetPort": "https"}]
    return [
        *account(served),
        *config(served),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": served.metadata(),
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod(served)},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": served.metadata(),
            "spec": {"selector": labels, "ports": ports},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{served.version}.{served.group}", "labels": labels},
            "spec": {**api, "service": service, "insecureSkipTLSVerify": True},
        },
    ]


def account(served: Served) -> Iterator[Document]:
    """Its account: its own rights, and it asks the API server who asks it and what they may."""
    role = f"system:{served.name}"
    reader = "extension-apiserver-authentication-reader"
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": served.metadata()}
    yield {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": role}, "rules": list(served.rights)}
    yield binding(served, "ClusterRoleBinding", {"name": role}, "ClusterRole", role)
    yield binding(served, "ClusterRoleBinding", {"name": f"{role}:delegator"}, "ClusterRole", "system:auth-delegator")
    yield binding(served, "RoleBinding", served.metadata(f"{served.name}-reader"), "Role", reader)


def binding(served: Served, kind: str, name: Document, role_kind: str, role: str) -> Document:
    """The role is the account's."""
    return {
        "apiVersion": RBAC,
        "kind": kind,
        "metadata": name,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": served.name, "namespace": NAMESPACE}],
    }


def config(served: Served) -> Iterator[Document]:
    """Its files, if it has any."""
    if served.files:
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": served.metadata(), "data": dict(served.files)}


def pod(served: Served) -> Document:
    """Its pod."""
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]
    volumes: list[Document] = [{"name": "tmp", "emptyDir": {}}]
    if served.files:
        mounts.append({"name": "config", "mountPath": CONFIG})
        volumes.append({"name": "config", "configMap": {"name": served.name}})
    container = {
        "name": served.name,
        "image": served.image,
        "imagePullPolicy": "Never",
        "args": [f"--secure-port={PORT}", "--cert-dir=/tmp", *served.args],
        "ports": [{"name": "https", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": served.ready, "port": "https", "scheme": "HTTPS"}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts,
    }
    return {
        "serviceAccountName": served.name,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": volumes,
    }
