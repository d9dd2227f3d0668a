"""One server's present state with what happened to it, as the sidecar keeps it in memory."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from core.lifecycle import ServerState
from gamepod.sdk.changes import Changes
from gamepod.sdk.state import ALIVE, HealthRules, ServerEvent, step_server

HEALTH_LOOK_S: Final = 1.0
MAX_RESERVE_S: Final = 365 * 86_400  # a timer cannot wait for ever; a match is over long before


class ServerLife:
    """Starts as Scheduled: whoever attached to a match has its place to run."""

    def __init__(self, started_s: float, rules: HealthRules | None = None, *, match: bool = True) -> None:
        """`match`: it has one, so it is allocated as soon as it is ready. Without, it stays Ready."""
        self.rules = rules or HealthRules()
        self.state = ServerState.SCHEDULED
        self.changes = Changes()
        self.heard_s: float | None = None
        self.ready_asked = asyncio.Event()
        self.shutdown_asked = asyncio.Event()
        self._started_s = started_s
        self._match = match
        self._told = False
        self._reserved: asyncio.TimerHandle | None = None

    @property
    def revision(self) -> int:
        return self.changes.revision

    def apply(self, event: ServerEvent) -> None:
        """Move by one event. Raises IllegalTransition, and then nothing has changed."""
        after = step_server(self.state, event)
        self._end_reservation()
        if after != self.state:
            self.state = after
            self.changes.bump()
        if event in (ServerEvent.READY_ASKED, ServerEvent.ALLOCATED, ServerEvent.RESERVE_OVER):
            self.ready_asked.set()  # a game that takes its players by itself is playable
        elif event is ServerEvent.SHUTDOWN:
            self.shutdown_asked.set()
        if self._told and self.state is ServerState.REQUEST_READY:
            self._settle()

    def reserve(self, seconds: int) -> None:
        """Be Reserved for `seconds`, then Ready; for ever where it is 0. Raises IllegalTransition."""
        self.apply(ServerEvent.RESERVED)
        if seconds:
            loop = asyncio.get_running_loop()
            self._reserved = loop.call_later(min(seconds, MAX_RESERVE_S), self._reserve_over)

    def heard(self, now_s: float) -> None:
        """The game gave a sign of health."""
        if self.heard_s is None:
            self.changes.bump()  # health is watched from now on
        self.heard_s = now_s

    def became_ready(self) -> None:
        """The players know the address. A game that was not asked whether it is ready (port, delay) is by now."""
        self._told = True
        if self.state is ServerState.SCHEDULED:
            self.apply(ServerEvent.READY_ASKED)
        elif self.state is ServerState.REQUEST_READY:
            self._settle()

    def allocated(self) -> None:
        """It has a match by now."""
        self._match = True
        if self.state is ServerState.READY:
            self.apply(ServerEvent.ALLOCATED)
        else:
            self.changes.bump()  # one that is not ready yet is allocated as soon as it is

    def end(self, event: ServerEvent) -> None:
        """Come to an end by `event`; an end that was there before stays the reason."""
        if self.state in ALIVE:
            self.apply(event)

    def unhealthy(self, now_s: float) -> bool:
        """Whether the game's signs of health stayed away for too long."""
        return self.rules.unhealthy(self._started_s, self.heard_s, now_s)

    async def until_asked_to_end(self) -> str:
        """Wait until the game asks for its end, or is lost: then the reason, for its developer; '' where it asked."""
        while not self.shutdown_asked.is_set():
            if self.unhealthy(time.monotonic()):
                self.end(ServerEvent.UNHEALTHY)
                return f"the game gave no sign of health for {self.rules.period_s * self.rules.failure_threshold:g} s"
            try:
                async with asyncio.timeout(HEALTH_LOOK_S):
                    await self.shutdown_asked.wait()
            except TimeoutError:
                continue
        return ""

    def _settle(self) -> None:
        self.apply(ServerEvent.READY_TOLD)
        if self._match:
            self.apply(ServerEvent.ALLOCATED)

    def _reserve_over(self) -> None:
        self._reserved = None
        self.apply(ServerEvent.RESERVE_OVER)

    def _end_reservation(self) -> None:
        if self._reserved is not None:
            self._reserved.cancel()
            self._reserved = None
