"""The README's section on Kubernetes, word for word: an operator who types it has a match in a pod, and no rest."""

from __future__ import annotations

import json
import os
import re
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest

from tests.chart.images import saved, valkey_image
from tests.chart.readme import commands, running
from tests.chart.rendered import ROOT, default_image
from tests.cluster.binaries import HELM4, program
from tests.cluster.cluster import Cluster
from tests.docker.rig import TAG

pytestmark = pytest.mark.slow

NAMESPACE = "games"  # as the README has it
BUILT = ("muster/gamepod", "muster/service", "example/shifumi")
DONE_S = 480.0  # images start, are upgraded, go: two busy cores


@pytest.fixture
def images_on_the_node(
    cluster: Cluster,
    client: docker.DockerClient,
    images: dict[str, docker.models.images.Image],
    tmp_path: Path,
) -> None:
    """What `make images` builds, with its tag, and the Redis of the chart's values."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name in BUILT:
        client.images.get(f"{name}:{TAG}").tag(name, version)
        archive = saved(client, f"{name}:{version}", tmp_path / "image.tar")
        cluster.import_image(archive)
        archive.unlink()
    cluster.import_image(valkey_image(tmp_path / "valkey.tar", default_image("redis")))


@dataclass
class Seen:
    """Pods of the namespace while the commands run."""

    servers: set[str] = field(default_factory=set)
    gone_first: bool = False  # the last server was gone while the services still ran

    def look(self, cluster: Cluster) -> None:
        """Look once."""
        found = cluster.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
        labels = {pod["metadata"]["name"]: pod["metadata"]["labels"] for pod in found}
        servers = {name for name, has in labels.items() if "muster.dev/match" in has}
        self.servers |= servers
        self.gone_first |= bool(self.servers and labels and not servers)


def test_the_readme_s_commands_work_as_they_stand(cluster: Cluster, images_on_the_node: None, tmp_path: Path) -> None:
    """Secrets, install, `helm test`, a game, two players, its pod comes and goes, upgrade, a developer, uninstall.

    Run on the node's network, where the ports that are forwarded are nobody else's.
    """
    log, seen = tmp_path / "commands.log", Seen()
    enter = ["nsenter", f"--target={cluster.sandbox.pid()}", "--net", "--"]
    deadline = time.monotonic() + DONE_S
    try:
        with running(commands("#### On Kubernetes"), log, environment(cluster, tmp_path), enter) as shell:
            while shell.poll() is None and time.monotonic() < deadline:
                seen.look(cluster)
                time.sleep(0.1)
            said = log.read_text()
            assert shell.returncode == 0, said
        assert re.search(r"^Phase: +Succeeded$", said, re.MULTILINE), said
        assert sorted(re.findall(r"^(?:won|lost)$", said, re.MULTILINE)) == ["lost", "won"], said
        assert len(seen.servers) == 1
        assert re.search(rf"^{seen.servers.pop()} ", said, re.MULTILINE), said
        assert seen.gone_first
        answers = [json.loads(line) for line in re.findall(r"^\{.*\}", said, re.MULTILINE)]
        assert [(a.get("id"), a.get("name"), a.get("role")) for a in answers] == [
            ("shifumi", None, None),
            (None, "my-studio", "developer"),
        ], said
        assert not cluster.api.exists(f"/api/v1/namespaces/{NAMESPACE}")
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")  # where they did not get so far


def environment(cluster: Cluster, home: Path) -> dict[str, str]:
    """An operator's shell: kubectl and helm on PATH, a kubeconfig, nothing of ours."""
    folders = [program(HELM4, "helm").parent, cluster.kubectl_program.parent]
    path = ":".join([*map(str, folders), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(home), "KUBECONFIG": str(cluster.kubeconfig)}
