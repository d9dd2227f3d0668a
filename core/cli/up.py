"""`muster up`: the stack in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from core.cli.settings import LOOPBACK, StackSettings
from core.cli.stack import Stack, Stopped


def say(text: str) -> None:
    """A sentence for whoever sits at the terminal."""
    print(f"muster: {text}", file=sys.stderr, flush=True)


def run(settings: StackSettings, *, verbose: bool = False, started: Callable[[str], None] = lambda url: None) -> int:
    """Run the stack until a signal; `started` is called with its URL once it is up. Returns the exit code."""
    stop = threading.Event()

    def on_signal(number: int, _frame: object) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    say("starting")
    code = 0
    with suppress(Stopped), Stack(settings, say, stop, verbose=verbose) as stack:
        if settings.webapi_auth_port:
            say(f"accounts over TCP lines: {LOOPBACK}:{settings.webapi_auth_port}")
        print(f"\n  Muster is running:  {settings.url}\n", flush=True)
        started(settings.url)
        say(f"Ctrl-C stops everything; data and logs are in {settings.data_dir}")
        code = stack.watch()
        say("stopping")
    say("stopped")
    return code
