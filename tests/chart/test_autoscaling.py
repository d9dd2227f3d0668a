"""The HorizontalPodAutoscaler: a real metrics API tells the CPU of webapi's pods, and load adds a replica."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.chart.images import REPOSITORY, TAG, valkey_image
from tests.chart.release import asked_all_the_time, prepared
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
    """One pod of webapi, asked without a pause, uses more CPU than it is meant to: there are two, both ready."""
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
        assert cluster.api.get(deployment)["status"]["readyReplicas"] == 1
        with asked_all_the_time(f"{release.url()}/v1/games") as failures:
            until(
                lambda: cluster.api.get(deployment)["status"].get("readyReplicas") == 2,
                f"two replicas; {cluster.api.get(path)['status']}",
                within_s=SCALED_S,
            )
        scaler = cluster.api.get(path)["status"]
        assert scaler["desiredReplicas"] == 2
        used = scaler["currentMetrics"][0]["resource"]["current"]["averageValue"]
        assert used != "0", scaler
        assert not failures
