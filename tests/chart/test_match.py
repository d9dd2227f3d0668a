"""A match in a pod: the chart with its defaults, played over UDP through an upgrade of everything else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from tests.chart.images import REPOSITORY, TAG, valkey_image
from tests.chart.players import completed, queue, register_tanks
from tests.chart.release import prepared
from tests.cluster.api import until
from tests.cluster.binaries import HELM3
from tests.cluster.cluster import Cluster
from tests.cluster.fixture import Helm
from tests.duel import fly

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("helm", [HELM3], indirect=True, ids=["helm3"])  # test_readme.py plays one with Helm 4
async def test_a_match_in_a_pod_plays_through_an_upgrade(
    cluster: Cluster, namespace: str, helm: Helm, python_image_name: str, tmp_path: Path
) -> None:
    """Its pod and its players do not notice that webapi and matchmaker are replaced; at its end the pod goes."""
    cluster.import_image(valkey_image(tmp_path / "valkey.tar"))
    repository, _, tag = python_image_name.rpartition(":")
    image = {"repository": repository, "tag": tag}
    redis = {"image": {"repository": REPOSITORY, "tag": TAG}, "persistence": {"enabled": False}}
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"image": image, "games": {"image": image}, "redis": redis}))
    with prepared(cluster, helm, namespace, str(values), admin="root") as release:
        release.install("--set", "secrets.admin=true")
        register_tanks(release, release.url())
        seats = [await asyncio.to_thread(queue, release.url(), name) for name in ("Ada", "Grace")]
        tickets = [await asyncio.to_thread(completed, player, ticket) for player, ticket in seats]
        match = tickets[0]["match"]
        over, playing = asyncio.Event(), [asyncio.Event() for _ in tickets]
        players = [
            asyncio.create_task(fly(t["connection"], t["join_token"], started, over))
            for t, started in zip(tickets, playing, strict=True)
        ]
        for started in playing:
            async with asyncio.timeout(60):
                await started.wait()
        old = release.pods()
        assert match in old
        await asyncio.to_thread(release.upgrade, "--set", "secrets.admin=true,logging.level=debug")
        await asyncio.to_thread(
            until, lambda: release.pods() & old == {"muster-redis-0", match}, "services replaced", within_s=180
        )
        before = [task for task in players if task.done()]
        over.set()
        snapshots = await asyncio.gather(*players)
        assert not before
        assert min(snapshots) > 100
        await asyncio.to_thread(until, lambda: match not in release.pods(), "pod gone", within_s=180)
