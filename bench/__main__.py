"""`python -m bench [name ...]`: run benches, all of them without a name. Exit 1 where a promise was missed."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import bench
from bench.harness import Report, say

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
    "quiet",
}


def main(names: list[str]) -> int:
    known = sorted(m.name for m in pkgutil.iter_modules(bench.__path__) if m.name not in HELPERS)
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"no bench named {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    missed = []
    for name in names or known:
        say(f"bench {name}")
        report = Report(name)
        importlib.import_module(f"bench.{name}").main(report)
        missed += [f"{name}: {promise}" for promise in report.missed]
    for line in missed:
        say(f"missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
