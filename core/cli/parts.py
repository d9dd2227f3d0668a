"""A part of the stack, a Redis or a service, and how it is brought back when it crashes.

`Keeper` decides with the time as an argument and tells what it did; the loop that calls it is in `core.cli.stack`.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from core.errors import MusterError
from core.redis.embedded import EmbeddedRedis
from core.serve import EXIT_MISCONFIGURED

STOP_S: Final = 10.0  # asked to stop -> killed
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 10.0
STEADY_S: Final = 60.0  # who ran so long has not crashed "again"
MAX_LOG_BYTES: Final = 10_000_000  # a longer log is moved aside at the next start
LOG_TAIL_BYTES: Final = 2000


class Part(Protocol):
    """What a keeper needs of a part."""

    @property
    def name(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    def start(self) -> None:
        """Start it. Raises MusterError or OSError where that fails at once."""

    def ended(self) -> int | None:
        """The exit code, or None while it runs."""

    def stop(self) -> None:
        """Stop it and wait for its end."""


@dataclass(slots=True)
class Service:
    """A program of ours. Its output goes to `log`, or to this terminal where that is None."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def start(self) -> None:
        """Start it in a session of its own: Ctrl-C in the terminal reaches only us, and we stop things in order."""
        log = _open_log(self.log) if self.log else None
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module names
                self.command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                start_new_session=True,
            )
        finally:
            if log:
                log.close()

    def ended(self) -> int | None:
        return self.process.poll() if self.process else 0

    def stop(self) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def last_words(self) -> str:
        """The end of its log."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - LOG_TAIL_BYTES))
            return file.read().decode(errors="replace").strip()


@dataclass(slots=True)
class OwnRedis:
    """The embedded Redis as a part."""

    server: EmbeddedRedis
    name: str = "redis"

    @property
    def pid(self) -> int | None:
        return self.server.process.pid if self.server.process else None

    def start(self) -> None:
        self.server.start()

    def ended(self) -> int | None:
        return self.server.process.poll() if self.server.process else 0

    def stop(self) -> None:
        self.server.stop()


def pause_s(crashes: int) -> float:
    """How long to wait before the next start after so many crashes in a row (1, 2, ...)."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(crashes - 1, 16))


@dataclass(slots=True)
class Keeper:
    """Brings one part back after a crash, sooner or later by how often it crashed."""

    part: Part
    crashes: int = 0
    started_s: float = 0.0
    again_s: float | None = field(default=None)  # when it is started again

    def start(self, now_s: float) -> None:
        """The first start. Raises what the part raises."""
        self.part.start()
        self.started_s = now_s

    def look(self, now_s: float) -> str | None:
        """Look after the part. Returns a sentence when something happened."""
        if self.again_s is not None:
            return self._start_again(now_s) if now_s >= self.again_s else None
        code = self.part.ended()
        if code is None:
            return None
        if now_s - self.started_s >= STEADY_S:
            self.crashes = 0
        return self._wait(now_s, f"{self.part.name} ended with {describe(code)}")

    @property
    def hopeless(self) -> bool:
        """It was started with settings that it cannot work with: starting it again will not help."""
        return self.again_s is not None and self.part.ended() == EXIT_MISCONFIGURED

    def _start_again(self, now_s: float) -> str:
        try:
            self.part.start()
        except (MusterError, OSError) as error:
            return self._wait(now_s, f"{self.part.name} does not start: {error}")
        self.again_s, self.started_s = None, now_s
        return f"{self.part.name} runs again"

    def _wait(self, now_s: float, what: str) -> str:
        self.crashes += 1
        pause = pause_s(self.crashes)
        self.again_s = now_s + pause
        return f"{what}; starting it again in {pause:g} s"


def describe(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"


def _open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return path.open("ab")
