"""What benches share: figures as JSON lines, percentiles, real services on free ports, a cheap HTTP load.

A bench measures and compares within one run, because machines differ. It prints one JSON line per promise:
{"bench", "promise", "measured", "unit", "wanted", "ok"}; a figure without a promise has `wanted` and `ok` null.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from core.redis.embedded import EmbeddedRedis, embedded_redis
from tests.support import end, free_port

ROOT = Path(__file__).parent.parent
START_S = 30.0


@dataclass
class Report:
    """Collects the lines of one bench; `missed` are the promises not kept."""

    bench: str
    missed: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def figure(
        self, promise: str, measured: float, unit: str, *, at_most: float | None = None, at_least: float | None = None
    ) -> None:
        """Print one line. With `at_most` or `at_least` it is a promise, which is kept or missed."""
        ok: bool | None = None
        wanted = None
        if at_most is not None:
            wanted, ok = f"<= {at_most:g}", measured <= at_most
        elif at_least is not None:
            wanted, ok = f">= {at_least:g}", measured >= at_least
        if ok is False:
            self.missed.append(promise)
        line = {"bench": self.bench, "promise": promise, "measured": round(measured, 3), "unit": unit}
        self.lines.append(json.dumps({**line, "wanted": wanted, "ok": ok}))
        print(self.lines[-1], flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0-1) of the sorted values lie: nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def loop_ms() -> float:
    """How long a million rounds of a plain loop take here and now, median of nine.

    A core of a shared machine is at times half as fast as at others, and one build of Python a third faster than
    another: Debian's and those of the official images are optimised by profile, one compiled without flags is not. With
    it figures of CPU time of different runs can be compared.
    """

    def once() -> float:
        start, total = time.perf_counter(), 0
        for i in range(1_000_000):
            total += i * i
        return (time.perf_counter() - start) * 1000

    return median(once() for _ in range(9))


def say(text: str) -> None:
    """Progress for people, beside the JSON lines."""
    print(f"  {text}", file=sys.stderr, flush=True)


@dataclass
class Stack:
    """Real services on free ports of loopback, in a folder of their own."""

    folder: Path
    redis: EmbeddedRedis
    port: int
    env: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str, *command: str, core: int | None = None, **env: str) -> subprocess.Popen[bytes]:
        """Start `python <command>` under `name`, its output in the folder; pinned to `core` if given."""
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen([sys.executable, *command], env=self.env | env, cwd=ROOT, stdout=log, stderr=log)
        if core is not None:
            psutil.Process(process.pid).cpu_affinity([core])
        self.processes[name] = process
        return process

    def webapi(self, *, core: int | None = None) -> subprocess.Popen[bytes]:
        """Start webapi and wait until it answers."""
        process = self.start("webapi", "-m", "webapi", core=core)
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/status", timeout=1):
                return process
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "webapi.log").read_text()[-2000:])
            time.sleep(0.05)

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds (user and system) used so far, by process."""
        alive = {n: p for n, p in self.processes.items() if p.poll() is None}
        spent = {n: sum(psutil.Process(p.pid).cpu_times()[:2]) for n, p in alive.items()}
        assert self.redis.process is not None
        return spent | {"redis": sum(psutil.Process(self.redis.process.pid).cpu_times()[:2])}


@contextlib.contextmanager
def stack() -> Iterator[Stack]:
    """A Redis and a place for services; everything started is stopped by its process id."""
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as name:
        folder = Path(name)
        with embedded_redis(folder / "redis", free_port()) as redis:
            port = free_port()
            env = os.environ | {
                "REDIS_URL": redis.url,
                "MUSTER_SECRET": secrets.token_hex(32),
                "MUSTER_WEBAPI_PORT": str(port),
                "MUSTER_WEBAPI_AUTH_PORT": str(free_port()),
                "MUSTER_WEBAPI_METRICS_PORT": str(free_port()),
                "MUSTER_MATCHMAKER_METRICS_PORT": str(free_port()),
                "MUSTER_RUN_DIR": str(folder / "run"),
                "MUSTER_SIGNUPS_ADDRESS": "1000000",
                "MUSTER_ALLOW_COMMANDS": "true",
                "MUSTER_OPEN_DEVELOPERS": "true",
                "PYTHONPATH": str(ROOT),
            }
            made = Stack(folder, redis, port, env)
            try:
                yield made
            finally:
                end(*reversed(made.processes.values()), patience_s=10)
