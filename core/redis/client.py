"""Redis for webapi, matchmaker and tools, on redis-py; one node, a primary behind Sentinel, or a cluster.

Everything that writes goes through `call`, a function of `core.redis.library`; reads may use `do` and `do_many`.
All functions recognise a repeat, so a retry after a lost reply is safe and the client retries by itself, a few
times and briefly. What then still fails is `Unavailable`. Nothing blocks on these connections.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

import hiredis
from redis import exceptions as rx
from redis.asyncio import BlockingConnectionPool, Connection, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from core.deadlines import Deadlines
from core.errors import Misconfigured, MusterError
from core.redis.direct import Direct
from core.redis.errors import FunctionMissing, from_reply, unreachable
from core.redis.library import LIBRARY
from core.redis.sentinel import SCHEMES, parse
from core.redis.sentinel_pool import SentinelPool
from core.times import Trips

Arg = str | bytes | int | float

CONNECTIONS: Final = 64  # of one process; a further call waits for a free one
# A healthy Redis answers in milliseconds. The bound is on the whole call and not given to redis-py as its socket
# time-out: that is an asyncio.wait_for around every send, which in Python 3.11 swallows a cancellation that comes in
# the same tick (a task then never ends), and costs a task per command.
TIMEOUT_S: Final = 2.0
RETRIES: Final = 2
RETRY_CAP_S: Final = 0.3
LOADS: Final = 2  # of the library for one call: the load that it waited for may have been just before it was removed


class Caller(Protocol):
    """What a store needs: call a function of the library on the base key of one slot."""

    async def call(self, function: str, base: str, *args: Arg) -> Any:
        """The function's reply. Raises Unavailable, Fenced."""


class _Connection(Connection):
    """Writes commands with hiredis, as the synchronous redis-py does: in Python each costs 25 us more."""

    def pack_command(self, *args: Any) -> list[bytes]:
        return [hiredis.pack_command((*str(args[0]).split(), *args[1:]))]


