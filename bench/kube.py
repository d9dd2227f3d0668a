"""A real cluster for benches: the tests' one, with an image, a Redis that pods reach, a namespace and a matchmaker.

Each figure of Muster stands beside that of a bare pod of the same image in the same run, because machines differ.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from bench.harness import say
from core.model import GameSpec, Port, Server, Timers
from core.redis.client import open_database
from core.redis.embedded import find_server
from matchmaker.launch.host_ports import kind_of
from tests.cluster.api import until
from tests.cluster.cluster import Cluster, down, running, up
from tests.cluster.python_image import python_image
from tests.kube.ground import Ground, matchmaker_env
from tests.matchmaker.support import matchmakers

Document = dict[str, Any]

IMAGE: Final = "muster.test/python:1"
REDIS_PORT: Final = 16379
NAMESPACE: Final = "bench"
PLAYERS: Final = 2


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """The cluster that was started by hand, else one for this run."""
    if (by_hand := running()) is not None:
        yield by_hand
        return
    name = f"bench-{os.getpid()}"
    say("starting a cluster")
    try:
        yield up(name, tied=True)
    finally:
        down(name)


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """A namespace with all that matches in pods need; no matchmaker runs yet."""
    with cluster() as made, made.namespace(NAMESPACE) as namespace, tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "python.tar"
        made.import_image(python_image(archive, IMAGE))
        url = f"redis://{made.address}:{REDIS_PORT}/0"
        bind = ["--bind", made.address, "--port", str(REDIS_PORT), "--protected-mode", "no"]
        made.sandbox.start("redis", [find_server(), *bind, "--save", "", "--appendonly", "no"])
        try:
            until(lambda: socket.create_connection((made.address, REDIS_PORT), 1), "Redis answers", within_s=30).close()
            meta = {"name": "muster-redis", "namespace": namespace}
            made.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"url": url}})
            async with open_database(url) as db:
                with matchmakers(url, Path(folder)) as servers:
                    servers.env.update(matchmaker_env(made, namespace, IMAGE, url))
                    yield Ground(made, namespace, IMAGE, db, servers)
        finally:
            made.kill("redis")


def arena(seconds: int, ports: Sequence[Port] = ()) -> GameSpec:
    """A duel in the arena that lasts so long; it has the arena's usual three ports unless others are named."""
    timers = Timers(start_s=60, join_s=600, empty_s=600, drain_s=5)
    server = Server(arena={"time_limit_s": seconds}, ports=list(ports))
    return GameSpec(server=server, players_per_match=PLAYERS, timers=timers)


def bare_pod(name: str, ports: Sequence[Port] = (Port("game", "udp"),)) -> Document:
    """The least that a pod of the image can be: no sidecar, no probe, no bounds; it goes when it is asked to."""
    code = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit()); time.sleep(600)"
    container = {
        "name": "bare",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-c", code],
        "ports": [
            {"containerPort": number, "hostPort": number, "protocol": kind_of(port)}
            for number, port in enumerate(ports, 7000)
        ],
    }
    spec = {"containers": [container], "restartPolicy": "Never", "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


class Pods:
    """Plain requests for the pods of the namespace, and the moments at which they change."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session, self._path = session, f"/api/v1/namespaces/{NAMESPACE}/pods"

    async def create(self, document: Document) -> None:
        body, kind = orjson.dumps(document), {"Content-Type": "application/json"}
        async with self._session.post(self._path, data=body, headers=kind) as answer:
            await answer.read()

    async def delete(self, name: str) -> None:
        async with self._session.delete(f"{self._path}/{name}") as answer:
            await answer.read()

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[Moments]:
        """The moments of all pods from now on."""
        moments = Moments()
        async with self._session.get(self._path) as answer:
            version = orjson.loads(await answer.read())["metadata"]["resourceVersion"]
        task = asyncio.create_task(self._follow(version, moments))
        try:
            yield moments
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self, version: str, moments: Moments) -> None:
        query = {"watch": "1", "resourceVersion": version}
        no_limit = aiohttp.ClientTimeout(total=None)
        async with self._session.get(self._path, params=query, timeout=no_limit, read_bufsize=1 << 21) as answer:
            async for line in answer.content:
                moments.see(orjson.loads(line))


class Moments:
    """When each pod was first Ready, and when it was gone (perf_counter seconds)."""

    def __init__(self) -> None:
        self.ready: dict[str, float] = {}
        self.gone: dict[str, float] = {}

    def see(self, event: Document) -> None:
        name, now = event["object"]["metadata"]["name"], time.perf_counter()
        if event["type"] == "DELETED":
            self.gone[name] = now
        conditions = event["object"]["status"].get("conditions", [])
        if any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions):
            self.ready.setdefault(name, now)


async def moment(found: Callable[[], Awaitable[float | None]], *, within_s: float = 60.0) -> float:
    """The first answer of `found`, asked each 2 ms."""
    async with asyncio.timeout(within_s):
        while (answer := await found()) is None:
            await asyncio.sleep(0.002)
        return answer
