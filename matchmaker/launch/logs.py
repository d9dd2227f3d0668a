"""Logs of servers: one file each, which the server itself appends to, so that it lives on without the matchmaker.

Bounds: a file that grew past `log_bytes` loses its older half at the next sweep (what is written in that instant is
lost), and of servers that are over only the newest `logs_kept` files stay. All functions block: call them in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

TAIL_BYTES: Final = 4096
CUT: Final = b"[older lines were cut off]\n"


def log_path(run_dir: Path, match: str) -> Path:
    return run_dir / f"{match}.log"


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def sweep(run_dir: Path, running: Collection[str], *, log_bytes: int, logs_kept: int) -> None:
    """Keep the bounds above. `running` are matches whose servers run."""
    over: list[tuple[float, Path]] = []
    for path in run_dir.glob("m-*.log"):
        try:
            status = path.stat()
            if status.st_size > log_bytes:
                _cut(path, log_bytes // 2)
        except OSError:
            continue  # removed meanwhile by another matchmaker of this host
        if path.stem not in running:
            over.append((status.st_mtime, path))
    for _, path in sorted(over, reverse=True)[logs_kept:]:
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)  # of a server that is over, so nobody waits for it


def _cut(path: Path, keep: int) -> None:
    # Truncated in place, written back in append mode: servers hold the file open and append at its new end.
    with path.open("rb") as file:
        file.seek(-keep, os.SEEK_END)
        kept = file.read(keep)
    os.truncate(path, 0)
    with path.open("ab") as file:
        file.write(CUT + kept[kept.find(b"\n") + 1 :])
