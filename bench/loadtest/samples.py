"""What a stack used and how full it was, once a second: CPU and memory by part, matches, who waits."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import msgspec
import psutil

from core.cli import servers
from core.cli.folder import StackState

EVERY_S: Final = 1.0
ASK_S: Final = 5.0


@dataclass(frozen=True)
class Sample:
    """One moment. `cores` and `rss_mb` are by part of the stack, 'game servers' together."""

    at_s: float  # since the beginning
    cores: Mapping[str, float]
    rss_mb: Mapping[str, float]
    matches: int  # that live
    waiting: int  # tickets


@dataclass
class Sampler:
    """Takes samples until cancelled. A stack elsewhere has no processes here, and is asked for its overview alone."""

    url: str
    state: StackState | None = None
    others: Mapping[str, int] = field(default_factory=dict)  # more parts to watch: name -> process id
    samples: list[Sample] = field(default_factory=list)
    missed: int = 0  # overviews that did not come
    _used: dict[int, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Take a sample each second."""
        begun_s = last_s = time.monotonic()
        self._look(1.0)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S)) as session:
            while True:
                await asyncio.sleep(EVERY_S)
                now_s = time.monotonic()
                cores, rss = await asyncio.to_thread(self._look, now_s - last_s)
                last_s = now_s
                matches, waiting = await self._overview(session)
                self.samples.append(Sample(now_s - begun_s, cores, rss, matches, waiting))

    async def _overview(self, session: aiohttp.ClientSession) -> tuple[int, int]:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.get(f"{self.url}/v1/overview") as response:
                told = msgspec.json.decode(await response.read())
                games = told["games"]
                return sum(game["live"] for game in games), sum(game["waiting"] for game in games)
        self.missed += 1
        return (0, 0)

    def _look(self, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
        """Cores used since the last look, and memory, by part."""
        cores: dict[str, float] = defaultdict(float)
        rss: dict[str, float] = defaultdict(float)
        used = {}
        for name, pid in self._parts():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                times = process.cpu_times()
                used[pid] = times.user + times.system
                cores[name] += (used[pid] - self._used.get(pid, 0.0 if name == "game servers" else used[pid])) / seconds
                rss[name] += process.memory_info().rss / 1e6
        self._used = used
        return dict(cores), dict(rss)

    def _parts(self) -> list[tuple[str, int]]:
        parts = []
        for name, pid in self.others.items():
            with contextlib.suppress(psutil.Error):  # a broker is a script and what it starts
                family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
                parts += [(name, process.pid) for process in family]
        if self.state is not None:
            parts += [(re.sub(r"-\d+$", "", program.name), program.pid) for program in self.state.programs]
            parts += [("game servers", process.pid) for process in servers.find(self.state.installation)]
        return parts
