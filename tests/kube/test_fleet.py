"""Many servers at once, on fake nodes of the real API server."""

from __future__ import annotations

import asyncio

import pytest

from matchmaker.launch.kubernetes import KubernetesLauncher
from tests.cluster.fake_nodes import FakeNodes
from tests.kube.fake_servers import FakeServers, fake_servers
from tests.kube.fleet import fleet_env, fleet_game, fleet_settings
from tests.kube.ground import GAME, Ground, a_match
from tests.matchmaker.support import match, queue, register, ticket
from tests.support import eventually

pytestmark = pytest.mark.slow

SERVERS = 200
MATCHES = 100


async def test_hundreds_of_servers(ground: Ground) -> None:
    """All of them start, each on ports of its own; a launcher that comes later knows them; all of them end."""
    matches = [a_match() for _ in range(SERVERS)]
    async with FakeNodes(ground.cluster.api, 4), ground.launcher(**fleet_settings()) as first:
        await asyncio.gather(*(first.start(made) for made in matches))
        await eventually(lambda: placed(first), within_s=180.0)
        pods = ground.pods()
        assert sorted(pods) == sorted(made.id for made in matches)
        ports = [
            (port["protocol"], port["hostPort"])
            for pod in pods.values()
            for port in pod["spec"]["containers"][0]["ports"]
        ]
        assert len(set(ports)) == len(ports) == 3 * SERVERS
        async with ground.launcher(**fleet_settings()) as second:
            assert sorted(await second.seen()) == sorted(pods)
            assert second.room() == first.room() == 10_000 - SERVERS
            await asyncio.gather(*(second.stop(made.id, 1.0) for made in matches))
            await ground.gone(within_s=180.0)

            async def all_ended() -> bool:
                return all(server.ended for server in (await first.seen()).values()) and first.room() == 10_000

            await eventually(all_ended)


async def test_a_matchmaker_with_a_hundred_matches(ground: Ground) -> None:
    """Every ticket is played, each match in a pod of its own; when they are over no pod and no live match is left."""
    # The servers are this process, and late together; that none is judged by its silence is not what is shown.
    ground.start(**fleet_env(), MUSTER_BEAT_TIMEOUT_S="60")
    await register(ground.db, GAME, fleet_game(MATCHES))
    url = ground.matchmakers.env["REDIS_URL"]
    async with fake_servers(url) as servers, FakeNodes(ground.cluster.api, 4, program=servers):
        tickets = [await queue(ground.db, GAME, players=2) for _ in range(MATCHES)]
        await eventually(lambda: all_ready(servers), within_s=180.0)
        found = [await ticket(ground.db, GAME, name) for name in tickets]
        assert {told["state"] for told in found} == {"COMPLETED"}
        assert sorted(ground.pods()) == sorted(told["match"] for told in found)
        while servers.ready:
            servers.finish()
        await ground.gone(within_s=180.0)
        ends = [await match(ground.db, GAME, told["match"]) for told in found]
        assert {(end["state"], end["reason"]) for end in ends} == {("ENDED", "finished")}
        assert await ground.db.do("ZCARD", f"muster:{{{GAME}}}:live") == 0


async def all_ready(servers: FakeServers) -> bool:
    """Whether every match is played."""
    return servers.ready == MATCHES


async def placed(made: KubernetesLauncher) -> bool:
    """Whether every pod has a node."""
    return made.pending == 0
