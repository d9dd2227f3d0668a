"""The HorizontalPodAutoscaler: load adds a replica, by the CPU of pods and by metrics of the application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.images import REPOSITORY, TAG
from tests.chart.release import Release, asked_all_the_time, prepared
from tests.chart.rendered import CHART, Document
from tests.cluster.api import until
from tests.cluster.binaries import HELM4
from tests.cluster.cluster import Cluster
from tests.cluster.external_metrics import external_metrics
from tests.cluster.fixture import Helm
from tests.cluster.metrics import metrics_api

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("helm", [HELM4], indirect=True, ids=["helm4"])]

SCALED_S = 240.0  # two readings of the kubelet, 10 s apart each, on busy cores
METRICS_PORT = 8000
ASKED = "/v1/games"
RULES = CHART / "files" / "prometheus-adapter.yaml"
REQUESTS, DELAY = "muster_webapi_requests_per_second", "muster_webapi_delay_seconds"


@pytest.fixture
def release(
    cluster: Cluster, namespace: str, helm: Helm, python_image_name: str, valkey_on_node: None, tmp_path: Path
) -> Iterator[Release]:
    """A release without servers, not installed yet; one replica of webapi, and a second one where it is needed."""
    repository, _, tag = python_image_name.rpartition(":")
    values = tmp_path / "values.yaml"
    given = {
        "image": {"repository": repository, "tag": tag},
        "matchmaker": {"launcher": "instant"},
        "redis": {"image": {"repository": REPOSITORY, "tag": TAG}, "persistence": {"enabled": False}},
        "webapi": {"autoscaling": {"enabled": True, "minReplicas": 1, "maxReplicas": 2, "scaleDownSeconds": 5}},
    }
    values.write_text(yaml.safe_dump(given))
    with prepared(cluster, helm, namespace, str(values)) as made:
        yield made


def test_load_adds_a_replica(release: Release) -> None:
    """An idle pod of webapi is left alone; asked without a pause it uses more CPU than it should, and there are two."""
    with metrics_api(release.cluster):
        release.install("--set", "webapi.autoscaling.cpu=20m")
        idle = until(lambda: followed(release, "resource"), "figures of an idle pod", within_s=SCALED_S)
        assert replicas(release) == 1
        with asked_all_the_time(f"{release.url()}{ASKED}") as failures:
            until(lambda: replicas(release) == 2, "two replicas", within_s=SCALED_S)
            # While it is asked: five seconds later it may be about to have one again.
            assert scaler(release)["status"]["desiredReplicas"] == 2
            assert idle != followed(release, "resource")
        assert not failures


@pytest.mark.usefixtures("operator_kinds")
def test_requests_and_delay_scale_it(release: Release) -> None:
    """By the rules that the chart has for prometheus-adapter: requests per second of each pod, then how long they take.

    Each adds a replica while it is above its target, and once it is below there is one again.
    """
    install = ["--set", "monitoring.monitors.enabled=true", *by({"name": REQUESTS, "averageValue": 10})]
    with external(release):
        release.install(*install)
        up_and_down(release)
        # A thousandth of a second, which every request takes that asks Redis.
        release.upgrade("--set", "monitoring.monitors.enabled=true", *by({"name": DELAY, "value": "1m"}))
        up_and_down(release)


def up_and_down(release: Release) -> None:
    """One replica without load, two under load, and one without."""
    until(lambda: followed(release, "external") == "0", "a figure without load", within_s=SCALED_S)
    assert replicas(release) == 1
    with asked_all_the_time(f"{release.url()}{ASKED}") as failures:
        until(lambda: replicas(release) == 2, "two replicas", within_s=SCALED_S)
        until(lambda: followed(release, "external") not in ("", "0"), "a figure under load", within_s=SCALED_S)
    assert not failures
    until(lambda: replicas(release) == 1, "one replica again", within_s=SCALED_S)


@contextmanager
def external(release: Release) -> Iterator[None]:
    """The chart's rules are external metrics of the release's namespace; they look back for less long than a minute."""
    rules: list[Document] = yaml.safe_load(RULES.read_text())["rules"]["external"]
    for rule in rules:
        assert "[1m]" in rule["metricsQuery"]
        rule["metricsQuery"] = rule["metricsQuery"].replace("[1m]", "[10s]")
    service = "muster-webapi-metrics"
    with external_metrics(release.cluster, release.namespace, service, METRICS_PORT, rules):
        yield


def by(metric: dict[str, Any]) -> list[str]:
    """Arguments of helm for an autoscaler that follows this metric and nothing else."""
    path = "webapi.autoscaling"
    fields = (f"{path}.external[0].{name}={value}" for name, value in metric.items())
    return [part for field in (f"{path}.cpu=", *fields) for part in ("--set", field)]


def replicas(release: Release) -> int:
    """How many pods of webapi there are, all of them ready."""
    path = f"/apis/apps/v1/namespaces/{release.namespace}/deployments/muster-webapi"
    status = release.cluster.api.get(path)["status"]
    ready = int(status.get("readyReplicas", 0))
    return ready if ready == status["replicas"] else 0


def scaler(release: Release) -> Document:
    """The autoscaler."""
    path = f"/apis/autoscaling/v2/namespaces/{release.namespace}/horizontalpodautoscalers/muster-webapi"
    return release.cluster.api.get(path)


def followed(release: Release, kind: str) -> str:
    """The figure that the autoscaler last went by, of each pod or of all; '' while it knows none."""
    current = scaler(release)["status"].get("currentMetrics") or [{}]
    value = current[0].get(kind, {}).get("current", {})
    return str(value.get("averageValue", value.get("value", "")))
