"""The process: settings, logs, event loop, signals. See `gamepod.loop` for what it does and for its exit codes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

import uvloop

from core import trace
from core.errors import Misconfigured
from core.serve import EXIT_MISCONFIGURED, calm_collector
from core.settings import from_env
from gamepod import log as logs
from gamepod.attach import serve
from gamepod.settings import Settings

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
        ids = {"game": settings.game, "match": settings.match, "trace": trace.of(settings.match, settings.trace)}
        logs.setup(form=settings.log_format, level=settings.log_level, **ids)
        if not settings.sidecar:
            import gamepod.arena_game  # noqa: F401 - most likely; loaded now, before the collector is at work
        calm_collector()
        return uvloop.run(_run(settings))
    except Misconfigured as error:
        logging.getLogger(__name__).critical(error.detail)
        return EXIT_MISCONFIGURED
    except Exception:
        logging.getLogger(__name__).critical("a defect ended this server", exc_info=True)
        return EXIT_INTERNAL
