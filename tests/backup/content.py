"""What a Redis holds, to be compared."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis, RedisCluster

from core.redis.client import connected

READ = {
    "string": ("GET",),
    "hash": ("HGETALL",),
    "set": ("SMEMBERS",),
    "list": ("LRANGE", 0, -1),
    "zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    "stream": ("XRANGE", "-", "+"),
}


async def content(url: str) -> dict[str, tuple[str, int, Any]]:
    """Each key's type, the moment it expires (ms, -1 never) and value."""
    async with connected(url) as client:
        return {key: await _read(client, key) async for key in client.scan_iter(count=1000)}


async def _read(client: Redis | RedisCluster, key: str) -> tuple[str, int, Any]:
    kind = str(await client.type(key))
    command, *more = READ[kind]
    value = await client.execute_command(str(command), key, *more)
    return kind, int(await client.pexpiretime(key)), sorted(value) if isinstance(value, set) else value
