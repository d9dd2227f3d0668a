"""The edge of a service process: event loop, signals, exit code."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop

from core.errors import Misconfigured

EXIT_MISCONFIGURED: Final = 78  # EX_CONFIG of sysexits.h: starting it again will not help
YOUNG: Final = (
    50_000  # objects made, more than have gone, before the collector looks: at most 5 MB of what it could free
)


def calm_collector() -> None:
    """Let Python's garbage collector look at what work makes, and seldom.

    What is loaded by now stays: it need not be looked at in the middle of a tick or a pass. Nor is it asked to look
    first, which takes 8 ms: of what loading leaves it would find 0.2 MB. What a flush, a request or a ticket makes ends
    without it: at its default it would look at each of them three times on the way.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    gc.enable()


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

    calm_collector()
    try:
        uvloop.run(body())
    except Misconfigured as error:
        print(f"muster: {error.detail}", file=sys.stderr)
        return EXIT_MISCONFIGURED
    return 0
