"""The data folder of a stack: one stack at a time, its secret, and the file that tells others where it is."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import psutil

from core.errors import Misconfigured
from core.settings import SECRET_BYTES

STATE: Final = "stack.json"
LOCK: Final = "lock"
REDIS: Final = "redis"  # folder of the embedded one


class Program(msgspec.Struct, frozen=True):
    """A process of the stack. `created_s` tells it from a later one that got the same pid."""

    name: str
    pid: int
    created_s: float


class StackState(msgspec.Struct, frozen=True):
    """What `stack.json` holds while a stack runs."""

    url: str
    redis_url: str
    installation: str
    pid: int  # of `muster up`
    ready: bool  # everything answers and the built-in games are there
    programs: list[Program] = []


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have the folder for oneself. The lock ends with the process, however that ends.

    Raises Misconfigured where another stack has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as file:
        if not _try_lock(file.fileno()):
            state = read_state(folder)
            where = f" at {state.url} (pid {state.pid})" if state else ""
            raise Misconfigured(
                f"a stack already runs in {folder}{where}: stop it, or give this one a folder of its own",
                setting="MUSTER_DATA_DIR",
            )
        yield


def running(folder: Path) -> StackState | None:
    """The stack that runs in this folder and is ready, if there is one."""
    state = read_state(folder)
    if state is None or not state.ready:
        return None
    # The file may be a killed run's, and the lock that of a next one which has not written its own yet.
    if not _runs(state.pid):
        return None
    with (folder / LOCK).open("a") as file:
        return None if _try_lock(file.fileno()) else state


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_state(folder: Path) -> StackState | None:
    """What the state file says, also one that a killed stack left behind."""
    try:
        return msgspec.json.decode((folder / STATE).read_bytes(), type=StackState)
    except (OSError, msgspec.DecodeError):
        return None


def write_state(folder: Path, state: StackState) -> None:
    """Write the state file at once or not at all."""
    replace_private(folder / STATE, msgspec.json.format(msgspec.json.encode(state)))


def remove_state(folder: Path) -> None:
    """The stack is gone."""
    (folder / STATE).unlink(missing_ok=True)


def kept_secret(folder: Path, name: str) -> str:
    """A secret that is made the first time and read ever after; only this user may read its file."""
    path = folder / name
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        replace_private(path, secrets.token_hex(SECRET_BYTES).encode())
        return path.read_text().strip()


def replace_private(path: Path, content: bytes) -> None:
    """Write a file that only this user may read; readers see the old or the new one, never a part."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
