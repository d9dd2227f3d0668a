"""The life of one game server as its SDK sees it: one table, and the health rules. PURE.

The states are Agones'. Two things differ, because a Muster server is made for one match. It is allocated as soon as it
is ready: its players are told the address in the same step, and one that says Ready again, or whose reservation is
over, is its match's still. And health is watched from a game's first sign of health on, so a game that never gives one
is judged by its process alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from core.errors import IllegalTransition
from core.lifecycle import ServerState

S = ServerState


class ServerEvent(StrEnum):
    """What can happen to a server."""

    READY_ASKED = "ready_asked"  # the game says that it is playable
    READY_TOLD = "ready_told"  # ... and the players know
    ALLOCATED = "allocated"  # it has its match, as Muster says or the game itself
    RESERVED = "reserved"  # the game wants to be left alone, for a while or until it says otherwise
    RESERVE_OVER = "reserve_over"  # ... and that while is over
    UNHEALTHY = "unhealthy"  # the game's signs of health stayed away
    FAILED = "failed"  # the game died, or never came up
    SHUTDOWN = "shutdown"  # the game asked for its end, or Muster did


E = ServerEvent

ALIVE: Final = (S.SCHEDULED, S.REQUEST_READY, S.READY, S.RESERVED, S.ALLOCATED)

# What a game may say at any time while it lives; a client library also repeats what it got no answer to.
_ANY_TIME: Final = {
    E.READY_ASKED: S.REQUEST_READY,
    E.ALLOCATED: S.ALLOCATED,
    E.RESERVED: S.RESERVED,
    E.FAILED: S.ERROR,
    E.UNHEALTHY: S.UNHEALTHY,
    E.SHUTDOWN: S.SHUTDOWN,
}

SERVER: Final[dict[tuple[ServerState, ServerEvent], ServerState]] = {
    **{(state, event): after for state in ALIVE for event, after in _ANY_TIME.items()},
    (S.REQUEST_READY, E.READY_TOLD): S.READY,
    (S.RESERVED, E.RESERVE_OVER): S.REQUEST_READY,
    (S.UNHEALTHY, E.SHUTDOWN): S.SHUTDOWN,
    (S.ERROR, E.SHUTDOWN): S.SHUTDOWN,
    (S.SHUTDOWN, E.SHUTDOWN): S.SHUTDOWN,
}


def step_server(state: ServerState, event: ServerEvent) -> ServerState:
    """The state after `event`. Raises IllegalTransition, and then nothing has changed."""
    try:
        return SERVER[state, event]
    except KeyError:
        raise IllegalTransition(f"a server that is {state} cannot be {event}") from None


class HealthRules(Struct, frozen=True):
    """Agones' defaults; a game registers its own."""

    period_s: float = 5.0  # a sign is expected in each
    failure_threshold: int = 3  # periods without one
    initial_delay_s: float = 5.0  # after the start, before the first check
    disabled: bool = False

    def unhealthy(self, started_s: float, heard_s: float | None, now_s: float) -> bool:
        """Whether the game counts as lost. `heard_s`: its last sign, None before the first. All on one clock."""
        if self.disabled or heard_s is None or now_s < started_s + self.initial_delay_s:
            return False
        return now_s - heard_s > self.period_s * self.failure_threshold
