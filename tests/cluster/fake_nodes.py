"""Nodes without a machine: real Node objects on the real API server, whose pods become Ready by a patch of their state.

For tests of thousands of pods. API server, etcd, scheduler and controllers do all their work; only the kubelet's part
is played here, as it looks from outside: a heartbeat for each node, Running and Ready for each pod that was scheduled
to one, and the last delete of a pod that is to go. No container runs, but `program` may play what runs in it: it is
called with each pod that starts, what it returns is the exit code, and it is cancelled when its pod is to go.

    async with FakeNodes(cluster.api, 20) as nodes: ...

One asyncio task watches, one sends heartbeats, and a bounded number of short ones patch. Pods have to tolerate the
taint `TAINT` (others, such as CoreDNS, must not land here), unless `tainted=False`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson

from tests.cluster import fake_documents as documents
from tests.cluster.api import Api
from tests.cluster.fake_documents import LABEL, LEASES, TAINT

Document = dict[str, Any]
Program = Callable[[Document], Awaitable[int]]

HEARTBEAT_S: Final = 10.0  # a kubelet's
WATCH_S: Final = 300
IN_FLIGHT: Final = 64  # patches and deletes at once: beyond this the API server only queues them
EVENT_BYTES: Final = 1 << 21  # one event is one line; the largest object that etcd takes is 1.5 MiB
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
GONE: Final = {"gracePeriodSeconds": 0}


@dataclass
class FakeNodes:
    """`count` fake nodes for as long as the context lasts. Their pods and they themselves are deleted at its end."""

    api: Api
    count: int
    pods_per_node: int = 250
    start_s: float = 0.0  # scheduled -> Ready
    stop_s: float = 0.0  # deleted -> gone
    tainted: bool = True
    prefix: str = "fake"
    program: Program | None = None
    _session: aiohttp.ClientSession = field(init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _loops: list[asyncio.Task[None]] = field(default_factory=list)
    _handled: set[tuple[str, str]] = field(default_factory=set)  # (uid, what was begun)
    _programs: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # by uid
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))

    @property
    def names(self) -> list[str]:
        """Names of the nodes."""
        return [f"{self.prefix}-{number}" for number in range(self.count)]

    async def __aenter__(self) -> FakeNodes:
        self._session = self.api.session(IN_FLIGHT)
        try:
            await asyncio.gather(*(self._register(number, name) for number, name in enumerate(self.names)))
        except BaseException:
            await self._session.close()
            raise
        self._loops = [asyncio.create_task(self._watch()), asyncio.create_task(self._beat())]
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._loops, *self._tasks, *self._programs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with self._session:
            pods = (await self._get("/api/v1/pods"))["items"]
            await asyncio.gather(*(self._remove(pod) for pod in pods if self._is_ours(pod)))
            for name in self.names:
                await self._delete(f"/api/v1/nodes/{name}")
                await self._delete(f"{LEASES}/{name}")

    async def end(self, namespace: str, name: str, exit_code: int = 0, reason: str = "") -> None:
        """Let the containers of a pod end, as if its program did: Succeeded for exit code 0, else Failed."""
        await self._end(await self._get(f"/api/v1/namespaces/{namespace}/pods/{name}"), exit_code, reason)

    # Nodes

    async def _register(self, number: int, name: str) -> None:
        with ignored(409):  # a run that was killed left it: it is ours now, with its pods
            await self._send("POST", "/api/v1/nodes", documents.node_document(name, tainted=self.tainted))
        with ignored(409):
            await self._send("POST", LEASES, documents.lease_document(name, now()))
        await self._patch(
            f"/api/v1/nodes/{name}/status", {"status": documents.node_status(number, self.pods_per_node, now())}
        )

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for name in self.names:
                with contextlib.suppress(aiohttp.ClientError):  # the API server is away: so would a kubelet's be lost
                    await self._patch(f"{LEASES}/{name}", {"spec": documents.lease_document(name, now())["spec"]})

    # Pods

    async def _watch(self) -> None:
        """List, then watch from there; from the start again whenever that ends, for whatever reason."""
        while True:
            try:
                listed = await self._get("/api/v1/pods")
                for pod in listed["items"]:
                    self._see(pod)
                async for event in self._events(listed["metadata"]["resourceVersion"]):
                    if event["type"] == "ERROR":
                        break  # 410: too old to go on from
                    if event["type"] == "DELETED":
                        self._forget(event["object"])
                    else:
                        self._see(event["object"])
            except (aiohttp.ClientError, TimeoutError, ValueError):
                await asyncio.sleep(0.2)

    async def _events(self, version: str) -> AsyncIterator[Document]:
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_S)}
        no_limit = aiohttp.ClientTimeout(total=None)
        async with self._session.get(
            "/api/v1/pods", params=query, timeout=no_limit, read_bufsize=EVENT_BYTES
        ) as answer:
            async for line in answer.content:
                yield orjson.loads(line)

    def _see(self, pod: Document) -> None:
        """Begin what a kubelet would do about a pod in this state, once."""
        if not self._is_ours(pod):
            return
        if "deletionTimestamp" in pod["metadata"]:
            self._once(pod, "stop", self._stop)
        elif pod["status"].get("phase") == "Pending":
            self._once(pod, "start", self._start)

    def _once(self, pod: Document, what: str, do: Any) -> None:
        key = (pod["metadata"]["uid"], what)
        if key not in self._handled:
            self._handled.add(key)
            self._spawn(do(pod), key)

    def _spawn(self, work: Coroutine[Any, Any, None], key: tuple[str, str]) -> None:
        async def bounded() -> None:
            try:
                await work
            except (aiohttp.ClientError, TimeoutError):
                self._handled.discard(key)  # tried again when the pod is seen next

        task = asyncio.create_task(bounded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget(self, pod: Document) -> None:
        """It is gone: whatever ran in it is killed."""
        uid = pod["metadata"]["uid"]
        if (program := self._programs.get(uid)) is not None:
            program.cancel()
        for what in ("start", "stop"):
            self._handled.discard((uid, what))

    async def _start(self, pod: Document) -> None:
        await asyncio.sleep(self.start_s)
        uid, told = pod["metadata"]["uid"], asyncio.Event()
        if self.program is not None and uid not in self._programs:
            started = self._programs[uid] = asyncio.create_task(self._run(self.program, pod, told))
            started.add_done_callback(lambda _: self._programs.pop(uid, None))
        try:
            async with self._slots:
                await self._patch(f"{path_of(pod)}/status", {"status": documents.running_status(pod, now())})
        finally:
            told.set()

    async def _run(self, program: Program, pod: Document, told: asyncio.Event) -> None:
        exit_code = await program(pod)
        await told.wait()  # that it ran is told before that it ended
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            await self._end(pod, exit_code, "")

    async def _end(self, pod: Document, exit_code: int, reason: str) -> None:
        status = documents.ended_status(pod, now(), exit_code, reason)
        async with self._slots:
            await self._patch(f"{path_of(pod)}/status", {"status": status})

    async def _stop(self, pod: Document) -> None:
        await asyncio.sleep(self.stop_s)
        if (program := self._programs.get(pod["metadata"]["uid"])) is not None:
            program.cancel()
            await asyncio.gather(program, return_exceptions=True)
        async with self._slots:
            await self._remove(pod)

    async def _remove(self, pod: Document) -> None:
        await self._delete(path_of(pod), {**GONE, "preconditions": {"uid": pod["metadata"]["uid"]}})

    def _is_ours(self, pod: Document) -> bool:
        return str(pod["spec"].get("nodeName", "")).startswith(f"{self.prefix}-")

    # Requests

    async def _get(self, path: str) -> Document:
        async with self._session.get(path) as answer:
            document: Document = orjson.loads(await answer.read())
            return document

    async def _send(self, method: str, path: str, body: Document, headers: dict[str, str] | None = None) -> None:
        async with self._session.request(method, path, json=body, headers=headers) as answer:
            await answer.read()

    async def _patch(self, path: str, body: Document) -> None:
        with ignored(404):
            await self._send("PATCH", path, body, MERGE)

    async def _delete(self, path: str, options: Document | None = None) -> None:
        with ignored(404, 409):  # gone, or another of the same name is there by now
            await self._send("DELETE", path, options or GONE)


@contextlib.contextmanager
def ignored(*statuses: int) -> Iterator[None]:
    """Refusals that mean there is nothing left to do."""
    try:
        yield
    except aiohttp.ClientResponseError as error:
        if error.status not in statuses:
            raise


def path_of(pod: Document) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


__all__ = ["LABEL", "TAINT", "FakeNodes"]
