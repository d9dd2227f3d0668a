"""What players reach a node by: read when a pod lands on it, and written where its servers look."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core import keys
from core.redis.client import Database
from matchmaker.launch import node_addresses
from matchmaker.launch.kube_errors import KubeAway, KubeRefused
from matchmaker.launch.node_addresses import Address, Node, NodeAddresses, NodeStatus
from tests.support import eventually


def a_node(**addresses: str) -> Node:
    """A node with these addresses by kind."""
    return Node(NodeStatus([Address(kind, address) for kind, address in addresses.items()]))


class Cluster:
    """Nodes by name; `fail` is raised instead, `asked` counts."""

    def __init__(self, **nodes: Node) -> None:
        self.nodes, self.asked = nodes, 0
        self.fail: Exception | None = None

    async def node(self, name: str) -> Node:
        self.asked += 1
        if self.fail is not None:
            raise self.fail
        return self.nodes[name]


async def known(db: Database, name: str, address: str, wanted: str) -> None:
    """Wait until the node's public address is this one."""

    async def it_is() -> bool:
        return bool(await db.do("GET", keys.node(name, address)) == wanted)

    await eventually(it_is)


async def asked(cluster: Cluster, times: int) -> None:
    """Wait until so many nodes were asked for."""

    async def were() -> bool:
        return cluster.asked >= times

    await eventually(were)


async def test_a_node_with_an_external_address(db: Database) -> None:
    """It is known by its name and its address inside, for a while; one without is known to have none."""
    both = a_node(Hostname="a", InternalIP="10.0.0.1", ExternalIP="203.0.113.1")
    nodes = NodeAddresses(Cluster(a=both, b=a_node(InternalIP="10.0.0.2")).node, db)
    nodes.landed("a")
    nodes.landed("b")
    await known(db, "a", "10.0.0.1", "203.0.113.1")
    await known(db, "b", "10.0.0.2", "")
    assert 0 < await db.do("TTL", keys.node("a", "10.0.0.1")) <= node_addresses.KEPT_S
    await nodes.close()


async def test_pods_that_land_together_ask_once(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node is asked for once in a while, however many pods land on it; then its new address is told."""
    cluster = Cluster(a=a_node(InternalIP="10.0.0.1", ExternalIP="203.0.113.1"))
    nodes = NodeAddresses(cluster.node, db)
    for _ in range(5):
        nodes.landed("a")
    await known(db, "a", "10.0.0.1", "203.0.113.1")
    nodes.landed("a")
    assert cluster.asked == 1
    cluster.nodes["a"] = a_node(InternalIP="10.0.0.1", ExternalIP="203.0.113.9")
    monkeypatch.setattr(node_addresses, "FRESH_S", -1.0)

    async def told_again() -> Any:
        nodes.landed("a")
        return await db.do("GET", keys.node("a", "10.0.0.1")) == "203.0.113.9"

    await eventually(told_again)
    await nodes.close()


@pytest.mark.parametrize("error", [KubeAway("away"), KubeRefused(403, "Forbidden", "no right")])
async def test_a_lookup_that_fails(db: Database, error: Exception) -> None:
    """What was known stays, and the next pod on the node asks again."""
    cluster = Cluster(a=a_node(InternalIP="10.0.0.1", ExternalIP="203.0.113.1"))
    cluster.fail = error
    nodes = NodeAddresses(cluster.node, db)
    nodes.landed("a")
    await asked(cluster, 1)
    await asyncio.sleep(0)
    cluster.fail = None

    async def told() -> Any:
        nodes.landed("a")
        return await db.do("GET", keys.node("a", "10.0.0.1")) == "203.0.113.1"

    await eventually(told)
    await nodes.close()


async def test_nodes_remembered_are_bounded(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nodes come and go for months, the one asked for longest ago is asked for again."""
    monkeypatch.setattr(node_addresses, "NODES_KEPT", 2)
    cluster = Cluster(**{name: a_node(InternalIP="10.0.0.1", ExternalIP=f"of {name}") for name in "abc"})
    nodes = NodeAddresses(cluster.node, db)
    for name in "abc":
        nodes.landed(name)
        await known(db, name, "10.0.0.1", f"of {name}")
    for name in "bc":
        nodes.landed(name)
    assert cluster.asked == 3

    async def asked_again() -> bool:
        nodes.landed("a")  # forgotten once it is done with "c", which is a little after that was told
        return cluster.asked == 4

    await eventually(asked_again)
    await nodes.close()
