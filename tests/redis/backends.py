"""Redis to run on: the embedded Valkey, Debian's Redis 7.0, a cluster of three nodes, and a primary behind Sentinel."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from core.redis.embedded import EmbeddedRedis, embedded_redis
from tests.redis.sentinels import CALM_MS, FORGETS, watched
from tests.support import free_port

SLOTS = 16_384
NODES = 3
DEBIAN = "/usr/bin/redis-server"
FORM_S = 120.0

# A node that a busy machine holds up for seconds is not to be held for dead: then all would refuse their work.
CALM = ("--cluster-node-timeout", "60000")


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """The embedded server."""
    with embedded_redis(folder, free_port(), options=FORGETS) as server:
        yield server.url


@contextmanager
def redis7(folder: Path) -> Iterator[str]:
    """Debian's redis-server; skipped where there is none (and CI allows no skip)."""
    if shutil.which(DEBIAN) is None:
        pytest.skip("no redis-server of the distribution here")
    with embedded_redis(folder, free_port(), program=DEBIAN, options=FORGETS) as server:
        yield server.url


@contextmanager
def cluster_nodes(folder: Path, *more: str) -> Iterator[list[EmbeddedRedis]]:
    """Three primaries that share all slots, without replicas, with `more` options."""
    with ExitStack() as nodes:
        servers, ports = [], []
        for number in range(NODES):
            bus = free_port()  # by default 10,000 above the port, which a high port has no room for
            options = ["--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "5000", *more]
            servers.append(nodes.enter_context(embedded_redis(folder / str(number), free_port(), options=options)))
            ports.append((servers[-1].port, bus))
        _form(nodes, ports)
        yield servers


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A cluster, by its first node."""
    with cluster_nodes(folder, *FORGETS, *CALM) as servers:
        yield f"redis+cluster://127.0.0.1:{servers[0].port}"


def _form(nodes: ExitStack, ports: list[tuple[int, int]]) -> None:
    clients = [Redis(port=port, decode_responses=True) for port, _ in ports]
    for client in clients:
        nodes.callback(client.close)
    for number, client in enumerate(clients):
        first, last = SLOTS * number // NODES, SLOTS * (number + 1) // NODES - 1
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for port, bus in ports[1:]:
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
    deadline = time.monotonic() + FORM_S
    while not all(_complete(client) for client in clients):
        assert time.monotonic() < deadline, "the cluster did not form"
        time.sleep(0.05)


def _complete(client: Redis) -> bool:
    with contextlib.suppress(OSError):
        info = client.execute_command("CLUSTER", "INFO")
        text = info if isinstance(info, str) else "\n".join(f"{k}:{v}" for k, v in info.items())
        return "cluster_state:ok" in text and f"cluster_known_nodes:{NODES}" in text
    return False


@contextmanager
def sentinel(folder: Path) -> Iterator[str]:
    """A primary and its replica, watched by three Sentinels."""
    with watched(folder, down_ms=CALM_MS) as pair:
        yield pair.url


BACKENDS = {"valkey": valkey, "redis7": redis7, "cluster": cluster, "sentinel": sentinel}
