"""Game servers of this installation on this machine, as the operating system sees them.

Every game server, and every child of one, carries `MUSTER_SERVER=<installation>/<match>` in its environment: that is
how they are found, whoever started them and whatever has crashed since.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import psutil

MARK: Final = "MUSTER_SERVER"
STOP_S: Final = 8.0  # a server writes its last interactions first
KILL_S: Final = 5.0
WAIT_STEP_S: Final = 0.05


def find(installation: str) -> list[psutil.Process]:
    """Processes of game servers of this installation."""
    return [process for process in psutil.process_iter() if _mark(process).startswith(installation + "/")]


def matches(installation: str) -> set[str]:
    """Ids of the matches that have a process here."""
    marks = {_mark(process) for process in psutil.process_iter()}
    return {mark.partition("/")[2] for mark in marks if mark.startswith(installation + "/")}


def _mark(process: psutil.Process) -> str:
    # A process of another user, or one that ended meanwhile, is none of ours.
    with suppress(psutil.Error, OSError):
        if process.status() != psutil.STATUS_ZOMBIE:
            return str(process.environ().get(MARK, ""))
    return ""


def stop_all(installation: str) -> int:
    """Stop every game server of this installation and wait for their end. Returns how many processes there were."""
    found = find(installation)
    end(found, STOP_S)
    late = find(installation)  # a child that was just being started
    end(late, KILL_S)
    return len({process.pid for process in [*found, *late]})


def end(processes: Iterable[psutil.Process], patience_s: float) -> None:
    """Ask processes to stop; kill those that still run after `patience_s`."""
    asked = list(processes)
    for process in asked:
        with suppress(psutil.Error):
            process.terminate()
    alive = _wait(asked, patience_s)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    _wait(alive, KILL_S)


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs. One that ended and that its parent has not collected does not."""
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _wait(processes: list[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Those that still run after `patience_s`; returns as soon as none does."""
    deadline = time.monotonic() + patience_s
    while (alive := [process for process in processes if is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(WAIT_STEP_S)
    return alive
