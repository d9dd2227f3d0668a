"""One transition table per life. PURE.

The tables are the only place that says what may follow what. Python decides with `step`; the Redis functions get
the same tables, generated into their library by `core.redis.library`, so that a check and its write are one atomic
step. An event that a state does not list is illegal: it changes nothing. `docs/lifecycle.md` is drawn from here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from core.errors import IllegalTransition


class TicketState(StrEnum):
    """FlexMatch's names."""

    QUEUED = "QUEUED"
    SEARCHING = "SEARCHING"
    REQUIRES_ACCEPTANCE = "REQUIRES_ACCEPTANCE"
    PLACING = "PLACING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"
    FAILED = "FAILED"


class TicketEvent(StrEnum):
    """What can happen to a ticket."""

    SEARCHED = "searched"  # a pass looked at it and found no match yet
    CLAIMED = "claimed"  # it is in a match; its server starts
    PROPOSED = "proposed"  # it is in a match whose players are asked first
    ACCEPTED = "accepted"  # one of the match's players accepted; others have yet to answer
    AGREED = "agreed"  # all of them accepted; its server starts
    REJECTED = "rejected"  # one of its own players did not want the match
    UNANSWERED = "unanswered"  # ... did not answer in time
    RELEASED = "released"  # another ticket's player did not want the match; its wait is kept, and no try is counted
    PLACED = "placed"  # the server is playable
    BACKFILLED = "backfilled"  # it has seats in a match that runs
    REQUEUED = "requeued"  # the match failed under it; its wait is kept
    GAVE_UP = "gave_up"  # ... once too often
    CANCELLED = "cancelled"  # its player asked
    VANISHED = "vanished"  # nobody was seen to wait for it
    TIMED_OUT = "timed_out"  # waited longer than the game allows
    UNFIT = "unfit"  # the game's rules changed, and it does not fit them any more
    DRAINED = "drained"  # an operator empties the game's queue


class MatchState(StrEnum):
    """REQUIRES_ACCEPTANCE: its players are asked. PLACING: a server is to start. RUNNING: it is playable.

    FAILED: the players did not get their match.
    """

    REQUIRES_ACCEPTANCE = "REQUIRES_ACCEPTANCE"
    PLACING = "PLACING"
    RUNNING = "RUNNING"
    ENDED = "ENDED"
    FAILED = "FAILED"


class MatchEvent(StrEnum):
    """What can happen to a match."""

    AGREE = "agree"  # all its players accepted; its tickets are AGREED
    READY = "ready"  # the server is playable; its tickets are PLACED
    # No playable server came of it, or it was lost in play: its tickets are REQUEUED. Or a player did not want it,
    # or did not answer: the others are RELEASED.
    FAIL = "fail"
    FINISH = "finish"  # over, for a named reason


class ServerState(StrEnum):
    """Agones' names."""

    CREATING = "Creating"
    STARTING = "Starting"
    SCHEDULED = "Scheduled"
    REQUEST_READY = "RequestReady"
    READY = "Ready"
    RESERVED = "Reserved"
    ALLOCATED = "Allocated"
    UNHEALTHY = "Unhealthy"
    ERROR = "Error"
    SHUTDOWN = "Shutdown"


class StandbyState(StrEnum):
    """Of a server that is started before it has a match; Agones' names. Once Allocated it is its match's for ever."""

    STARTING = "Starting"
    READY = "Ready"
    ALLOCATED = "Allocated"
    SHUTDOWN = "Shutdown"


class StandbyEvent(StrEnum):
    """What can happen to a server without a match."""

    READY = "ready"  # it is playable, and idle from now on
    ALLOCATE = "allocate"  # a match takes it, be it still starting
    STOP = "stop"  # no match and no policy needs it, or it is lost


T, TE, M, ME, B, BE = TicketState, TicketEvent, MatchState, MatchEvent, StandbyState, StandbyEvent

