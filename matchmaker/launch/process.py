"""Servers as processes of this host: for laptops, tests, and single machines without containers.

A server is started with posix_spawn (0.1 ms; a fork of the matchmaker takes 7 ms), leads a session of its own and
appends to its own log, so nothing ties it to the matchmaker: it lives on when that is killed. The next one finds it
by its environment (`matchmaker.launch.scan`), as does a second matchmaker on this host. A pidfd tells the moment of
its end, whoever started it. What a server leaves behind (children of a sidecar that was killed) is ended too.

Crash anywhere: killed before the spawn, nothing ran; after it, the next scan knows the server; between SIGTERM and
SIGKILL, the next matchmaker finds the match over and asks again. Two starts of one match: the second process finds the
lock or the match taken and exits with `EXIT_TURNED_AWAY`. Everything runs on one event loop; scans in a thread.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from core.clock import now_ms
from core.errors import Misconfigured
from core.model import Match
from core.signing import Keyring
from matchmaker.launch import children, environment, logs
from matchmaker.launch.base import Changed, LaunchRefused, LaunchRetryable, Seen
from matchmaker.launch.scan import Found, Scanner
from matchmaker.launch.slots import StartSlots
from matchmaker.settings import ProcessSettings

SCAN_S: Final = 0.5  # a look at the processes of the host is used for so long
LOG_SWEEP_S: Final = 10.0
STRAY_GRACE_S: Final = 5.0
ENDED_KEPT: Final = 1024
TAIL_LINES: Final = 20


@dataclass(slots=True)
class _Server:
    """A main process under watch."""

    seen: Seen
    own: bool  # our child: we reap it and learn its exit code
    pidfd: int = -1  # -1 where the system has none; then the scan notices its end
    process: psutil.Process | None = None  # of one that is not our child: tells it from a later one with its pid
    killer: asyncio.TimerHandle | None = None


class ProcessLauncher:
    """See the module. `close` when done."""

    blind = False

    def __init__(
        self,
        settings: ProcessSettings,
        *,
        secret: str,
        redis_url: str,
        changed: Changed,
        keyring: Keyring | None = None,
    ) -> None:
        self._settings = settings
        self._secret, self._redis_url, self._changed = secret, redis_url, changed
        self._keyring = keyring
        self._installation = environment.installation_name(settings.installation, secret, redis_url)
        self._command = environment.server_command(settings)
        self._run_dir = Path(settings.run_dir).absolute()
        try:
            self._run_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(f"{self._run_dir} cannot be made: {error}", setting="MUSTER_RUN_DIR") from None
        children.keep_descriptors()
        self._servers: dict[str, _Server] = {}
        self._ended: dict[str, Seen] = {}
        self._slots = StartSlots(settings.starts)
        self._scanner = Scanner(self._installation)
        self._scanning = asyncio.Lock()
        self._scanned_at = self._swept_at = float("-inf")
        self._strays: dict[int, float] = {}

    @property
    def host(self) -> str:
        return f"{socket.gethostname()}/{self._installation}"

    def room(self) -> int:
        return self._settings.max_servers - len(self._servers) - self._slots.waiting

    async def start(self, match: Match) -> None:
        self._check(match)
        if match.id in self._servers:
            return
        if self.room() <= 0:
            raise LaunchRetryable(f"{self._settings.max_servers} servers run here (setting: MUSTER_MAX_SERVERS)")
        await self._slots.take(match.id)
        try:
            pid = self._spawn(match)
        except BaseException:
            self._slots.free(match.id)
            raise
        self._ended.pop(match.id, None)
        self._watch(_Server(Seen(match.id, match.game, pid, now_ms()), own=True))

    def settled(self, match: str) -> None:
        self._slots.free(match)

    async def stop(self, match: str, grace_s: float) -> None:
        server = self._servers.get(match)
        if server is None or server.seen.stopping:
            return
        server.seen = replace(server.seen, stopping=True)
        _signal(server, signal.SIGTERM)
        server.killer = asyncio.get_running_loop().call_later(grace_s, _signal, server, signal.SIGKILL)

    async def seen(self) -> Mapping[str, Seen]:
        async with self._scanning:
            if time.monotonic() - self._scanned_at >= SCAN_S:
                found = await asyncio.to_thread(self._look)
                self._scanned_at = time.monotonic()
                self._take_in(found)
        return self._ended | {match: server.seen for match, server in self._servers.items()}

    async def tail(self, match: str) -> list[str]:
        return await asyncio.to_thread(logs.tail, logs.log_path(self._run_dir, match), TAIL_LINES)

    async def output(self, match: str) -> str:
        return ""  # of a command its own sidecar reads it

    async def close(self, *, stop_servers: bool) -> None:
        if stop_servers:
            self._scanned_at = float("-inf")
            await self.seen()
            for match in list(self._servers):
                await self.stop(match, STRAY_GRACE_S)
            deadline = time.monotonic() + STRAY_GRACE_S + 1.0  # the kill comes first
            while self._servers and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
                self._reap()
        for server in self._servers.values():
            _unwatch(server)
        self._slots.close()
        self._servers.clear()

    def _check(self, match: Match) -> None:
        if match.server.image is not None or match.server.agones is not None:
            raise LaunchRefused("this installation starts processes, not images")
        if match.server.command is not None and not self._settings.allow_commands:
            raise LaunchRefused("this installation runs no commands (setting: MUSTER_ALLOW_COMMANDS)")

    def _spawn(self, match: Match) -> int:
        """Start the process. Raises LaunchRefused or LaunchRetryable."""
        env = environment.server_environment(
            match,
            self._settings,
            os.environ,
            installation=self._installation,
            run_dir=str(self._run_dir),
            secret=self._secret,
            keyring=self._keyring,
            redis_url=self._redis_url,
        )
        pid = children.spawn(self._command, env, logs.log_path(self._run_dir, match.id))
        children.give_way(pid, self._settings.nice)
        return pid

    def _watch(self, server: _Server) -> None:
        self._servers[server.seen.match] = server
        if hasattr(os, "pidfd_open"):
            with suppress(OSError):  # gone already, or out of descriptors: the scan will tell
                server.pidfd = os.pidfd_open(server.seen.pid)
                asyncio.get_running_loop().add_reader(server.pidfd, self._over, server)

    def _over(self, server: _Server) -> None:
        """The main process ended. Runs once a server."""
        seen = server.seen
        if self._servers.get(seen.match) is not server:
            return
        code = None
        if server.own:
            # While it is not reaped its pid cannot be another's: now is the time to reach those it left behind.
            _signal(server, signal.SIGTERM)
            code = children.reap(seen.pid)
        _unwatch(server)
        del self._servers[seen.match]
        self._ended[seen.match] = replace(seen, ended=True, exit_code=code, rss_bytes=0)
        while len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]
        self.settled(seen.match)
        self._changed(seen.game, seen.match)

    def _reap(self) -> None:
        """Notice who ended, where there is no pidfd to tell."""
        for server in list(self._servers.values()):
            if (server.own and children.is_zombie(server.seen.pid)) or (
                server.process and not server.process.is_running()
            ):
                self._over(server)

    def _look(self) -> list[tuple[Found, int]]:
        """In a thread: the processes of our servers with their memory; logs are kept in bounds on the way."""
        found = [(item, item.rss_bytes()) for item in self._scanner.scan()]
        if time.monotonic() - self._swept_at >= LOG_SWEEP_S:
            self._swept_at = time.monotonic()
            running = {item.match for item, _ in found}
            with suppress(OSError):
                logs.sweep(
                    self._run_dir, running, log_bytes=self._settings.log_bytes, logs_kept=self._settings.logs_kept
                )
        return found

    def _take_in(self, found: list[tuple[Found, int]]) -> None:
        """Adopt servers that others started, update what is known, end strays."""
        self._reap()
        memory: dict[str, int] = {}
        mains: dict[str, Found] = {}
        for item, rss in found:
            memory[item.match] = memory.get(item.match, 0) + rss
            if item.main:
                mains.setdefault(item.match, item)
        for match, main in mains.items():
            if match not in self._servers and main.process.is_running():
                self._ended.pop(match, None)
                seen = Seen(match, main.game, main.pid, main.since_ms)
                self._watch(_Server(seen, own=False, process=main.process))
        for match, server in self._servers.items():
            server.seen = replace(server.seen, rss_bytes=memory.get(match, server.seen.rss_bytes))
        self._end_strays(item for item, _ in found if item.match not in mains and item.match not in self._servers)

    def _end_strays(self, strays: Iterable[Found]) -> None:
        now, before, self._strays = time.monotonic(), self._strays, {}
        for item in strays:
            first = self._strays[item.pid] = before.get(item.pid, now)
            with suppress(psutil.Error):
                if first == now:
                    item.process.terminate()
                elif now - first >= STRAY_GRACE_S:
                    item.process.kill()


def _signal(server: _Server, number: signal.Signals) -> None:
    """Signal the whole group of a server, if it is still that server."""
    if server.process is None or server.process.is_running():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(server.seen.pid, number)


def _unwatch(server: _Server) -> None:
    if server.pidfd >= 0:
        asyncio.get_running_loop().remove_reader(server.pidfd)
        os.close(server.pidfd)
        server.pidfd = -1
    if server.killer is not None:
        server.killer.cancel()
