"""Small things that tests share."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import itertools
import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

from core.deadlines import Deadlines
from core.redis.client import Database, open_database

T = TypeVar("T")

PATIENCE_S: Final = 30.0  # a busy machine holds Redis up for longer than a service is to wait for it

PORTS: Final = range(10_000, 30_000)
BLOCK: Final = 1_000  # ports that one process of tests has to itself
CHANCE: Final = random.SystemRandom()


@functools.cache
def _candidates() -> Iterator[int]:
    """This process' own block, again and again; locked until it ends, so that no lane beside it gives these out."""
    folder = Path(tempfile.gettempdir()) / "muster-tests-ports"
    folder.mkdir(exist_ok=True)
    for first in CHANCE.sample(PORTS[::BLOCK], len(PORTS) // BLOCK):
        lock = os.open(folder / str(first), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        return itertools.cycle(CHANCE.sample(range(first, first + BLOCK), BLOCK))
    return itertools.cycle(CHANCE.sample(PORTS, len(PORTS)))


def free_port() -> int:
    """A TCP port on loopback that nobody has right now, another at each call.

    It is none of those that the kernel gives to whoever connects, nor of those that tests beside these are given, so
    that it stays free until the test's own program takes it, however many others come meanwhile.
    """
    for port in itertools.islice(_candidates(), len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"no free port in {PORTS}")


async def eventually(check: Callable[[], Awaitable[T]], *, within_s: float = 60.0, every_s: float = 0.05) -> T:
    """The first truthy answer of `check`. Fails with its last answer after `within_s` (generous: machines differ)."""
    deadline = time.monotonic() + within_s
    while not (answer := await check()):
        assert time.monotonic() < deadline, f"not within {within_s} s; last answer: {answer!r}"
        await asyncio.sleep(every_s)
    return answer


@asynccontextmanager
async def patient_database(url: str) -> AsyncIterator[Database]:
    """What a test itself asks Redis by: it waits for the answer, where a service gives up after 2 s and tries again."""
    async with open_database(url) as database:
        database._deadlines = Deadlines(PATIENCE_S)
        yield database


def end(*processes: subprocess.Popen[bytes], patience_s: float = 20.0) -> None:
    """Ask these to stop, all at once, and kill who has not after `patience_s` each."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
