"""`python -m bench.quiet webapi` (or matchmaker): the service without metrics, traces and lines of stages, to compare
with. Nothing else of it differs."""

from __future__ import annotations

import runpy
import sys
from typing import Any

from core import instruments, log, times, trace


def nothing(*_: Any, **__: Any) -> None:
    """Count nothing, say nothing."""


def hush() -> None:
    """Leave out what `bench.observability` measures."""
    log.Stage.__call__ = nothing  # type: ignore[method-assign]
    times.Times.observe = nothing  # type: ignore[method-assign]
    instruments.Counts.inc = nothing  # type: ignore[method-assign]
    trace.of = trace.given = lambda *_: ""
    from prometheus_client import metrics

    for kind, name in ((metrics.Counter, "inc"), (metrics.Gauge, "set"), (metrics.Histogram, "observe")):
        setattr(kind, name, nothing)


if __name__ == "__main__":
    hush()
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
