"""The control groups of a sandbox: one group in each hierarchy, made, joined and removed with all that is below."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

REMOVE_S: Final = 30.0  # a killed process leaves its group a moment after it is gone


def hierarchies() -> list[Path]:
    """Mount points of the hierarchies: one in version 2, one for each set of controllers in version 1, or both."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(path) for path, kind in mounts if kind in ("cgroup", "cgroup2")]


def make(path: str) -> list[Path]:
    """Make the group in each hierarchy, and in it `init` for the sandbox's own processes; give the latter.

    Processes live in leaves only: version 2 allows a group either processes or children with limits.
    """
    leaves = [root / path.lstrip("/") / "init" for root in hierarchies()]
    for leaf in leaves:
        for group in (leaf.parent, leaf):
            group.mkdir(exist_ok=True)
            for setting in ("cpuset.cpus", "cpuset.mems"):  # version 1 makes them empty, and then takes no process
                if (group / setting).exists() and not (group / setting).read_text().strip():
                    (group / setting).write_text((group.parent / setting).read_text())
    return leaves


def join(leaves: Sequence[Path]) -> None:
    """Move this process there; what it starts afterwards is born there."""
    for leaf in leaves:
        (leaf / "cgroup.procs").write_text("0")


def present(path: str) -> list[Path]:
    """The groups of that path which exist."""
    return [group for root in hierarchies() if (group := root / path.lstrip("/")).exists()]


def remove(path: str) -> None:
    """Remove the group everywhere with all groups below it. Raises OSError if a process lives on in one."""
    for group in present(path):
        below = [child for child in group.rglob("*") if child.is_dir()]
        for folder in sorted([group, *below], key=lambda child: len(child.parts), reverse=True):
            remove_one(folder)


def remove_one(group: Path) -> None:
    """Remove a group whose last process may be just about to leave."""
    deadline = time.monotonic() + REMOVE_S
    while True:
        try:
            group.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
