"""What to do about a match, or a server, given what is known. PURE: time and facts are arguments.

Level-triggered: the plan follows from the facts alone, so it may be made at any time, any number of times and by any
replica. A process that was seen to end is judged at once. Whatever is judged by a clock (never ready, no beat) waits
until Redis could be reached without a break for as long as the beat time-out: while Redis was away nobody could
beat, or accept, and judging then would fail every match there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from core.lifecycle import LIVE_MATCH, MatchState
from core.model import Timers

AGAIN_MS: Final = 1_000  # a judgement that must wait is looked at again after
NET_MS: Final = 10_000  # the server ends a match that is too long; the matchmaker does when it has not after


class Sight(Enum):
    """What this launcher knows of the server of a match."""

    NEVER = "never"  # nothing: not started here, or before anybody looked
    STARTING = "starting"  # a start is under way
    REFUSED = "refused"  # this launcher cannot start it
    STUCK = "stuck"  # it is here, and as it is it will never run
    RUNS = "runs"
    EXITED = "exited"  # its game ended well, and nobody but us tells
    CRASHED = "crashed"  # its game ended badly, and nobody but us tells
    ENDED = "ended"  # it ran here and does not any more
    TURNED_AWAY = "turned_away"  # it ran here and found that another process has the match


@dataclass(frozen=True, slots=True)
class Facts:
    """A match as Redis holds it. Times are UTC ms, 0 for not yet."""

    match: str
    state: MatchState
    server: str  # id of the process that has it, '' for none yet
    created_ms: int
    attached_ms: int
    ready_ms: int
    beat_ms: int
    over_ms: int
    look_at_ms: int
    timers: Timers
    tries: int  # matches that may fail under one ticket
    accept_until_ms: int = 0  # so long its players are asked; 0 where they are not
    agreed_ms: int = 0  # all of them accepted
    line: str = ""  # its game is ready once it wrote this, which the launcher is to see
    standby: str = ""  # the server that was started before the match, which has it now
    trace: str = ""  # of what happens to it, in logs

    @property
    def name(self) -> str:
        """What its server is called, wherever it runs."""
        return self.standby or self.match

    @property
    def placing_ms(self) -> int:
        """Since when its server may start."""
        return self.agreed_ms or self.created_ms


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long is too long, beside the game's own timers."""

    beat_timeout_ms: int
    # Since when Redis could be reached without a break.
    contact_ms: int
    until_ms: int | None = None  # from then on what runs is ended: the game is drained

    def trusted(self, now_ms: int) -> bool:
        """Whether silence may be held against a server."""
        return now_ms - self.contact_ms >= self.beat_timeout_ms


@dataclass(frozen=True, slots=True)
class Start:
    """Start the server of this match."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask the server to end, end it after `grace_s`."""

    grace_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The players did not get their match: put them back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The match is over."""

    reason: str


@dataclass(frozen=True, slots=True)
class Postpone:
    """Nothing to do before `look_at_ms`."""

    look_at_ms: int


OVER: Final = frozenset({Sight.EXITED, Sight.CRASHED, Sight.ENDED})

Action: TypeAlias = Start | Stop | Fail | Finish | Postpone


def plan(facts: Facts, sight: Sight, deadlines: Deadlines, now_ms: int) -> list[Action]:
    """What to do about a match now, in this order. `now_ms` must not be later than the reading of `facts`."""
    if facts.state is MatchState.REQUIRES_ACCEPTANCE:
        return _plan_asking(facts, deadlines, now_ms)
    if facts.state is MatchState.PLACING:
        return _plan_placing(facts, sight, deadlines, now_ms)
    if facts.state is MatchState.RUNNING:
        return _plan_running(facts, sight, deadlines, now_ms)
    return []


def _plan_asking(facts: Facts, deadlines: Deadlines, now_ms: int) -> list[Action]:
    if now_ms >= facts.accept_until_ms and deadlines.trusted(now_ms):
        return [Fail("acceptance_timed_out")]
    return _postpone(facts, facts.accept_until_ms, now_ms)


def _plan_placing(facts: Facts, sight: Sight, deadlines: Deadlines, now_ms: int) -> list[Action]:
    if sight in OVER:
        return [Fail("died_early")]
    if sight is Sight.REFUSED and not facts.server:
        return [Fail("launch_failed")]
    if sight is Sight.STUCK:
        return _fail_and_stop(facts, "launch_failed")
    give_up_ms = facts.placing_ms + int(facts.timers.start_s * 1000)
    heard_ms = max(facts.attached_ms, facts.beat_ms)
    if deadlines.trusted(now_ms):
        if now_ms >= give_up_ms:
            return _fail_and_stop(facts, "never_ready")
        if facts.server and now_ms - heard_ms >= deadlines.beat_timeout_ms:
            return _fail_and_stop(facts, "died_early")
    actions: list[Action] = []
    if sight is Sight.NEVER and not facts.server:
        actions.append(Start())
    return actions + _postpone(facts, give_up_ms, now_ms)


def _plan_running(facts: Facts, sight: Sight, deadlines: Deadlines, now_ms: int) -> list[Action]:
    if sight is Sight.EXITED:
        return [Finish("exited")]
    if sight in OVER:
        return [Fail("crashed" if sight is Sight.CRASHED else "server_lost")]
    silent_ms = max(facts.beat_ms, facts.ready_ms) + deadlines.beat_timeout_ms
    if deadlines.trusted(now_ms) and now_ms >= silent_ms:
        return _fail_and_stop(facts, "server_lost")
    if deadlines.until_ms is not None and now_ms >= deadlines.until_ms:
        return [Finish("drained"), Stop(facts.timers.drain_s, "drained")]
    if now_ms >= facts.ready_ms + int(facts.timers.length_s * 1000) + NET_MS:
        return [Finish("too_long"), Stop(facts.timers.drain_s, "too_long")]
    return _postpone(facts, silent_ms, now_ms)


def _fail_and_stop(facts: Facts, reason: str) -> list[Action]:
    return [Fail(reason), Stop(facts.timers.drain_s, reason)]


def _postpone(facts: Facts, until_ms: int, now_ms: int) -> list[Action]:
    if facts.look_at_ms > now_ms:
        return []
    return [Postpone(max(until_ms, now_ms + AGAIN_MS))]


def plan_server(since_ms: int, facts: Facts | None, deadlines: Deadlines, now_ms: int) -> Stop | None:
    """What to do about a server that runs since `since_ms`; `facts` of its match are None where there is no such match.

    A server whose match is over has the time of its drain timer to end by itself.
    """
    if facts is None:
        # It may have lost its match with the data of Redis; it hears so itself at its next beat. This is the net.
        if not deadlines.trusted(now_ms) or now_ms - since_ms < deadlines.beat_timeout_ms:
            return None
        return Stop(Timers().drain_s, "no_match")
    if facts.state in LIVE_MATCH or now_ms - facts.over_ms < facts.timers.drain_s * 1000:
        return None
    return Stop(facts.timers.drain_s, "match_over")
