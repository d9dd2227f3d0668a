"""A namespace on the real cluster, with a Redis that its pods reach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.kube.ground import Ground, matchmaker_env
from tests.matchmaker.support import matchmakers
from tests.support import patient_database


@pytest.fixture
async def ground(
    cluster: Cluster, namespace: str, python_image_name: str, cluster_redis: str, tmp_path: Path
) -> AsyncIterator[Ground]:
    """See `Ground`."""
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "muster-redis", "namespace": namespace},
            "stringData": {"url": cluster_redis},
        }
    )
    async with patient_database(cluster_redis) as db:
        await db.do("FLUSHALL")
        with matchmakers(cluster_redis, tmp_path) as made:
            made.env.update(matchmaker_env(cluster, namespace, python_image_name, cluster_redis))
            ground = Ground(cluster, namespace, python_image_name, db, made)
            yield ground
            print(ground.report())  # shown where the test failed
