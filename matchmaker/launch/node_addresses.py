"""Where players outside of the cluster reach a node: its ExternalIP, which no pod can see.

When a pod lands on a node that was not read lately, the node is read, and what players reach it by is written to Redis,
where the server looks just before it says Ready, half a second later. Nothing ever waits for this: where a lookup
fails the server tells what it sees itself, the node's InternalIP, and the next pod on that node asks again. One event
loop; lookups at once and nodes remembered are bounded, and Redis forgets a node that nobody renews.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct, field

from core import keys, log
from core.errors import Unavailable
from core.redis.client import Database
from matchmaker.launch.kube_errors import KubeAway, KubeRefused

FRESH_S: Final = 30.0  # a node of the same name and address keeps its ExternalIP at least so long
KEPT_S: Final = 3600  # in Redis; a pod that lands renews it
NODES_KEPT: Final = 10_000
LOOKUPS: Final = 8  # at once


class Address(Struct):
    type: str = ""
    address: str = ""


class NodeStatus(Struct):
    addresses: list[Address] = []


class Node(Struct):
    """The parts of a node that Muster reads."""

    status: NodeStatus = field(default_factory=NodeStatus)

    def all_of(self, kind: str) -> list[str]:
        """Its addresses of a kind, the preferred one first."""
        return [entry.address for entry in self.status.addresses if entry.type == kind]


class NodeAddresses:
    """See the module. `close` when done."""

    def __init__(self, read: Callable[[str], Awaitable[Node]], db: Database) -> None:
        self._read, self._db = read, db
        self._log = log.get("matchmaker.node_addresses")
        self._read_at: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._lookups = asyncio.Semaphore(LOOKUPS)
        self._failing = False

    def landed(self, node: str) -> None:
        """A pod is on this node: see to it that the node's address is known. Does not wait."""
        if node in self._tasks or time.monotonic() - self._read_at.get(node, float("-inf")) < FRESH_S:
            return
        task = self._tasks[node] = asyncio.create_task(self._learn(node))
        task.add_done_callback(lambda _: self._tasks.pop(node, None))

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _learn(self, node: str) -> None:
        try:
            async with self._lookups:
                found = await self._read(node)
            await self._tell(node, found)
        except (KubeRefused, KubeAway, Unavailable) as error:
            if not self._failing:  # once, not for each pod
                self._log.warning("players are told a node's internal address", node=node, error=str(error))
            self._failing = True
            return
        self._failing = False
        self._read_at.pop(node, None)
        self._read_at[node] = time.monotonic()
        while len(self._read_at) > NODES_KEPT:
            del self._read_at[next(iter(self._read_at))]

    async def _tell(self, node: str, found: Node) -> None:
        external = next(iter(found.all_of("ExternalIP")), "")
        # A server knows its node by an InternalIP: of two nodes that had one name in turn it cannot take the wrong one.
        for internal in found.all_of("InternalIP"):
            await self._db.do("SET", keys.node(node, internal), external, "EX", KEPT_S)
