"""The HorizontalPodAutoscaler: a real metrics API tells the CPU of webapi's pods, and load adds a replica."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.chart.images import REPOSITORY, TAG, valkey_image
from tests.chart.release import asked_all_the_time, prepared
from tests.chart.rendered import Document
from tests.cluster.api import until
from tests.cluster.binaries import HELM4
from tests.cluster.cluster import Cluster
from tests.cluster.fixture import Helm
from tests.cluster.metrics import metrics_api

pytestmark = pytest.mark.slow

SCALED_S = 120.0  # two readings of the kubelet, 10 s apart each, on busy cores


@pytest.mark.parametrize("helm", [HELM4], indirect=True, ids=["helm4"])
def test_load_adds_a_replica(
    cluster: Cluster, namespace: str, helm: Helm, python_image_name: str, tmp_path: Path
) -> None:
    """An idle pod of webapi is left alone; asked without a pause it uses more CPU than it should, and there are two."""
    cluster.import_image(valkey_image(tmp_path / "valkey.tar"))
    repository, _, tag = python_image_name.rpartition(":")
    values = tmp_path / "values.yaml"
    given = {
        "image": {"repository": repository, "tag": tag},
        "matchmaker": {"launcher": "instant"},
        "redis": {"image": {"repository": REPOSITORY, "tag": TAG}, "persistence": {"enabled": False}},
        "webapi": {"autoscaling": {"enabled": True, "minReplicas": 1, "maxReplicas": 2, "cpu": "20m"}},
    }
    values.write_text(yaml.safe_dump(given))
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/muster-webapi"
    deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/muster-webapi"
    with metrics_api(cluster), prepared(cluster, helm, namespace, str(values)) as release:
        release.install()
        idle = until(lambda: used(cluster.api.get(path)), "figures of an idle pod", within_s=SCALED_S)
        assert replicas(cluster.api.get(deployment)) == 1
        with asked_all_the_time(f"{release.url()}/v1/games") as failures:
            until(lambda: replicas(cluster.api.get(deployment)) == 2, "two replicas", within_s=SCALED_S)
        assert cluster.api.get(path)["status"]["desiredReplicas"] == 2
        assert idle != used(cluster.api.get(path))
        assert not failures


def replicas(deployment: Document) -> int:
    """How many are ready."""
    return int(deployment["status"].get("readyReplicas", 0))


def used(scaler: Document) -> str:
    """The CPU of a pod that the autoscaler last went by; '' while it knows none."""
    current = scaler["status"].get("currentMetrics") or [{}]
    return str(current[0].get("resource", {}).get("current", {}).get("averageValue", ""))