class Database:
    """See the module. Make one with `open_database`. `trips` tells how Redis answers."""

    def __init__(self, client: Redis | RedisCluster) -> None:
        self._client: Any = client
        self._direct = None if isinstance(client, RedisCluster) else Direct(client)
        self.trips = Trips()
        self._deadlines = Deadlines(TIMEOUT_S)
        self._loading: asyncio.Task[None] | None = None

    async def call(self, function: str, base: str, *args: Arg) -> Any:
        """Call a function of the library. Raises Unavailable (passing) or Fenced."""
        command = function_call(function, base, *args)
        for _ in range(LOADS):
            try:
                return await self._run(command)
            except FunctionMissing:
                await self.load()
        return await self._run(command)

    async def do(self, *command: Arg) -> Any:
        """Run one plain command (a read, or a write that may be repeated). Raises Unavailable."""
        return await self._run(command)

    async def do_many(self, commands: Sequence[Sequence[Arg]]) -> list[Any]:
        """Run commands in one round trip a node, each for itself, in order. Raises Unavailable."""
        replies = await self.run_many(commands)
        for reply in replies:
            if isinstance(reply, MusterError):
                raise reply
        return replies

    async def call_many(self, calls: Sequence[tuple[str, str, Sequence[Arg]]]) -> list[Any]:
        """Call functions (name, base, args) in one round trip. Raises Unavailable, Fenced."""
        return await self.do_many([function_call(name, base, *args) for name, base, args in calls])

    async def run_many(self, commands: Sequence[Sequence[Arg]]) -> list[Any]:
        """As `do_many`, but a command that fails leaves its error among the replies. Raises Unavailable for all."""
        replies = await self._pipeline(commands)
        missing = [i for i, reply in enumerate(replies) if isinstance(reply, FunctionMissing)]
        if missing:
            await self.load()
            for i, reply in zip(missing, await self._pipeline([commands[i] for i in missing]), strict=True):
                replies[i] = reply
        return replies

    async def _pipeline(self, commands: Sequence[Sequence[Arg]]) -> list[Any]:
        if not commands:
            return []
        began = time.perf_counter()
        try:
            replies = await self._deadlines.keep(self._replies(commands))
        except (rx.RedisError, OSError) as error:
            self.trips.failed += 1
            raise _passing(error) from error
        self.trips.took.observe(time.perf_counter() - began)
        return [_translated(reply) if isinstance(reply, Exception) else reply for reply in replies]

    async def scan(self, match: str, count: int) -> AsyncIterator[str]:
        """Names of keys, on every primary, that fit a pattern; some may come twice. Raises Unavailable."""
        extra = {"target_nodes": RedisCluster.PRIMARIES} if isinstance(self._client, RedisCluster) else {}
        try:
            async for key in self._client.scan_iter(match=match, count=count, **extra):
                yield key
        except (rx.RedisError, OSError) as error:
            raise _passing(error) from error

    async def _replies(self, commands: Sequence[Sequence[Arg]]) -> list[Any]:
        """A reply each, errors of Redis among them; what did not arrive is tried again. Raises RedisError, OSError."""
        if self._direct is not None:
            with suppress(rx.RedisError, OSError):
                return await self._direct.ask(commands)
        if len(commands) == 1:  # a pipeline for it alone would cost twice as much
            try:
                return [await self._client.execute_command(*commands[0])]
            except rx.ResponseError as error:
                return [error]
        pipe = self._client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        return list(await pipe.execute(raise_on_error=False))

    async def load(self) -> None:
        """Load the function library (on every primary). Idempotent.

        All who miss it wait for one load: each costs every node some ten milliseconds, in which it does nothing else.
        """
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        await self._everywhere("FUNCTION LOAD", "REPLACE", LIBRARY.source)

    async def libraries(self) -> set[str]:
        """Names of all function libraries that any primary has. Raises Unavailable."""
        lists = (await self._everywhere("FUNCTION LIST")).values()
        return {str(one["library_name"] if isinstance(one, dict) else one[1]) for found in lists for one in found}

    async def unload(self, library: str) -> None:
        """Remove a function library; a node that has none of that name ends it. Raises Unavailable."""
        try:
            await self._everywhere("FUNCTION DELETE", library)
        except MusterError as error:
            if "Library not found" not in error.detail:
                raise

    async def now_ms(self) -> int:
        """Redis' own clock. Raises Unavailable."""
        seconds, micros = await self.do("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def _everywhere(self, *command: Arg) -> dict[str, Any]:
        """Run a command on every primary; the replies by node."""
        cluster = isinstance(self._client, RedisCluster)
        extra = {"target_nodes": RedisCluster.PRIMARIES} if cluster else {}
        try:
            async with asyncio.timeout(TIMEOUT_S):
                found = await self._client.execute_command(*command, **extra)
        except rx.ResponseError as error:
            raise from_reply(str(error)) from error
        except (rx.RedisError, OSError) as error:
            raise _passing(error) from error
        return dict(found) if cluster and isinstance(found, dict) else {"": found}

    async def _run(self, command: Sequence[Arg]) -> Any:
        reply = (await self._pipeline([command]))[0]
        if isinstance(reply, Exception):
            raise reply
        return reply


def function_call(function: str, base: str, *args: Arg) -> tuple[Arg, ...]:
    """The command that calls a function of the library, for `do_many`."""
    return ("FCALL", LIBRARY.functions[function], 1, base, *args)


def _translated(error: Exception) -> Exception:
    # In a pipeline redis-py puts "Command # 1 (...) of pipeline caused error: " before what Redis said.
    if type(error) is rx.ResponseError:
        return from_reply(str(error).rpartition("of pipeline caused error: ")[2])
    return _passing(error)


def _passing(error: BaseException) -> MusterError:
    # redis-py strips the kind from replies it has classes for ("LOADING ..." -> BusyLoadingError).
    kinds = {
        rx.BusyLoadingError: "LOADING",
        rx.ReadOnlyError: "READONLY",
        rx.OutOfMemoryError: "OOM",
        rx.ClusterDownError: "CLUSTERDOWN",
        rx.MasterDownError: "MASTERDOWN",
        rx.TryAgainError: "TRYAGAIN",
    }
    kind = kinds.get(type(error))
    return from_reply(f"{kind} {error}") if kind else unreachable(error)


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Connect to `url`: redis://, rediss:// or unix:// for one node, redis+sentinel:// or rediss+sentinel:// for the
    primary that Sentinels name (`core.redis.sentinel` has the form), redis+cluster:// for a cluster.

    Connecting is lazy; the library is loaded at the first call that misses it. Raises Misconfigured for another URL.
    """
    async with connected(url) as client:
        yield Database(client)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis | RedisCluster]:
    """The client itself, for what `Database` has no word for. Raises Misconfigured as `open_database` does."""
    try:
        client, close = _client(url)
    except (ValueError, TypeError) as error:  # redis-py's words for a URL, and for an option, that it does not know
        raise Misconfigured(f"the URL of Redis is not understood: {error}", setting="REDIS_URL") from None
    try:
        yield client
    finally:
        await client.aclose()
        await close()


def _client(url: str) -> tuple[Redis | RedisCluster, Callable[[], Awaitable[None]]]:
    """The client for a URL, and what closes its connections."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": None,
        "socket_connect_timeout": TIMEOUT_S,
        "max_connections": CONNECTIONS,
        "retry": Retry(ExponentialBackoff(cap=RETRY_CAP_S, base=0.02), RETRIES),
    }
    if url.startswith("redis+cluster://"):
        cluster = RedisCluster.from_url(url.replace("redis+cluster://", "redis://", 1), **options)
        return cluster, cluster.aclose
    if url.partition("://")[0] in SCHEMES:
        behind = SentinelPool(parse(url), timeout=TIMEOUT_S, **options)
        return Redis(connection_pool=behind), behind.close
    # A URL of another scheme (rediss, unix) brings the class that it needs.
    pool = BlockingConnectionPool.from_url(url, timeout=TIMEOUT_S, connection_class=_Connection, **options)
    return Redis(connection_pool=pool), pool.disconnect
