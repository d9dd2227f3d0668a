"""`python -m bench.quiet webapi` (or matchmaker): the service, without its metrics, traces and lines of stages, or with
one of these done `TIMES` over, so that what it costs stands out from the noise.

A signal says which way it goes from then on: `SIGNALS` has one for each. So all ways are compared in one process: two
processes differ by more.
"""

from __future__ import annotations

import runpy
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from prometheus_client import Counter, Gauge, Histogram

from core import instruments, log, times, trace

PARTS: Final[dict[str, list[tuple[Any, str]]]] = {
    "metrics": [
        (times.Times, "observe"),
        (instruments.Counts, "inc"),
        (Counter, "inc"),
        (Gauge, "inc"),
        (Gauge, "dec"),
        (Gauge, "set"),
        (Histogram, "observe"),
    ],
    "traces": [(trace, "of"), (trace, "given")],
    "log lines": [(log.Stage, "__call__")],
}
TIMES: Final = 20
WAYS: Final = ("quiet", "once", *PARTS)  # nothing, all as it is, all and one part so often
SIGNALS: Final = {way: signal.SIGRTMIN + number for number, way in enumerate(WAYS)}


def nothing(*_: Any, **__: Any) -> str:
    """Count nothing, say nothing."""
    return ""


def often(original: Callable[..., Any]) -> Callable[..., Any]:
    """It, `TIMES` over."""

    def repeated(*args: Any, **kwargs: Any) -> Any:
        for _ in range(TIMES - 1):
            original(*args, **kwargs)
        return original(*args, **kwargs)

    return repeated


def main(module: str) -> None:
    """Run the service; signals switch."""
    own = {part: [getattr(owner, name) for owner, name in places] for part, places in PARTS.items()}

    def switch(way: str, *_: Any) -> None:
        for part, places in PARTS.items():
            for (owner, name), original in zip(places, own[part], strict=True):
                setattr(owner, name, nothing if way == "quiet" else often(original) if way == part else original)

    for way, number in SIGNALS.items():
        signal.signal(number, partial(switch, way))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv.pop(1))
