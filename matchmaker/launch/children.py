"""Child processes at the level of the system: started with posix_spawn, told apart, reaped.

posix_spawn rather than asyncio's subprocess: a start from a matchmaker takes 0.1 ms instead of 7 ms of a blocked event
loop, and no pipe or transport ties the child to us.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from matchmaker.launch.base import LaunchRefused, LaunchRetryable

_PASSING: Final = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT}


def keep_descriptors() -> None:
    """Let no server inherit a descriptor: Python's own close at exec, the ones we were started with would not."""
    for name in os.listdir("/dev/fd"):
        if int(name) > 2:
            with suppress(OSError):  # the one that listed them is closed by now
                os.set_inheritable(int(name), False)


def spawn(command: Sequence[str], env: Mapping[str, str], log: Path) -> int:
    """Start a process in a session of its own that appends its output to `log`. Returns its pid.

    Blocks for the 0.1 ms that it takes. Raises LaunchRefused where the command cannot be started, LaunchRetryable
    where the host has no room for it or for its log now.
    """
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LaunchRetryable(f"its log {log} cannot be written: {error.strerror}") from None
    try:
        return os.posix_spawnp(
            command[0],
            list(command),
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores these; a stranger's program expects them
        )
    except OSError as error:
        if error.errno in _PASSING:
            raise LaunchRetryable(f"the host starts no process now: {error.strerror}") from None
        raise LaunchRefused(
            f"{command[0]!r} cannot be started: {error.strerror} (setting: MUSTER_SERVER_COMMAND)"
        ) from None
    finally:
        os.close(output)


def give_way(pid: int, nice: int) -> None:
    """Let a process that leads a session, and all it starts, go behind others by `nice` (0-19).

    Linux may share cores out by session first; then that of the session counts, and not that of a process in it.
    """
    with suppress(OSError):  # ended already
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    with suppress(OSError):  # a system without it, or many changes within a tenth of a second: it stays as it is
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def is_zombie(pid: int) -> bool:
    """Whether a child of ours has ended and waits to be reaped."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def reap(pid: int) -> int | None:
    """Exit code of a child that ended; minus the signal's number where one ended it; None where it is not ours."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if found else None
