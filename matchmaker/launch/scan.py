"""Which processes on this host are servers of this installation: those that carry `MUSTER_SERVER` in their environment.

An environment is inherited and survives whoever started the process, so it names a server after any crash of ours,
and its children with it. The main process is told from them by the join key, which no child is given.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Final

import psutil

# A young process may still be on its way from fork to exec, with the environment of its parent: read it again.
SETTLED_S: Final = 5.0
# Forget what is known to be no server now and then, as its pid may be another's by now.
FORGET_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """A process of a server."""

    pid: int
    match: str
    game: str
    main: bool
    since_ms: int
    process: psutil.Process

    def rss_bytes(self) -> int:
        """Memory in use now, 0 where it is gone."""
        try:
            return int(self.process.memory_info().rss)
        except psutil.Error:
            return 0


class Scanner:
    """Finds processes of `installation`. Call `scan` from one thread at a time; it takes about 50 µs a new process."""

    def __init__(self, installation: str) -> None:
        self._label = f"{installation}/"
        self._known: dict[int, Found] = {}
        self._strangers: set[int] = set()
        self._forget_at = 0.0

    def scan(self) -> list[Found]:
        """All processes of servers, oldest first."""
        now = time.time()
        if now >= self._forget_at:
            self._strangers.clear()
            self._forget_at = now + FORGET_S
        pids = psutil.pids()
        self._strangers.intersection_update(pids)
        before, self._known = self._known, {}
        found = []
        for pid in pids:
            if pid in self._strangers:
                continue
            known = before.get(pid)
            item = known if known and _runs(known) else self._look(pid, now)
            if item is None:
                continue
            found.append(item)
            if now - item.since_ms / 1000 > SETTLED_S:
                self._known[pid] = item
        return sorted(found, key=lambda item: (item.since_ms, item.pid))

    def _look(self, pid: int, now: float) -> Found | None:
        try:
            process = psutil.Process(pid)
            born = process.create_time()
            env = process.environ()
            label = env.get("MUSTER_SERVER", "")
            if label.startswith(self._label) and process.uids().real == os.getuid():
                return Found(
                    pid,
                    label.removeprefix(self._label),
                    env.get("MUSTER_GAME", ""),
                    "MUSTER_JOIN_KEY" in env,
                    int(born * 1000),
                    process,
                )
        except psutil.AccessDenied:
            self._strangers.add(pid)  # another user's
            return None
        except (psutil.Error, OSError):
            return None  # it ended meanwhile, or is a zombie
        if now - born > SETTLED_S:
            self._strangers.add(pid)
        return None


def _runs(found: Found) -> bool:
    """Whether it is still that process (not another with its pid, not a zombie)."""
    try:
        return found.process.is_running() and found.process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