TICKET: Final[dict[tuple[TicketState, TicketEvent], TicketState]] = {
    (T.QUEUED, TE.SEARCHED): T.SEARCHING,
    (T.QUEUED, TE.CLAIMED): T.PLACING,
    (T.QUEUED, TE.BACKFILLED): T.COMPLETED,
    (T.QUEUED, TE.PROPOSED): T.REQUIRES_ACCEPTANCE,
    (T.QUEUED, TE.CANCELLED): T.CANCELLED,
    (T.QUEUED, TE.VANISHED): T.CANCELLED,
    (T.QUEUED, TE.TIMED_OUT): T.TIMED_OUT,
    (T.QUEUED, TE.UNFIT): T.FAILED,
    (T.QUEUED, TE.DRAINED): T.CANCELLED,
    (T.SEARCHING, TE.CLAIMED): T.PLACING,
    (T.SEARCHING, TE.BACKFILLED): T.COMPLETED,
    (T.SEARCHING, TE.PROPOSED): T.REQUIRES_ACCEPTANCE,
    (T.SEARCHING, TE.CANCELLED): T.CANCELLED,
    (T.SEARCHING, TE.VANISHED): T.CANCELLED,
    (T.SEARCHING, TE.TIMED_OUT): T.TIMED_OUT,
    (T.SEARCHING, TE.UNFIT): T.FAILED,
    (T.SEARCHING, TE.DRAINED): T.CANCELLED,
    (T.REQUIRES_ACCEPTANCE, TE.ACCEPTED): T.REQUIRES_ACCEPTANCE,
    (T.REQUIRES_ACCEPTANCE, TE.AGREED): T.PLACING,
    (T.REQUIRES_ACCEPTANCE, TE.REJECTED): T.CANCELLED,
    (T.REQUIRES_ACCEPTANCE, TE.UNANSWERED): T.CANCELLED,
    (T.REQUIRES_ACCEPTANCE, TE.RELEASED): T.SEARCHING,
    (T.PLACING, TE.PLACED): T.COMPLETED,
    (T.PLACING, TE.CANCELLED): T.CANCELLED,
    (T.PLACING, TE.RELEASED): T.SEARCHING,
    (T.PLACING, TE.REQUEUED): T.QUEUED,
    (T.PLACING, TE.GAVE_UP): T.FAILED,
    (T.COMPLETED, TE.REQUEUED): T.QUEUED,
    (T.COMPLETED, TE.GAVE_UP): T.FAILED,
}

MATCH: Final[dict[tuple[MatchState, MatchEvent], MatchState]] = {
    (M.REQUIRES_ACCEPTANCE, ME.AGREE): M.PLACING,
    (M.REQUIRES_ACCEPTANCE, ME.FAIL): M.FAILED,
    (M.PLACING, ME.READY): M.RUNNING,
    (M.PLACING, ME.FAIL): M.FAILED,
    (M.RUNNING, ME.FINISH): M.ENDED,
    (M.RUNNING, ME.FAIL): M.FAILED,
}

STANDBY: Final[dict[tuple[StandbyState, StandbyEvent], StandbyState]] = {
    (B.STARTING, BE.READY): B.READY,
    (B.STARTING, BE.ALLOCATE): B.ALLOCATED,
    (B.STARTING, BE.STOP): B.SHUTDOWN,
    (B.READY, BE.ALLOCATE): B.ALLOCATED,
    (B.READY, BE.STOP): B.SHUTDOWN,
}

LIVE_MATCH: Final = frozenset({M.REQUIRES_ACCEPTANCE, M.PLACING, M.RUNNING})
WAITING_TICKET: Final = frozenset({T.QUEUED, T.SEARCHING})
OPEN_TICKET: Final = frozenset({T.QUEUED, T.SEARCHING, T.REQUIRES_ACCEPTANCE, T.PLACING})

# Why a match is over, as its `reason` says. The first group ends it; the second fails it because of its server, the
# third because of a player.
FINISH_REASONS: Final = ("finished", "exited", "no_show", "empty", "too_long", "stopped", "drained")
FAIL_REASONS: Final = ("launch_failed", "never_ready", "died_early", "crashed", "server_lost")
REFUSAL_REASONS: Final = ("rejected", "acceptance_timed_out", "cancelled")
# Why a server ended that never had a match.
STANDBY_REASONS: Final = (
    "unneeded", "old_version", "too_old", "never_ready", "server_lost", "died_early", "launch_failed", "stopped",
    "game_removed",
)  # fmt: skip


def step_ticket(state: TicketState, event: TicketEvent) -> TicketState:
    """The state after `event`. Raises IllegalTransition, and then nothing has changed."""
    try:
        return TICKET[state, event]
    except KeyError:
        raise IllegalTransition(f"a ticket that is {state} cannot be {event}") from None


def step_match(state: MatchState, event: MatchEvent) -> MatchState:
    """The state after `event`. Raises IllegalTransition, and then nothing has changed."""
    try:
        return MATCH[state, event]
    except KeyError:
        raise IllegalTransition(f"a match that is {state} cannot {event}") from None


def step_standby(state: StandbyState, event: StandbyEvent) -> StandbyState:
    """The state after `event`. Raises IllegalTransition, and then nothing has changed."""
    try:
        return STANDBY[state, event]
    except KeyError:
        raise IllegalTransition(f"a server without a match that is {state} cannot {event}") from None
