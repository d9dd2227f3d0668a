"""`python -m bench [--keep] [name ...]`: run benches, all of them without a name. Exit 1 where a promise was missed.

With --keep the lines are written to bench/results, from which `make docs` draws docs/promises.md.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import bench
from bench.harness import Report, loop_ms, say
from bench.kept import head, keep

HELPERS = {
    "__main__",
    "harness",
    "event_cost",
    "load",
    "loadtest",
    "players",
    "by_hand",
    "udp_players",
    "interaction_crash",
    "kube",
    "quality_figure",
    "interaction_load",
    "kept",
    "quiet",
}


def main(arguments: list[str]) -> int:
    names = [it for it in arguments if it != "--keep"]
    known = sorted(m.name for m in pkgutil.iter_modules(bench.__path__) if m.name not in HELPERS)
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"no bench named {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    missed = []
    for name in names or known:
        say(f"bench {name}")
        report, begun = Report(name), head(name)
        report.figure("yardstick before: a million rounds of a Python loop", loop_ms(), "ms")
        importlib.import_module(f"bench.{name}").main(report)
        report.figure("yardstick after", loop_ms(), "ms")
        if "--keep" in arguments:
            say(f"kept: {keep(begun, report.lines)}")
        missed += [f"{name}: {promise}" for promise in report.missed]
    for line in missed:
        say(f"missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
