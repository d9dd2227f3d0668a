"""metrics-server, for tests that need it: the metrics API with the kubelet's own figures.

It is upstream's program; only how often it asks is shorter, and the kubelet's certificate is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.cluster.aggregated import Served, serving
from tests.cluster.binaries import METRICS_SERVER, program
from tests.cluster.cluster import Cluster

RESOLUTION: Final = "10s"  # the least that it takes; 60 s otherwise
SERVED: Final = Served(
    name="metrics-server",
    group="metrics.k8s.io",
    version="v1beta1",
    args=[
        f"--metric-resolution={RESOLUTION}",
        "--kubelet-request-timeout=5s",  # is to be less
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-insecure-tls",
    ],
    rights=[
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ],
    ready="/livez",
)


@contextmanager
def metrics_api(cluster: Cluster) -> Iterator[None]:
    """The cluster has a metrics API for as long as the context lasts. Figures of a pod appear after some 20 s."""
    with serving(cluster, SERVED, program(METRICS_SERVER, "metrics-server")):
        yield
