"""One process per match on a host: a lock file, held as long as the process lives.

The kernel drops the lock with the process, however that ends, so no lock is ever stale. `server_attach` keeps out a
second process on another host; this one spares the second on the same host even its first step.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import Conflict, Misconfigured


@contextmanager
def match_lock(folder: str, match: str) -> Iterator[Path]:
    """Hold the lock of `match` for the length of the block, which gets the lock file's path; removed at the end.

    Raises Conflict where another process holds it, Misconfigured where the folder cannot be written.
    """
    path = Path(folder) / f"{match}.lock"
    handle = _take(path, match)
    try:
        os.write(handle, f"{os.getpid()}\n".encode())
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _take(path: Path, match: str) -> int:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Misconfigured(f"the lock file {path} cannot be made: {error}", setting="MUSTER_RUN_DIR") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise Conflict(f"another process has match {match} (lock file {path})", code="match-locked") from None
        if _is(path, handle):
            return handle
        # Its holder removed the file between our two steps: the lock we have is of a file that nobody else finds.
        os.close(handle)


def _is(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
