"""The process: settings, logs, event loop, signals. See `gamepod.loop` for what it does and for its exit codes."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal

import uvloop

from core.errors import Misconfigured
from core.serve import EXIT_MISCONFIGURED
from core.settings import from_env
from gamepod import log as logs
from gamepod.loop import serve
from gamepod.settings import Settings

GC_THRESHOLD = 10_000  # new objects between two looks of the collector
EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h: a defect of ours, with its trace in the log


async def _run(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return await serve(settings, stop)


def run() -> int:
    """Run one match's server; returns the exit code."""
    try:
        settings = from_env(Settings, os.environ)
        logs.setup(form=settings.log_format, level=settings.log_level, game=settings.game, match=settings.match)
        # What is loaded by now stays: the collector need not look at it in the middle of a tick. Nor is it asked to
        # look first, which takes 8 ms: of what loading leaves it would find 0.2 MB.
        gc.freeze()
        # Thousands of interactions wait for their batch at any time, and none of them is a cycle: looking for one after
        # every 700 new objects costs 5 % of a busy match.
        gc.set_threshold(GC_THRESHOLD)
        gc.enable()
        return uvloop.run(_run(settings))
    except Misconfigured as error:
        logging.getLogger(__name__).critical(error.detail)
        return EXIT_MISCONFIGURED
    except Exception:
        logging.getLogger(__name__).critical("a defect ended this server", exc_info=True)
        return EXIT_INTERNAL
