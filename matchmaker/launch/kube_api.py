"""Pods, and nodes' addresses, of the API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from core.errors import Misconfigured
from matchmaker.launch.kube_objects import Objects
from matchmaker.launch.kube_way import Way, open_way
from matchmaker.launch.node_addresses import Node
from matchmaker.launch.pod import Document
from matchmaker.launch.pod_state import Pod

OWN_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
LOG_BYTES: Final = 16_384
# What the kubelet answers, with 200, where it has removed the log.
NO_LOG: Final = ("failed to try resolving symlinks", "unable to retrieve container logs")

_node: Final = msgspec.json.Decoder(Node)


class PodApi(Protocol):
    """What the launcher needs. All raise KubeRefused or KubeAway."""

    async def create(self, document: Document) -> Pod: ...

    async def read(self, name: str) -> Pod: ...

    async def delete(self, name: str, grace_s: int, uid: str) -> None: ...

    async def logs(self, name: str, container: str, *, last_lines: int = 0, first_bytes: int = LOG_BYTES) -> str: ...

    async def list(self) -> tuple[list[Pod], str]: ...

    def watch(self, version: str) -> AsyncIterator[tuple[str, Pod]]: ...

    async def node(self, name: str) -> Node: ...


class KubePods:
    """The pods of one namespace that have these labels. Make one with `open_pods`."""

    def __init__(self, way: Way, namespace: str, labels: dict[str, Any], call_s: float) -> None:
        self._way, self._call_s = way, call_s
        self._pods = Objects(way, f"/api/v1/namespaces/{namespace}/pods", labels, call_s, Pod)

    async def create(self, document: Document) -> Pod:
        path = f"{self._pods.path}?fieldManager=muster"
        return self._pods.decoded(await self._way.call("POST", path, body=document, call_s=self._call_s))

    async def read(self, name: str) -> Pod:
        return await self._pods.read(name)

    async def delete(self, name: str, grace_s: int, uid: str) -> None:
        await self._pods.delete(name, grace_s, uid)

    async def logs(self, name: str, container: str, *, last_lines: int = 0, first_bytes: int = LOG_BYTES) -> str:
        """What a container wrote: at most `first_bytes` from its beginning, or from that of its last lines."""
        query = [("container", container), ("limitBytes", str(first_bytes))]
        if last_lines:
            query.append(("tailLines", str(last_lines)))
        found = await self._way.call("GET", f"{self._pods.path}/{name}/log", query, call_s=self._call_s)
        text = found.decode(errors="replace")
        return "" if text.startswith(NO_LOG) else text

    async def list(self) -> tuple[list[Pod], str]:
        """All pods, and the version of the whole to watch from."""
        return await self._pods.list()

    def watch(self, version: str) -> AsyncIterator[tuple[str, Pod]]:
        """As `Objects.watch`."""
        return self._pods.watch(version)

    async def node(self, name: str) -> Node:
        return _node.decode(await self._way.call("GET", f"/api/v1/nodes/{name}", call_s=self._call_s))


async def own_namespace(setting: str) -> str:
    """The namespace of our own pod. Raises Misconfigured, which names the setting that says another, outside one."""
    try:
        return await asyncio.to_thread(OWN_NAMESPACE.read_text)
    except OSError:
        raise Misconfigured("outside a pod the namespace must be named", setting=setting) from None


@asynccontextmanager
async def open_pods(kubeconfig: str, namespace: str, labels: dict[str, Any], call_s: float) -> AsyncIterator[KubePods]:
    """The pods with these labels, of `namespace` or else our own. Raises Misconfigured; nothing is asked yet."""
    async with open_way(kubeconfig) as way:
        yield KubePods(way, namespace or await own_namespace("MUSTER_KUBE_NAMESPACE"), labels, call_s)
