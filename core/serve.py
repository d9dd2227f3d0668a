"""The edge of a service process: event loop, signals, exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop

from core.errors import Misconfigured

EXIT_MISCONFIGURED: Final = 78  # EX_CONFIG of sysexits.h: starting it again will not help


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run `main(stop)` on uvloop until it returns; SIGTERM and SIGINT set `stop`. Returns the exit code.

    `main` closes what it opened on its way out, in reverse order (context managers do).
    """

    async def body() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    try:
        uvloop.run(body())
    except Misconfigured as error:
        print(f"muster: {error.detail}", file=sys.stderr)
        return EXIT_MISCONFIGURED
    return 0
