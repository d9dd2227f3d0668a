"""What is in the cluster from the start, as pure documents: CoreDNS with the rights that upstream gives it, volumes.

Volumes are of the kind `local`: unlike `hostPath` they take the group that a pod asks for (`fsGroup`), as those of a
cloud do. Nothing makes new ones and a used one is not used again, so there are a few more than tests claim.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tests.cluster.components import DNS_DOMAIN
from tests.cluster.layout import Layout

Document = dict[str, Any]

IMAGE: Final = "muster.test/coredns:1"
NAMESPACE: Final = "kube-system"
NAME: Final = "coredns"
LABELS: Final = {"k8s-app": "kube-dns"}  # by which NetworkPolicies of charts find it
STORAGE_CLASS: Final = "standard"
VOLUMES: Final = 20
PORT: Final = 1053  # one that needs no rights

# No `forward`: outside the cluster there is nobody to ask, and such names are refused at once.
COREFILE: Final = f""".:{PORT} {{
    errors
    health
    ready
    kubernetes {DNS_DOMAIN} in-addr.arpa ip6.arpa
    cache 30
}}
"""


def volumes(layout: Layout) -> list[Document]:
    """The default StorageClass and the volumes that claims of it get."""
    marks = {"storageclass.kubernetes.io/is-default-class": "true"}
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS, "annotations": marks},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    return [storage_class, *(volume(layout, number) for number in range(VOLUMES))]


def volume_folder(layout: Layout, number: int) -> Path:
    """Where on the node a volume's files are; it has to be there before a pod uses it.

    In the store, so in memory where that is plentiful: a Redis on it would wait for a busy disk.
    """
    return layout.store / "volumes" / str(number)


def volume(layout: Layout, number: int) -> Document:
    """One volume, on the only real node."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [layout.hostname]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"volume-{number}"},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "local": {"path": str(volume_folder(layout, number))},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def metadata(name: str = NAME) -> Document:
    return {"name": name, "namespace": NAMESPACE, "labels": LABELS}


def coredns(layout: Layout) -> list[Document]:
    """Everything that has to be applied for CoreDNS to answer at the cluster's DNS address."""
    watched = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    rbac = "rbac.authorization.k8s.io/v1"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata()},
        {"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": "system:coredns"}, "rules": watched},
        {
            "apiVersion": rbac,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": role,
            "subjects": [subject],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(), "data": {"Corefile": COREFILE}},
        deployment(),
        service(layout),
    ]


def deployment() -> Document:
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": PORT, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": PORT, "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    pod = {
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}],
    }
    spec = {"selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}, "spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(), "spec": spec}


def service(layout: Layout) -> Document:
    ports = [
        {"name": "dns", "port": 53, "targetPort": "dns", "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "targetPort": "dns-tcp", "protocol": "TCP"},
    ]
    spec = {"clusterIP": layout.dns_address, "selector": LABELS, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata("kube-dns"), "spec": spec}
