"""argon2id in threads of its own, with a bounded line before them.

A hash takes 30 ms of a core: on the event loop it would stop everything else, and an unbounded line of them would
make every login slow while the first clients have long gone away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import Unavailable
from webapi.metrics import Metrics

T = TypeVar("T")

MEMORY_KIB: Final = 19 * 1024  # OWASP's first choice for argon2id: m=19 MiB, t=2, p=1
ROUNDS: Final = 2
LANES: Final = 1


class Passwords:
    """Hashes and verifies. Make one with `open_passwords`."""

    def __init__(self, pool: ThreadPoolExecutor, waiting: int, metrics: Metrics) -> None:
        self._pool = pool
        self._most = waiting
        self._metrics = metrics
        self._under_way = 0
        self._argon2 = PasswordHasher(time_cost=ROUNDS, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._nobodys = self._argon2.hash("of nobody")

    async def hash(self, password: str) -> str:
        """The hash to keep. Raises Unavailable where the line is full."""
        return await self._run(lambda: self._argon2.hash(password))

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether `password` is the one of hash `kept`. None takes as long and is never true.

        Raises Unavailable where the line is full.
        """
        same = await self._run(lambda: self._same(kept or self._nobodys, password))
        return same and kept is not None

    def _same(self, kept: str, password: str) -> bool:
        try:
            return self._argon2.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._under_way >= self._most:
            self._metrics.hash_refused.inc()
            raise Unavailable("too many people log in at this moment", code="busy")
        self._under_way += 1
        self._metrics.hashing.inc()
        # A client that goes away takes its work out of the line, unless it is already at it.
        future = asyncio.wrap_future(self._pool.submit(work))
        future.add_done_callback(self._done)
        return await future

    def _done(self, _: asyncio.Future[T]) -> None:
        self._under_way -= 1
        self._metrics.hashing.dec()


@contextmanager
def open_passwords(threads: int, waiting: int, metrics: Metrics) -> Iterator[Passwords]:
    """Threads for the length of the block; what waits at its end is dropped."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
    try:
        yield Passwords(pool, waiting, metrics)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
