"""A Redis copied through its port: the snapshot that a replica would get.

A snapshot is asked for as a replica asks (SYNC), so it needs no access to Redis' disk and is as of one moment for a
whole node. Each of Muster's atomic steps lies within one slot, hence on one node: a snapshot holds all of a step or
nothing of it. Nodes of a cluster begin theirs some moments apart; between steps in different slots any process may be
killed at any time, so what those moments leave apart is what every process knows how to go on from.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from redis import exceptions as rx
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection

from core.errors import Unavailable
from core.redis.client import connected
from core.redis.errors import unreachable
from core.redis.sentinel_pool import SentinelPool

CHUNK_BYTES: Final = 1 << 18
SILENCE_S: Final = 60.0  # Redis sends newlines while it prepares; a longer silence is a broken connection
MARK_BYTES: Final = 40  # of the end of a snapshot that is sent while it is made
REFUSED_LINE: Final = 500

Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Node:
    """A primary that holds keys, and a connection to it for one snapshot."""

    name: str  # its address
    database: int  # number of the database that Muster uses
    version: str
    keys: int
    connection: AbstractConnection


@asynccontextmanager
async def primaries(url: str) -> AsyncIterator[list[Node]]:
    """All primaries behind `url`. Raises Unavailable, Misconfigured."""
    async with connected(url) as client:
        opened: list[AbstractConnection] = []
        try:
            for connection in await _connections(client):
                opened.append(connection)
                await connection.connect()  # type: ignore[no-untyped-call]
            yield [await _node(connection) for connection in opened]
        except (rx.RedisError, OSError) as error:
            raise unreachable(error) from error
        finally:
            for connection in opened:
                await connection.disconnect(nowait=True)


async def _connections(client: Redis | RedisCluster) -> list[AbstractConnection]:
    if isinstance(client, RedisCluster):
        await client.initialize()
        return [node.connection_class(**node.connection_kwargs) for node in client.get_primaries()]
    pool = client.connection_pool
    assert isinstance(pool, BlockingConnectionPool | SentinelPool)
    return [pool.make_connection()]  # type: ignore[no-untyped-call]


async def _node(connection: AbstractConnection) -> Node:
    peer = connection.getpeername()
    info = _info(await _ask(connection, "INFO", "server")) | _info(await _ask(connection, "INFO", "keyspace"))
    database = int(getattr(connection, "db", 0) or 0)
    kept = dict(part.split("=") for part in info.get(f"db{database}", "keys=0").split(","))
    product = "valkey" if "valkey_version" in info else "redis"
    version = f"{product} {info.get('valkey_version') or info.get('redis_version', '?')}"
    return Node(str(peer) if peer else "local", database, version, int(kept["keys"]), connection)


def _info(text: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


async def _ask(connection: AbstractConnection, *command: str) -> str:
    await connection.send_command(*command)
    async with asyncio.timeout(SILENCE_S):
        return str(await connection.read_response())


async def copy_snapshot(node: Node, file: BinaryIO, told: Told = lambda _bytes: None) -> int:
    """Write the snapshot (RDB) of `node` to `file`; returns its bytes.

    Its connection is of no use afterwards. Raises Unavailable where Redis refuses or the snapshot breaks off.
    """
    connection = node.connection
    try:
        for option in (("capa", "eof"), ("rdb-only", "1")):
            # An older Redis knows no rdb-only: it then sends changes after the snapshot, which nobody reads.
            try:
                await _ask(connection, "REPLCONF", *option)
            except rx.ResponseError:
                continue
        await connection.send_command("SYNC")
        reader: Any = connection._reader
        return await _read_snapshot(reader, file, told)
    except (rx.RedisError, OSError, asyncio.IncompleteReadError) as error:
        raise Unavailable(f"the snapshot broke off: {error}") from error


async def _read_snapshot(reader: asyncio.StreamReader, file: BinaryIO, told: Told) -> int:
    line = b""
    while not line:  # newlines keep the connection alive while Redis forks
        async with asyncio.timeout(SILENCE_S):
            line = (await reader.readuntil(b"\n")).strip()
    if line.startswith(b"$EOF:"):
        return await _until_mark(reader, line[len(b"$EOF:") :], file, told)
    if line.startswith(b"$"):
        return await _so_many(reader, int(line[1:]), file, told)
    raise Unavailable(f"Redis gives no snapshot: {line[:REFUSED_LINE].decode(errors='replace')}")


async def _so_many(reader: asyncio.StreamReader, size: int, file: BinaryIO, told: Told) -> int:
    left = size
    while left:
        async with asyncio.timeout(SILENCE_S):
            data = await reader.read(min(left, CHUNK_BYTES))
        if not data:
            raise Unavailable(f"the snapshot broke off {left} bytes before its end")
        await asyncio.to_thread(file.write, data)
        left -= len(data)
        told(size - left)
    return size


async def _until_mark(reader: asyncio.StreamReader, mark: bytes, file: BinaryIO, told: Told) -> int:
    if len(mark) != MARK_BYTES:
        raise Unavailable("the snapshot begins with a mark that is none")
    written, kept = 0, b""
    while not kept.endswith(mark):
        async with asyncio.timeout(SILENCE_S):
            data = await reader.read(CHUNK_BYTES)
        if not data:
            raise Unavailable(f"the snapshot broke off after {written} bytes")
        kept += data
        ready, kept = kept[:-MARK_BYTES], kept[-MARK_BYTES:]
        await asyncio.to_thread(file.write, ready)
        written += len(ready)
        told(written)
    return written
