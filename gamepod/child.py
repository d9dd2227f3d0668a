"""A game's command as our child: started in a group of its own, its output kept, and never left behind.

The group is ended as a whole, so what the game starts ends with it. On Linux the kernel ends the game itself when this
process dies, even by SIGKILL; what the game started then is found by its MUSTER_SERVER variable.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gamepod.childlog import ChildLog
from gamepod.outcome import GameFailed

READ_BYTES: Final = 65_536
OUTPUT_WAIT_S: Final = 1.0  # for the rest of the output after the end
_PR_SET_PDEATHSIG: Final = 1


class Child:
    """A running command. Make one with `start_child`."""

    def __init__(self, process: asyncio.subprocess.Process, log: ChildLog) -> None:
        self.log = log
        self._process = process
        self._reader = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Wait for the end; returns the exit code, negative for a signal. What is left of the group is killed."""
        code = await self._process.wait()
        self._signal_group(signal.SIGKILL)
        # A grandchild that left the group may hold the pipe open for ever.
        await asyncio.wait({self._reader}, timeout=OUTPUT_WAIT_S)
        return code

    async def stop(self, drain_s: float) -> int:
        """Ask the game to end, and after `drain_s` make it. Returns the exit code."""
        if self._process.returncode is None:
            self._signal_group(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(drain_s):
                    await self._process.wait()
        self._signal_group(signal.SIGKILL)
        return await self.wait()

    async def close(self) -> None:
        """Release what is held; kills the game if it still runs."""
        if self._process.returncode is None:
            await self.stop(0.0)
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self.log.close()

    def _signal_group(self, number: signal.Signals) -> None:
        # The group's id is the game's, and stays reserved while anything is in the group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _read(self) -> None:
        stream = self._process.stdout
        while stream is not None and (data := await stream.read(READ_BYTES)):
            self.log.feed(data)


async def start_child(command: Sequence[str], env: Mapping[str, str], log_path: Path, line: str = "") -> Child:
    """Start a command; `line` is looked for in its output. Raises GameFailed (launch_failed), with why in words."""
    log = ChildLog(log_path, line)
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a session is a group too, and Ctrl-C in a terminal does not reach it
            preexec_fn=_die_with_parent(),
        )
    except OSError as error:
        log.close()
        raise GameFailed("launch_failed", _why(command[0], error)) from None
    except ValueError as error:  # a NUL byte in a word
        log.close()
        raise GameFailed("launch_failed", f"the command cannot be started: {error}") from None
    return Child(process, log)


def _why(program: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"the command {program!r} does not exist on this host (it is looked for in PATH, or at the path given)"
    if isinstance(error, PermissionError):
        return f"the command {program!r} may not be executed by this user"
    return f"the command {program!r} cannot be started: {error.strerror or error}"


def _die_with_parent() -> Callable[[], None] | None:
    """What the child runs before it becomes the game; None where the system has no such thing."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # 1 MB that the arena does not need

    # Looked up before the fork: the child of a process with threads may do little between fork and exec.
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return before_exec
