"""Fixtures: helm without a cluster, each test with both majors; what a cluster needs before the chart."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import yaml

from tests.chart.images import valkey_image
from tests.chart.operator_kinds import definitions
from tests.chart.rendered import Render, render
from tests.cluster.binaries import HELM3, HELM4, program
from tests.cluster.cluster import Cluster


@pytest.fixture(scope="session", params=[HELM3, HELM4], ids=["helm3", "helm4"])
def helm_program(request: pytest.FixtureRequest) -> str:
    """Path of helm."""
    return str(program(request.param, "helm"))


@pytest.fixture
def rendered(helm_program: str) -> Render:
    """A function from arguments of helm to the documents of the chart."""
    return partial(render, helm_program)


@pytest.fixture(scope="session")
def valkey_on_node(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The image of the bundled Redis is on the node."""
    cluster.import_image(valkey_image(tmp_path_factory.mktemp("images") / "valkey.tar"))


@pytest.fixture(scope="session")
def operator_kinds(cluster: Cluster) -> Iterator[None]:
    """The cluster knows ServiceMonitor, PodMonitor and PrometheusRule."""
    documents = [yaml.safe_load(path.read_text()) for path in definitions()]
    cluster.apply(*documents)
    names = [document["metadata"]["name"] for document in documents]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=180s", *(f"crd/{name}" for name in names))
    yield
    cluster.delete(*documents)
