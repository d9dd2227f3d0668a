"""Keys of one Redis put into another, whatever both are: one node, behind Sentinel, or a cluster.

Values travel as Redis itself packs them (DUMP, RESTORE), with the moment at which they expire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import exceptions as rx
from redis.asyncio import Redis, RedisCluster

from core.errors import Conflict, MusterError, Refused
from core.redis.client import connected
from core.redis.errors import unreachable

BATCH_KEYS: Final = 500
BATCH_BYTES: Final = 8_000_000  # what one round trip carries, unless a single key is more
CALL_S: Final = 120.0  # a batch may hold one key of hundreds of megabytes
NEVER: Final = -1  # PEXPIRETIME of a key that stays

Told = Callable[[int], None]
Seen = Callable[[bytes], None]


class Unfit(Refused):
    """The Redis that keys are put into does not take one of them."""

    status = 409
    code = "restore-refused"


@dataclass(frozen=True, slots=True)
class _Packed:
    key: bytes
    until_ms: int  # unix ms at which it expires; 0 never
    value: bytes


async def count_keys(url: str) -> int:
    """Keys in all primaries of `url`. Raises Unavailable."""
    async with connected(url) as client:
        try:
            return int(await client.dbsize())
        except (rx.RedisError, OSError) as error:
            raise unreachable(error) from error


async def empty(url: str) -> None:
    """Remove every key of the database of `url`. Raises Unavailable."""
    async with connected(url) as client:
        try:
            await client.flushdb()
        except (rx.RedisError, OSError) as error:
            raise unreachable(error) from error


async def transfer(
    source: Redis, target_url: str, told: Told = lambda _keys: None, seen: Seen = lambda _key: None
) -> int:
    """Copy all keys of `source` (which gives bytes) to `target_url`; returns how many. Each that is there is `seen`.

    A key that is there already is left alone and raises Conflict; one that the target cannot read raises Unfit. Keys
    that are over by now are not counted.
    """
    done = 0
    async with connected(target_url) as target:
        try:
            cursor = 0
            while True:
                cursor, keys = await source.scan(cursor, count=BATCH_KEYS)
                for batch in _batches(await _pack(source, keys)):
                    async with asyncio.timeout(CALL_S):
                        await _put(target, batch)
                    done += len(batch)
                    for one in batch:
                        seen(one.key)
                    told(done)
                if cursor == 0:
                    return done
        except (rx.RedisError, OSError) as error:
            raise unreachable(error) from error


async def _pack(source: Redis, keys: Sequence[Any]) -> list[_Packed]:
    pipe = source.pipeline(transaction=False)
    for key in keys:
        pipe.execute_command("PEXPIRETIME", key)
        pipe.execute_command("DUMP", key)
    replies = await pipe.execute() if keys else []
    found = zip(keys, replies[::2], replies[1::2], strict=True)
    return [
        _Packed(bytes(key), 0 if until == NEVER else until, value) for key, until, value in found if value is not None
    ]


def _batches(packed: Sequence[_Packed]) -> list[list[_Packed]]:
    batches: list[list[_Packed]] = []
    size = BATCH_BYTES
    for one in packed:
        if size + len(one.value) > BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(one)
        size += len(one.value)
    return batches


async def _put(target: Redis | RedisCluster, batch: Sequence[_Packed]) -> None:
    pipe: Any = target.pipeline(transaction=False)
    for one in batch:
        pipe.execute_command("RESTORE", one.key, one.until_ms, one.value, *(["ABSTTL"] if one.until_ms else []))
    for one, reply in zip(batch, await pipe.execute(raise_on_error=False), strict=True):
        if isinstance(reply, Exception):
            raise _refusal(one, reply)


def _refusal(one: _Packed, error: Exception) -> MusterError:
    text, name = str(error), one.key.decode(errors="replace")
    if "BUSYKEY" in text or "Target key name already exists" in text:
        return Conflict(f"{name} is there already: somebody writes to this Redis. Stop the services, empty it, restore")
    if "payload version or checksum" in text:
        return Unfit(f"{name} was packed by a newer Redis than the one it is to be put into: use one as new")
    if isinstance(error, rx.ResponseError):
        return Unfit(f"{name} ({len(one.value)} bytes) is refused: {text}")
    return unreachable(error)
