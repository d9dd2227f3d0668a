"""`python -m bench.quiet webapi` (or matchmaker): the service, which leaves out metrics, traces and lines of stages
from SIGUSR1 on, and has them again from SIGUSR2 on. So both ways are compared in one process: two differ by more.
"""

from __future__ import annotations

import runpy
import signal
import sys
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from core import instruments, log, times, trace

PARTS: list[tuple[Any, str]] = [
    (log.Stage, "__call__"),
    (times.Times, "observe"),
    (instruments.Counts, "inc"),
    (trace, "of"),
    (trace, "given"),
    (Counter, "inc"),
    (Gauge, "set"),
    (Histogram, "observe"),
]


def nothing(*_: Any, **__: Any) -> str:
    """Count nothing, say nothing."""
    return ""


def main(module: str) -> None:
    """Run the service; signals switch."""
    loud = [getattr(owner, name) for owner, name in PARTS]

    def switch(to_quiet: bool) -> None:
        for (owner, name), original in zip(PARTS, loud, strict=True):
            setattr(owner, name, nothing if to_quiet else original)

    signal.signal(signal.SIGUSR1, lambda *_: switch(True))
    signal.signal(signal.SIGUSR2, lambda *_: switch(False))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv.pop(1))
