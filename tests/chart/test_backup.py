"""The chart's backups on a real cluster: taken by its CronJob, put back by its job."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from core.cli.rest import Answer, Rest
from tests.chart.images import REPOSITORY, TAG
from tests.chart.release import NAME, Release, prepared
from tests.chart.rendered import Document
from tests.cluster.binaries import HELM4
from tests.cluster.cluster import Cluster
from tests.cluster.fixture import Helm
from tests.cluster.sandbox import SandboxError

pytestmark = pytest.mark.slow

CLAIM: Document = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "backups"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}},
}
SERVICES = ("deployment/muster-webapi", "deployment/muster-matchmaker")


@pytest.fixture
def values(python_image_name: str, valkey_on_node: None, tmp_path: Path) -> str:
    """A release that backs up to a volume, and copies without waiting for further replicas."""
    repository, _, tag = python_image_name.rpartition(":")
    document = {
        "image": {"repository": repository, "tag": tag},
        "matchmaker": {"launcher": "instant"},
        "redis": {"image": {"repository": REPOSITORY, "tag": TAG}, "persistence": {"size": "100Mi", "retain": False}},
        "backup": {"enabled": True, "keep": 2, "volumeClaim": CLAIM["metadata"]["name"], "scratch": "64Mi"},
    }
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def run(release: Release, cron_job: str) -> str:
    """Run what a CronJob would, now; what it said."""

    def kubectl(*words: str) -> str:
        return release.cluster.kubectl("--namespace", release.namespace, *words)

    kubectl("create", "job", f"--from=cronjob/{cron_job}", cron_job)
    try:
        kubectl("wait", "--for=condition=Complete", "--timeout=300s", f"job/{cron_job}")
    except SandboxError as error:
        told = kubectl("get", "events,pods"), kubectl("logs", f"job/{cron_job}", "--tail=40")
        raise AssertionError("\n".join(told)) from error
    return kubectl("logs", f"job/{cron_job}")


@pytest.mark.parametrize("helm", [HELM4], indirect=True, ids=["helm4"])
def test_what_was_backed_up_comes_back(cluster: Cluster, namespace: str, helm: Helm, values: str) -> None:
    """An account of before the backup is there again, one of after it is not."""
    cluster.apply(CLAIM | {"metadata": CLAIM["metadata"] | {"namespace": namespace}})
    with prepared(cluster, helm, namespace, values) as release:
        release.install()
        api = Rest(release.url())
        before = api.call("POST", "/v1/guests", {"name": "Ada"})["access_token"]
        assert "muster-" in run(release, "muster-backup")
        after = api.call("POST", "/v1/guests", {"name": "Bob"})["access_token"]

        for service in SERVICES:
            cluster.kubectl("--namespace", namespace, "scale", service, "--replicas=0")
        pods = f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component=webapi"
        cluster.kubectl("--namespace", namespace, "wait", "--for=delete", "--timeout=180s", "pod",
                        "--selector", pods)  # fmt: skip
        assert "restored" in run(release, "muster-restore")
        release.upgrade()  # which brings the services back

        assert Rest(release.url(), before).call("GET", "/v1/me")["name"] == "Ada"
        with pytest.raises(Answer):
            Rest(release.url(), after).call("GET", "/v1/me")
