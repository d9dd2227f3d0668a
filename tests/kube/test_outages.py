"""The cluster itself fails: a node is lost, the API server is away or asks for peace. No player loses by it."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from core.model import Limits, Ready, Server, Timers
from tests.cluster.api import ApiError
from tests.kube.ground import GAME, SMALL, Document, Ground, image_server, spec
from tests.matchmaker.support import match, over, queue, register, ticket
from tests.support import eventually

pytestmark = pytest.mark.slow

AWAY_S = 60.0
HELD_S = 10.0


async def test_a_lost_node(ground: Ground) -> None:
    """Its match is told lost, its players get another with their wait kept, and the pod is deleted for good."""
    ground.start(MUSTER_KUBE_LOST_S="3")  # its second server, on a busy node, is late by less than it may be
    timers = Timers(start_s=120, join_s=120, drain_s=1)
    await register(ground.db, GAME, spec(Server(arena={}, resources=SMALL), timers=timers, limits=Limits(tries=3)))
    name = await queue(ground.db, GAME, players=2)
    since = (await ticket(ground.db, GAME, name))["since_ms"]
    first, _ = await ground.running(name)
    server = await ground.matchmakers.server_of(first)
    with ground.cluster.without("kubelet"):
        server.kill()
        lost = await over(ground.db, GAME, first)
        assert (lost["state"], lost["reason"]) == ("FAILED", "server_lost")
        await ground.gone(first)
    second = await ground.requeued(name, first, since)
    assert list(ground.pods()) == [second]


async def test_the_api_server_is_away_for_a_minute(ground: Ground) -> None:
    """A match that ends meanwhile ended as it did; players stay in the queue and then get one match, wait kept."""
    ground.start(MUSTER_VANISHED_S="600")
    code = "import time; time.sleep(45); raise SystemExit(0)"
    server = image_server(ground.image, code, ready=Ready(when="delay", delay_s=0.1))
    # The cluster itself may take a minute to recover: until then the node counts as unreachable.
    await register(ground.db, GAME, spec(server, timers=Timers(start_s=150, drain_s=1)))
    first, _ = await ground.running(await queue(ground.db, GAME, players=2))
    with ground.without_api_server():
        begun = time.monotonic()
        names = [await queue(ground.db, GAME, players=2) for _ in range(3)]
        before = [await ticket(ground.db, GAME, name) for name in names]
        await asyncio.sleep(AWAY_S - (time.monotonic() - begun))
        assert (await match(ground.db, GAME, first))["state"] == "RUNNING"
    found = await over(ground.db, GAME, first, within_s=120.0)
    assert (found["state"], found["reason"]) == ("ENDED", "exited")
    matches = [(await ground.running(name, within_s=120.0))[0] for name in names]
    for name, told in zip(names, before, strict=True):
        after = await ticket(ground.db, GAME, name)
        assert (after["since_ms"], after.get("tries", "0")) == (told["since_ms"], told.get("tries", "0"))
    assert ground.pods().keys() - {first} == set(matches)
    await ground.gone(first)


@asynccontextmanager
async def held_off(ground: Ground) -> AsyncIterator[None]:
    """Inside, the API server answers 429 to the narrow account, whatever it asks."""
    name, group = ground.namespace, "flowcontrol.apiserver.k8s.io/v1"
    none = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0}
    account = {"name": "narrow", "namespace": ground.namespace}
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    rule = {
        "subjects": [{"kind": "ServiceAccount", "serviceAccount": account}],
        "resourceRules": [everything],
    }
    documents: list[Document] = [
        {
            "apiVersion": group,
            "kind": "PriorityLevelConfiguration",
            "metadata": {"name": name},
            "spec": {"type": "Limited", "limited": none | {"limitResponse": {"type": "Reject"}}},
        },
        {
            "apiVersion": group,
            "kind": "FlowSchema",
            "metadata": {"name": name},
            "spec": {
                "priorityLevelConfiguration": {"name": name},
                "matchingPrecedence": 100,
                "rules": [rule],
            },
        },
    ]
    ground.cluster.apply(*documents)
    hogs: list[asyncio.StreamWriter] = []
    try:
        await eventually(lambda: turned_away(ground, hogs), within_s=60.0, every_s=0.2)
        yield
    finally:
        ground.cluster.delete(*reversed(documents))
        for hog in hogs:
            hog.close()


async def turned_away(ground: Ground, hogs: list[asyncio.StreamWriter]) -> bool:
    """Whether the narrow account gets 429, once the API server has taken in the FlowSchema.

    A level without seats still serves one request at a time; a hog is one that never sends its body.
    """
    url, token = ground.cluster.api.url, ground.narrow_token()
    context = ssl.create_default_context(cafile=str(ground.cluster.layout.secrets / "ca.crt"))
    path, authority = f"/api/v1/namespaces/{ground.namespace}/pods", url.removeprefix("https://")
    host, port = authority.split(":")
    _, hog = await asyncio.open_connection(host, int(port), ssl=context)
    hogs.append(hog)
    head = f"POST {path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n"
    hog.write(f"{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n".encode())

    def ask() -> int:
        request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, context=context, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    await asyncio.sleep(0.2)  # for the hog to have its seat
    return await asyncio.to_thread(ask) == 429


def rejected(ground: Ground) -> int:
    """How often the API server has turned the narrow account away, by its own count."""
    text = ground.cluster.api.text("/metrics")
    line = rf'^apiserver_flowcontrol_rejected_requests_total{{flow_schema="{ground.namespace}",[^}}]*}} (\S+)$'
    return int(sum(float(count) for count in re.findall(line, text, re.MULTILINE)))


async def test_an_api_server_that_asks_for_peace(ground: Ground) -> None:
    """While it answers 429 it is asked now and then, however many matches wait; then each is started, wait kept."""
    kubeconfig = ground.narrow_kubeconfig(["create", "delete", "get", "list", "watch"])
    ground.start(MUSTER_KUBE_CONFIG=kubeconfig)
    await register(ground.db, GAME, spec(Server(arena={"time_limit_s": 300}, resources=SMALL)))
    over_soon, _ = await ground.running(await queue(ground.db, GAME, players=2))
    async with held_off(ground):
        before, begun = rejected(ground), time.monotonic()
        await ground.db.call("match_step", f"muster:{{{GAME}}}", over_soon, "finish", 0, "", "stopped", "", 0, 0)
        names = [await queue(ground.db, GAME, players=2) for _ in range(4)]
        since = [(await ticket(ground.db, GAME, name))["since_ms"] for name in names]
        await asyncio.sleep(HELD_S)
        # Creates and deletes are each tried after pauses of a second and more; unbounded they would be a hundred.
        asked = rejected(ground) - before
        assert asked <= 2 * (time.monotonic() - begun)

        async def tried() -> bool:
            return rejected(ground) - before >= 2

        await eventually(tried, within_s=20.0)
        waiting = [await ticket(ground.db, GAME, name) for name in names]
        assert {found["state"] for found in waiting} <= {"QUEUED", "SEARCHING", "PLACING"}
    matches = [(await ground.running(name))[0] for name in names]
    assert [(await ticket(ground.db, GAME, name))["since_ms"] for name in names] == since
    await ground.gone(over_soon)
    assert sorted(ground.pods()) == sorted(matches)


@pytest.mark.parametrize("right", [True, False], ids=["with-the-right", "without"])
async def test_the_address_of_a_node(ground: Ground, right: bool) -> None:
    """Players are told a node's ExternalIP; where nodes may not be read, the match goes on with the InternalIP."""
    verbs = ["create", "delete", "get", "list", "watch"]
    kubeconfig = ground.narrow_kubeconfig(verbs, nodes=right)
    path = f"/api/v1/nodes/{ground.cluster.node}/status"
    external = {"status": {"addresses": [{"type": "ExternalIP", "address": "203.0.113.7"}]}}

    async def keep() -> None:
        while True:  # the kubelet, which knows of none, takes it away again every ten seconds
            kind = "application/strategic-merge-patch+json"
            with suppress(OSError, ApiError):  # a busy API server is late; the next one tells it
                await asyncio.to_thread(ground.cluster.api.send, "PATCH", path, external, kind)
            await asyncio.sleep(0.1)

    keeping = asyncio.create_task(keep())
    try:
        ground.start(MUSTER_KUBE_CONFIG=kubeconfig, MUSTER_KUBE_NODE_ADDRESSES="true")
        await register(ground.db, GAME, spec(Server(arena={}, resources=SMALL)))
        wanted = "203.0.113.7" if right else ground.cluster.address
        for _ in range(5 if right else 1):  # the node may just have had no ExternalIP, and then that is right too
            _, connection = await ground.running(await queue(ground.db, GAME, players=2))
            if connection["address"] == wanted:
                break
        assert connection["address"] == wanted
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        gone = {"status": {"addresses": [{"type": "ExternalIP", "$patch": "delete"}]}}
        ground.cluster.api.send("PATCH", path, gone, "application/strategic-merge-patch+json")
