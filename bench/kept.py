"""The latest run of each bench that was kept: its lines as they were printed, after one that says where and when."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

RESULTS: Final = Path(__file__).parent / "results"


def head(bench: str) -> dict[str, Any]:
    """Where and when a run begins, and how busy the machine was before it."""
    return {
        "bench": bench,
        "taken": datetime.now(UTC).isoformat(timespec="minutes"),
        "python": platform.python_version(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB",
        "load": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def keep(begun: dict[str, Any], lines: Sequence[str]) -> str:
    """Write a run over the one before it. Returns the file's name."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{begun['bench']}.jsonl"
    path.write_text("".join(f"{line}\n" for line in (json.dumps(begun), *lines)))
    return path.name


def kept() -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Every run that was kept, by name: where and when, and its figures."""
    runs = []
    for path in sorted(RESULTS.glob("*.jsonl")):
        first, *lines = map(json.loads, path.read_text().splitlines())
        runs.append((first, lines))
    return runs
