"""Many servers at once, on fake nodes of the real API server."""

from __future__ import annotations

import asyncio

import pytest

from matchmaker.launch.kubernetes import KubernetesLauncher
from tests.cluster.fake_nodes import FakeNodes
from tests.kube.fleet import fleet_settings
from tests.kube.ground import Ground, a_match
from tests.support import eventually

pytestmark = pytest.mark.slow

SERVERS = 200


async def test_hundreds_of_servers(ground: Ground) -> None:
    """All of them start, each on ports of its own; a launcher that comes later knows them; all of them end."""
    matches = [a_match() for _ in range(SERVERS)]
    async with FakeNodes(ground.cluster.api, 4), ground.launcher(**fleet_settings()) as first:
        await asyncio.gather(*(first.start(match) for match in matches))
        await eventually(lambda: placed(first), within_s=60.0)
        pods = ground.pods()
        assert sorted(pods) == sorted(match.id for match in matches)
        ports = [
            (port["protocol"], port["hostPort"])
            for pod in pods.values()
            for port in pod["spec"]["containers"][0]["ports"]
        ]
        assert len(set(ports)) == len(ports) == 3 * SERVERS
        async with ground.launcher(**fleet_settings()) as second:
            assert sorted(await second.seen()) == sorted(pods)
            assert second.room() == first.room() == 10_000 - SERVERS
            await asyncio.gather(*(second.stop(match.id, 1.0) for match in matches))
            await ground.gone(within_s=60.0)

            async def all_ended() -> bool:
                return all(server.ended for server in (await first.seen()).values()) and first.room() == 10_000

            await eventually(all_ended)


async def placed(made: KubernetesLauncher) -> bool:
    """Whether every pod has a node."""
    return made.pending == 0
