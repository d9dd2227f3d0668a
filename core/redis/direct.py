"""A round trip to one node without what redis-py does around each: pool, pipeline and retry cost more than the trip.

A few connections of its pool are kept at hand, so that nobody waits for its lock or asks a healthy socket whether it is
one. What goes wrong is not mended here: the connection is closed and given back, and the caller goes redis-py's own
way, which connects and tries again; every command of ours may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis
from redis import exceptions as rx
from redis.asyncio import Redis

SPARE: Final = 4  # connections kept at hand; what is more goes back to the pool


class Direct:
    """Round trips to one node, or to the primary that Sentinels name."""

    def __init__(self, client: Redis) -> None:
        self._pool: Any = client.connection_pool
        self._callbacks: dict[str, Callable[[Any], Any]] = {
            str(name).upper(): made for name, made in client.response_callbacks.items()
        }
        self._spare: list[Any] = []

    async def ask(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """A reply each, in order; one that is an error of Redis is among them. Raises RedisError, OSError."""
        connection = await self._take()
        try:
            packed = b"".join([hiredis.pack_command((*str(c[0]).split(), *c[1:])) for c in commands])
            await connection.send_packed_command(packed)
            replies = []
            for command in commands:
                try:
                    replies.append(self._told(command[0], await connection.read_response()))
                except rx.ResponseError as error:
                    replies.append(error)
        except BaseException:  # cancelled, too: its answers would be taken for the next one's
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
            raise
        if len(self._spare) < SPARE and connection.is_connected and not connection.should_reconnect():
            self._spare.append(connection)
        else:
            await self._pool.release(connection)
        return replies

    async def _take(self) -> Any:
        return self._spare.pop() if self._spare else await self._pool.get_connection()

    def _told(self, name: Any, reply: Any) -> Any:
        """As redis-py gives it for this command."""
        made = self._callbacks.get(name)
        return reply if made is None else made(reply)
