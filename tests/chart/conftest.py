"""Fixtures: helm without a cluster, each test with both majors."""

from __future__ import annotations

from functools import partial

import pytest

from tests.chart.rendered import Render, render
from tests.cluster.binaries import HELM3, HELM4, program


@pytest.fixture(scope="session", params=[HELM3, HELM4], ids=["helm3", "helm4"])
def helm_program(request: pytest.FixtureRequest) -> str:
    """Path of helm."""
    return str(program(request.param, "helm"))


@pytest.fixture
def rendered(helm_program: str) -> Render:
    """A function from arguments of helm to the documents of the chart."""
    return partial(render, helm_program)
