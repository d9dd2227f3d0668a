"""Pods that are there before their match, with a real matchmaker on the real cluster."""

from __future__ import annotations

import json

import pytest

from core import keys
from core.model import Ready, Resources, Server, SupplySpec, WarmSpec
from tests.kube.ground import GAME, SMALL, Ground, image_server, spec
from tests.matchmaker.support import match, over, queue, register
from tests.support import eventually
from tests.told_game import SOURCE

pytestmark = pytest.mark.slow

POOL = SupplySpec(warm=WarmSpec(servers=1))


async def ready(ground: Ground, game: str = GAME) -> str:
    """The one pod that waits, once it is ready."""

    async def waits() -> str:
        found = await ground.db.do("ZRANGE", f"{keys.game(game)}:standbys", 0, -1)
        state = await ground.db.do("HGET", keys.standby(game, found[0]), "state") if len(found) == 1 else ""
        return str(found[0]) if state == "Ready" else ""

    return await eventually(waits, within_s=120)


async def test_a_game_in_a_warm_pod_is_told_of_its_match_by_watch(ground: Ground) -> None:
    """A stranger's game waits in a pod, is allocated, and its watch brings match, roster and settings."""
    ground.start()
    server = image_server(ground.image, SOURCE, ready=Ready(when="sdk"))
    await register(ground.db, GAME, spec(server, supply=POOL))
    name = await ready(ground)
    made, _ = await ground.running(await queue(ground.db, GAME, players=2))
    assert (await match(ground.db, GAME, made))["standby"] == name
    ended = await over(ground.db, GAME, made)
    assert (ended["reason"], json.loads(ended["result"])) == ("exited", {"exit_code": 0}), ground.report()
    await ground.gone(name)
    await ready(ground)  # the pool has another


async def test_a_warm_pod_outlives_its_matchmaker_and_a_deleted_one_is_replaced(ground: Ground) -> None:
    """After kill -9 the next matchmaker knows the pod that waits; one that somebody deletes is replaced."""
    ground.start()
    await register(ground.db, GAME, spec(Server(arena={"time_limit_s": 300}, resources=SMALL), supply=POOL))
    name = await ready(ground)
    ground.matchmakers.processes[0].kill()
    ground.matchmakers.processes[0].wait()
    ground.start()
    made, _ = await ground.running(await queue(ground.db, GAME, players=2))
    assert (await match(ground.db, GAME, made))["standby"] == name
    second = await ready(ground)
    ground.cluster.kubectl("delete", "pod", second, f"--namespace={ground.namespace}", "--wait=false")

    async def replaced() -> bool:
        return await ready(ground) != second

    await eventually(replaced, within_s=120)
    assert (await match(ground.db, GAME, made))["state"] == "RUNNING"


async def test_a_warm_pod_gives_way_where_the_node_is_full(ground: Ground) -> None:
    """A match of another game whose pod no node takes: the pod that waits ends, and the match is played instead."""
    ground.start()
    node = ground.cluster.api.get(f"/api/v1/nodes/{ground.cluster.node}")
    large = Resources(cpu=round(0.6 * float(node["status"]["allocatable"]["cpu"]), 2), memory_mib=64)
    server = Server(arena={"time_limit_s": 300}, resources=large)
    await register(ground.db, "idle", spec(server, supply=POOL))
    name = await ready(ground, "idle")
    await register(ground.db, GAME, spec(server))
    await ground.running(await queue(ground.db, GAME, players=2))
    assert await ground.db.do("HGET", keys.standby("idle", name), "reason") == "gave_way", ground.report()
