"""What all parts of one matchmaker process share, and how their loops run: rung at once, polled anyway, never stopped
by an error."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from structlog.typing import FilteringBoundLogger

from core.clock import now_ms
from core.doorbell import Doorbell
from core.drain import Drain, applying
from core.errors import Fenced, Unavailable
from core.redis.client import Database
from matchmaker.crowd import Crowd
from matchmaker.launch.base import Launcher
from matchmaker.metrics import Metrics
from matchmaker.outgoing import Outgoing
from matchmaker.planner import Deadlines
from matchmaker.settings import Settings

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0  # of a game that is broken
AWAY_PAUSE_S: Final = 0.5  # of Redis being away: to notice soon that it is back costs little


class Drains:
    """What is drained, as read last."""

    def __init__(self) -> None:
        self._orders: Mapping[str, Drain] = {}

    def read(self, orders: Mapping[str, Drain]) -> None:
        self._orders = orders

    def of(self, game: str) -> Drain | None:
        """The order that applies to this game."""
        return applying(self._orders, game) if self._orders else None


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts of this process."""

    db: Database
    bell: Doorbell
    launcher: Launcher
    settings: Settings
    metrics: Metrics
    # Matches whose players are asked: each needs a server soon, so room is kept for it.
    asked: set[str] = field(default_factory=set)
    keys: str = ""  # names the keys of join tokens
    drains: Drains = field(default_factory=Drains)
    secret: str = ""  # of the installation: what webhooks are signed with is derived from it
    outgoing: Outgoing = field(default_factory=Outgoing)
    crowd: Crowd = field(default_factory=Crowd)


class Contact:
    """Since when Redis could be reached without a break. Silence of others is judged only after a while of it."""

    def __init__(self) -> None:
        self._since_ms: int | None = None

    def lost(self) -> None:
        self._since_ms = None

    def made(self) -> None:
        if self._since_ms is None:
            self._since_ms = now_ms()

    def deadlines(self, beat_timeout_s: float, until_ms: int | None = None) -> Deadlines:
        """`until_ms` is when a drain ends what still runs."""
        since_ms = now_ms() if self._since_ms is None else self._since_ms
        return Deadlines(int(beat_timeout_s * 1000), since_ms, until_ms)


def pause_s(failures: int, most_s: float) -> float:
    """How long to wait after so many failures in a row (1, 2, ...), with jitter: replicas should not try in step."""
    longest = min(most_s, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


async def keep_doing(
    step: Callable[[], Awaitable[float]],
    rung: asyncio.Event,
    contact: Contact,
    log: FilteringBoundLogger,
    trouble: Callable[[], None],
) -> None:
    """Do `step` whenever `rung` is set, and after the seconds that it returned. Ends only by Fenced or cancellation.

    Rings during a step are one further step. A step that fails is tried again after a pause.
    """
    failures = 0
    while True:
        rung.clear()
        try:
            wait_s = await step()
            contact.made()
            failures = 0
        except Fenced:
            raise
        except Unavailable as error:
            contact.lost()
            failures += 1
            if failures == 1:
                log.warning("redis cannot be reached", error=error.detail)
            await asyncio.sleep(pause_s(failures, AWAY_PAUSE_S))
            continue
        except Exception:
            failures += 1
            trouble()
            log.exception("step failed", failures=failures)
            await asyncio.sleep(pause_s(failures, LONGEST_PAUSE_S))
            continue
        await _wait(rung, wait_s)


async def _wait(rung: asyncio.Event, seconds: float) -> None:
    if rung.is_set():
        return
    timer = asyncio.get_running_loop().call_later(seconds, rung.set)
    try:
        await rung.wait()
    finally:
        timer.cancel()
