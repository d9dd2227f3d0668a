"""The process: settings, logs, event loop, signals. See `gamepod.loop` for what it does and for its exit codes."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal

import uvloop

from core import trace
from core.errors import Misconfigured
from core.serve import EXIT_MISCONFIGURED
from core.settings import from_env
from gamepod import log as logs
from gamepod.attach import serve
from gamepod.settings import Settings

YOUNG = 50_000  # objects made, more than have gone, before the collector looks: at most 5 MB of what it could free
EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h: a defect of ours, with its trace in the log


async def _run(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return await serve(settings, stop)


def calm_collector() -> None:
    """Let Python's garbage collector look at what a match makes, and seldom.

    What is loaded by now stays: it need not be looked at in the middle of a tick. Nor is it asked to look first, which
    takes 8 ms: of what loading leaves it would find 0.2 MB. Interactions live for a flush, and end without it: at its
    default it would look at each of them three times on the way, a third of what writing them costs.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    gc.enable()


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
