"""What a rolling upgrade by the chart rests on: replicas that come before others go, and time for these to go well."""

from __future__ import annotations

from typing import Any

import yaml

from tests.chart.rendered import CHART, Render, pick

EVERYTHING = ("--set", "worker.enabled=true,edge.enabled=true,matchmaker.replicas=2")
SHUTDOWN_S = 15  # of a service of ours at most: webapi lets requests under way end, for 5 s


def deployments(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All Deployments."""
    return [document for document in documents if document["kind"] == "Deployment"]


def test_a_replica_goes_only_when_its_successor_is_ready(rendered: Render) -> None:
    """Each Deployment keeps all of its replicas while they are replaced, and knows when a new one is ready."""
    found = deployments(rendered(*EVERYTHING))
    assert {it["metadata"]["name"] for it in found} >= {"muster-webapi", "muster-matchmaker", "muster-worker"}
    for it in found:
        assert it["spec"]["strategy"] == {
            "type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        }, it["metadata"]["name"]  # fmt: skip
        assert all("readinessProbe" in container for container in it["spec"]["template"]["spec"]["containers"])


def test_there_is_time_to_end_well(rendered: Render) -> None:
    """The grace is longer than what a pod waits before SIGTERM, for proxies to notice, and its shutdown together."""
    for it in deployments(rendered(*EVERYTHING)):
        pod = it["spec"]["template"]["spec"]
        waits = [
            c.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0) for c in pod["containers"]
        ]
        assert pod["terminationGracePeriodSeconds"] >= max(waits) + SHUTDOWN_S, it["metadata"]["name"]
        if it["metadata"]["name"] == "muster-webapi":
            probe = pod["containers"][0]["readinessProbe"]
            assert max(waits) > 0
            assert probe["httpGet"]["path"] == "/readyz"


def test_a_drain_of_nodes_takes_one_replica_at_a_time(rendered: Render) -> None:
    """Each service of several replicas has a budget that lets one go at once, and never none."""
    documents = rendered(*EVERYTHING)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for name in ("webapi", "matchmaker", "worker"):
        assert values[name]["disruption"] == {"enabled": True, "maxUnavailable": 1}
        budget = pick(documents, "PodDisruptionBudget", f"muster-{name}")
        deployment = pick(documents, "Deployment", f"muster-{name}")
        assert budget["spec"]["selector"] == deployment["spec"]["selector"]
