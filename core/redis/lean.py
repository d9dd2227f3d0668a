"""A small Redis client for game servers: one multiplexed connection a node, on hiredis' parser.

A game server pays for its memory once per match, and redis-py costs 20 MB and 200 ms of start; this costs nothing
that is not already loaded. It calls functions of the library and plain commands, pipelines whatever is under way,
follows MOVED of Redis Cluster, and reconnects at the next call; behind Sentinel to whom it names then. It does not
retry: its callers know what may be sent again (everything that carries a number or an id).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote, urlsplit

import hiredis

from core.errors import Misconfigured, MusterError, Unavailable
from core.redis.errors import FunctionMissing, from_reply, unreachable
from core.redis.library import LIBRARY
from core.times import Trips

if TYPE_CHECKING:
    from core.redis.sentinel import Sentinels

Arg = str | bytes | int | float

TIMEOUT_S: Final = 2.0
REDIRECTS: Final = 5  # of one command; more means that the cluster does not agree with itself
UNANSWERED: Final = 1024  # commands under way on a connection; a further one is refused


class _Many:
    """Takes the replies of many commands in the place of their futures."""

    def __init__(self, commands: int) -> None:
        self.future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._replies: list[Any] = []
        self._commands = commands

    def done(self) -> bool:
        return self.future.done()

    def set_result(self, reply: Any) -> None:
        self._replies.append(reply)
        if len(self._replies) == self._commands:
            self.future.set_result(self._replies)

    def set_exception(self, error: BaseException) -> None:
        self.future.set_exception(error)


class _Connection(asyncio.Protocol):
    """Replies come in the order of the commands, so a queue of futures is all the bookkeeping."""

    def __init__(self) -> None:
        self.reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self.waiting: deque[asyncio.Future[Any] | _Many] = deque()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while (reply := self.reader.gets()) is not False:
            future = self.waiting.popleft()
            if not future.done():
                future.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        while self.waiting:
            future = self.waiting.popleft()
            if not future.done():
                future.set_exception(unreachable(exc or ConnectionResetError("connection closed")))

    @property
    def open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    async def run(self, command: tuple[Arg, ...]) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._write([command], [future])
        return await self._answer(future)

    async def run_many(self, commands: Sequence[tuple[Arg, ...]]) -> list[Any]:
        """Replies, errors among them, in one round trip."""
        many = _Many(len(commands))
        self._write(commands, [many] * len(commands))
        return cast(list[Any], await self._answer(many.future))

    def _write(self, commands: Sequence[tuple[Arg, ...]], replies: Sequence[asyncio.Future[Any] | _Many]) -> None:
        if self.transport is None or not self.open:
            raise unreachable(ConnectionResetError("connection closed"))
        if len(self.waiting) + len(commands) > UNANSWERED:
            raise Unavailable(f"{UNANSWERED} commands wait for an answer of Redis", code="storage-unavailable")
        self.waiting.extend(replies)
        packed = [hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type]  # a stub too narrow
        self.transport.write(packed[0] if len(packed) == 1 else b"".join(packed))

    async def _answer(self, future: asyncio.Future[Any]) -> Any:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await future
        except TimeoutError as error:
            # Later replies would be taken for this one's: the connection is of no more use.
            if self.transport is not None:
                self.transport.abort()
            raise unreachable(error) from error

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


class LeanRedis:
    """See the module. `close` when done."""

    def __init__(self, url: str) -> None:
        scheme = url.partition("://")[0]
        self._sentinels: Sentinels | None = None
        self._auth: tuple[str, ...]
        if scheme == "redis+sentinel":
            self._behind_sentinel(url)
        else:
            known = "redis://, redis+sentinel:// or redis+cluster://"
            if scheme not in ("redis", "redis+cluster"):
                raise Misconfigured(f"a game server speaks {known}, not {scheme!r}", setting="REDIS_URL")
            try:
                parts = urlsplit(url)
                self._home = (parts.hostname or "127.0.0.1", parts.port or 6379)
                self._db = int(parts.path.strip("/") or 0)
            except ValueError as error:
                raise Misconfigured(f"the URL of Redis is not understood: {error}", setting="REDIS_URL") from None
            self._auth = tuple(unquote(x) for x in (parts.username, parts.password) if x)
        self._nodes: dict[tuple[str, int], _Connection] = {}
        self._locks: dict[tuple[str, int], asyncio.Lock] = {}
        self._loading = asyncio.Lock()
        self.trips = Trips()
        self._moved: dict[str, tuple[str, int]] = {}  # base key -> node; a server has a handful of bases

    def _behind_sentinel(self, url: str) -> None:
        from core.redis.sentinel import Sentinels, parse  # only who needs it pays for it

        wanted = parse(url)

        async def ask(node: tuple[str, int]) -> tuple[str, int] | None:
            connection = await _open(node, wanted.sentinel_auth)
            try:
                found = await _greet(connection, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", wanted.name))
            finally:
                connection.close()
            return (found[0], int(found[1])) if found else None

        self._sentinels = Sentinels(wanted, ask)
        self._home = (wanted.name, 0)  # whoever that is when we connect
        self._auth, self._db = wanted.auth, wanted.db

    async def call(self, function: str, base: str, *args: Arg) -> Any:
        """Call a function of the library on `base`. Raises Unavailable."""
        command = ("FCALL", LIBRARY.functions[function], 1, base, *args)
        try:
            return await self._run(base, command)
        except FunctionMissing:
            async with self._loading:
                try:
                    return await self._run(base, command)  # another call may have loaded it meanwhile
                except FunctionMissing:
                    await self._run(base, ("FUNCTION", "LOAD", "REPLACE", LIBRARY.source))
                    return await self._run(base, command)

    async def call_many(self, calls: Sequence[tuple[str, str, Sequence[Arg]]]) -> list[Any]:
        """Call functions (name, base, args) in one round trip a node, all nodes at once; replies in their order.

        A call that failed has its error in the place of its reply: one node's trouble is not the others'.
        """
        nodes: dict[tuple[str, int], list[int]] = {}
        for i, (_, base, _) in enumerate(calls):
            nodes.setdefault(self._moved.get(base, self._home), []).append(i)
        replies: list[Any] = [None] * len(calls)
        trips = [self._trip(node, calls, mine, replies) for node, mine in nodes.items()]
        if len(trips) == 1:
            await trips[0]
        else:
            await asyncio.gather(*trips)
        return replies

    async def _trip(
        self,
        node: tuple[str, int],
        calls: Sequence[tuple[str, str, Sequence[Arg]]],
        mine: list[int],
        replies: list[Any],
    ) -> None:
        """Make the calls at the places `mine` at one node."""
        found: Sequence[Any]
        began = time.perf_counter()
        try:
            connection = await self._connect(node)
            chosen = [calls[i] for i in mine]
            found = await connection.run_many(
                [("FCALL", LIBRARY.functions[name], 1, base, *args) for name, base, args in chosen]
            )
            self.trips.took.observe(time.perf_counter() - began)
        except MusterError as error:
            self._forget(node)
            found = [error] * len(mine)
        for i, reply in zip(mine, found, strict=True):
            replies[i] = reply
        # Moved, or the library is missing there: what a call of its own finds out. Together: each may have to time out.
        if again := [i for i in mine if isinstance(replies[i], hiredis.ReplyError)]:
            later = await asyncio.gather(*(self._alone(*calls[i]) for i in again))
            for i, reply in zip(again, later, strict=True):
                replies[i] = reply

    async def _alone(self, function: str, base: str, args: Sequence[Arg]) -> Any:
        """The reply, or the error in its place."""
        try:
            return await self.call(function, base, *args)
        except MusterError as error:
            return error

    async def do(self, *command: Arg) -> Any:
        """Run one plain command; its second word must be its key. Raises Unavailable."""
        return await self._run(str(command[1]), command)

    async def _run(self, key: str, command: tuple[Arg, ...]) -> Any:
        node, asking = self._moved.get(key, self._home), False
        for _ in range(REDIRECTS):
            connection = await self._connect(node)
            began = time.perf_counter()
            try:
                if asking:
                    await connection.run(("ASKING",))
                reply = await connection.run(command)
            except Unavailable:
                self.trips.failed += 1
                self._forget(node)  # it does not answer: another may have its keys by now
                raise
            self.trips.took.observe(time.perf_counter() - began)
            if not isinstance(reply, hiredis.ReplyError):
                return reply
            kind, *rest = str(reply).split(" ")
            if kind == "READONLY":
                connection.close()  # a primary no more: the next call connects to whoever is it now
            if kind not in ("MOVED", "ASK"):
                raise from_reply(str(reply))
            host, _, port = rest[1].rpartition(":")
            node, asking = (host or node[0], int(port)), kind == "ASK"
            if not asking:
                self._moved[key] = node
        self._moved.pop(key, None)
        raise Unavailable(f"Redis Cluster redirected a command {REDIRECTS} times", code="storage-unavailable")

    async def _connect(self, node: tuple[str, int]) -> _Connection:
        connection = self._nodes.get(node)
        if connection is not None and connection.open:
            return connection
        async with self._locks.setdefault(node, asyncio.Lock()):  # others need not wait for this node
            connection = self._nodes.get(node)
            if connection is not None and connection.open:
                return connection
            try:
                connection = await _open(await self._sentinels.primary() if self._sentinels else node, self._auth)
            except Unavailable:
                self.trips.failed += 1
                self._forget(node)
                raise
            if self._db:
                await _greet(connection, ("SELECT", self._db))
            self._nodes[node] = connection
            return connection

    def _forget(self, node: tuple[str, int]) -> None:
        """The node may be gone for good: whoever else is known is asked who has its keys now."""
        self._moved = {key: owner for key, owner in self._moved.items() if owner != node}
        others = [other for other in self._nodes if other != node]
        if node == self._home and others:
            alive = (other for other in others if self._nodes[other].open)
            self._home = next(alive, others[0])
            # The next time it is asked last.
            if (gone := self._nodes.pop(node, None)) is not None:
                self._nodes[node] = gone

    def close(self) -> None:
        """Close all connections."""
        for connection in self._nodes.values():
            connection.close()
        self._nodes.clear()


async def _open(node: tuple[str, int], auth: tuple[str, ...]) -> _Connection:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, connection = await asyncio.get_running_loop().create_connection(_Connection, *node)
    except (OSError, TimeoutError) as error:
        raise unreachable(error) from error
    if auth:
        await _greet(connection, ("AUTH", *auth))
    return connection


async def _greet(connection: _Connection, command: tuple[Arg, ...]) -> Any:
    """The reply to a command that a new connection is of no use without."""
    try:
        reply = await connection.run(command)
        if isinstance(reply, hiredis.ReplyError):
            raise from_reply(str(reply))
    except BaseException:
        connection.close()
        raise
    return reply
