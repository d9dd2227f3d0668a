"""Small things that tests share."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

PORTS: Final = range(10_000, 30_000)
CANDIDATES: Final = itertools.cycle(random.SystemRandom().sample(PORTS, len(PORTS)))


def free_port() -> int:
    """A TCP port on loopback that nobody has right now, another at each call.

    It is none of those that the kernel gives to whoever connects, so that it stays free until the test's own program
    takes it, however many others connect meanwhile.
    """
    for port in itertools.islice(CANDIDATES, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"no free port in {PORTS}")


async def eventually(check: Callable[[], Awaitable[T]], *, within_s: float = 30.0, every_s: float = 0.05) -> T:
    """The first truthy answer of `check`. Fails with its last answer after `within_s` (generous: machines differ)."""
    deadline = time.monotonic() + within_s
    while not (answer := await check()):
        assert time.monotonic() < deadline, f"not within {within_s} s; last answer: {answer!r}"
        await asyncio.sleep(every_s)
    return answer


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
