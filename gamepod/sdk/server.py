"""One server's present state with what happened to it, as the sidecar keeps it in memory."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from core.lifecycle import ServerState
from gamepod.sdk.state import HealthRules, ServerEvent, step_server

HEALTH_LOOK_S: Final = 1.0
FINAL: Final = (ServerState.ERROR, ServerState.UNHEALTHY, ServerState.SHUTDOWN)


class ServerLife:
    """Starts as Scheduled: whoever attached to a match has its place to run."""

    def __init__(self, started_s: float, rules: HealthRules | None = None) -> None:
        self.rules = rules or HealthRules()
        self.state = ServerState.SCHEDULED
        self.revision = 1
        self.heard_s: float | None = None
        self.ready_asked = asyncio.Event()
        self.shutdown_asked = asyncio.Event()
        self._started_s = started_s

    def apply(self, event: ServerEvent) -> None:
        """Move by one event. Raises IllegalTransition, and then nothing has changed."""
        after = step_server(self.state, event)
        if after != self.state:
            self.state = after
            self.revision += 1
        if event is ServerEvent.READY_ASKED:
            self.ready_asked.set()
        elif event is ServerEvent.SHUTDOWN:
            self.shutdown_asked.set()

    def heard(self, now_s: float) -> None:
        """The game gave a sign of health."""
        self.heard_s = now_s

    def became_ready(self) -> None:
        """The players know the address. A game that was not asked whether it is ready (port, delay) is by now."""
        if self.state is ServerState.SCHEDULED:
            self.apply(ServerEvent.READY_ASKED)
        if self.state is ServerState.REQUEST_READY:
            self.apply(ServerEvent.READY_TOLD)
            self.apply(ServerEvent.ALLOCATED)

    def end(self, event: ServerEvent) -> None:
        """Come to an end by `event`; an end that was there before stays the reason."""
        if self.state not in FINAL:
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
