"""External metrics, for tests that need them: a real Prometheus, and prometheus-adapter, which serves what it knows.

Prometheus is Debian's and finds pods by the headless Service that leads to them. The adapter is upstream's; only how
often the two look is shorter.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.cluster.aggregated import CONFIG, Served, serving
from tests.cluster.binaries import PROMETHEUS_ADAPTER, program
from tests.cluster.cluster import Cluster
from tests.cluster.images import write_image
from tests.cluster.python_image import shared_libraries

Document = dict[str, Any]

EVERY: Final = "2s"  # Prometheus asks, and looks for new pods
NAME: Final = "prometheus"
IMAGE: Final = "muster.test/prometheus:1"
PORT: Final = 9090
CONFIG_FILE: Final = "config.json"  # JSON is YAML too


@contextmanager
def external_metrics(
    cluster: Cluster, namespace: str, service: str, port: int, rules: Sequence[Document]
) -> Iterator[None]:
    """Inside, the adapter's `rules` are external metrics of the namespace, from what the service's pods tell."""
    archive = cluster.layout.folder / "images" / f"{NAME}.tar"
    cluster.import_image(prometheus_image(archive))
    made = prometheus(namespace, f"{service}.{namespace}.svc.cluster.local", port)
    cluster.apply(*made)
    try:
        cluster.wait_for_pod(NAME, namespace)
        with serving(cluster, adapter(namespace, rules), program(PROMETHEUS_ADAPTER, "adapter")):
            yield
    finally:
        cluster.delete(*made)


def adapter(namespace: str, rules: Sequence[Document]) -> Served:
    """prometheus-adapter with these rules for external metrics."""
    return Served(
        name="prometheus-adapter",
        group="external.metrics.k8s.io",
        version="v1beta1",
        args=[
            f"--prometheus-url=http://{NAME}.{namespace}.svc:{PORT}/",
            f"--config={CONFIG}/{CONFIG_FILE}",
            "--metrics-relist-interval=5s",  # 10 min otherwise
        ],
        rights=[
            {"apiGroups": [""], "resources": ["namespaces", "pods", "services"], "verbs": ["get", "list", "watch"]}
        ],
        ready="/readyz",
        files={CONFIG_FILE: json.dumps({"externalRules": list(rules)})},
    )


def prometheus_image(archive: Path) -> Path:
    """The archive of an image with Debian's Prometheus."""
    found = shutil.which(NAME)
    assert found, "no prometheus here: apt-get install prometheus"
    files = {"/prometheus": Path(found), "/data/": b"", **shared_libraries([Path(found)])}
    return write_image(archive, IMAGE, [files], entrypoint=["/prometheus"])


def prometheus(namespace: str, host: str, port: int) -> list[Document]:
    """Prometheus, which reads the metrics of every address that the host has."""
    named = {"name": NAME, "namespace": namespace, "labels": {"app": NAME}}
    found = {"names": [host], "type": "A", "port": port, "refresh_interval": EVERY}
    # As the operator's monitors do: whose metrics they are.
    labels = [{"target_label": "namespace", "replacement": namespace}]
    job = {"job_name": NAME, "dns_sd_configs": [found], "relabel_configs": labels}
    text = json.dumps({"global": {"scrape_interval": EVERY}, "scrape_configs": [job]})
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": [f"--config.file={CONFIG}/{CONFIG_FILE}", "--storage.tsdb.path=/data", f"--web.listen-address=:{PORT}"],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": CONFIG}, {"name": "data", "mountPath": "/data"}],
    }
    volumes = [{"name": "config", "configMap": {"name": NAME}}, {"name": "data", "emptyDir": {}}]
    spec = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 1}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": {CONFIG_FILE: text}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": named,
            "spec": {"selector": {"app": NAME}, "ports": [{"port": PORT}]},
        },
    ]
