"""How many servers of a game should stand ready before they have a match, and why. PURE: time and facts are arguments.

A warm pool is a number: fixed, a share of what runs, by the hour, or enough for the matches that come while a server
starts. Early start looks at the groups that fill. The players still missing come as they came of late (a Poisson
process whose rate is known as well as its few arrivals tell, so counts are negative binomial), and rules relax with
time; so the chance that a group is full at any later time is known. Its server is started while it fills when that
server is likely to be used before it has waited too long, and is expected to stand idle no longer than a match may
cost. What guesses cost in fact is paid from a budget that matches earn: where guesses are wrong, it stops by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from core.lifecycle import StandbyState
from core.model import EarlySpec, SupplySpec, Timers, WarmSpec, WarmTimes
from core.supply import Held

Kind = Literal["early", "warm"]

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
POOL_HOLD_S: Final = 30.0  # a pool that needs one less keeps it so long: demand comes back
IDLE_MOST_S: Final = 3600.0  # then an idle server is replaced: nothing stands for ever, and pods have a deadline
STEPS: Final = 12  # of the integral of a wait
LOOK_AHEAD: Final = 64  # groups of one kind that may fill at the same time
BUDGET_MATCHES: Final = 10  # a budget holds what so many matches earn
FIRST_MATCHES: Final = 2  # ... and begins with
PRIOR: Final = 0.5  # arrivals that are taken as seen before any was; Jeffreys' prior of a Poisson rate
SURE: Final = 0.5  # that a match is there when its server is ready: on average neither waits for the other
EVIDENCE: Final = 4  # arrivals without which nothing is known of a group of which nobody is there yet
FIRST_START_S: Final = 2.0  # a start takes so long before one was measured
STARTS: Final = 8  # of a pool at once, unless a setting says otherwise


@dataclass(frozen=True, slots=True)
class Rate:
    """Events seen: `count` in `window_s`."""

    count: int
    window_s: float

    def chance(self, least: int, within_s: float) -> float:
        """The probability that at least so many come within the next seconds."""
        if least <= 0:
            return 1.0
        if not self.count or within_s <= 0:
            return 0.0
        shape, odds = self.count + PRIOR, within_s / (self.window_s + within_s)
        term = math.pow(1.0 - odds, shape)
        below = term
        for k in range(1, least):
            term *= (shape + k - 1) / k * odds
            below += term
        return min(1.0, max(0.0, 1.0 - below))


@dataclass(frozen=True, slots=True)
class Filling:
    """Tickets that could be in one match. `needs`: (from so many seconds on, tickets a match needs then), falling.

    `size` is what a further match needs.
    """

    tickets: int
    needs: tuple[tuple[float, int], ...]
    size: int
    rate: Rate

    def full_by(self, nth: int, after_s: float) -> float:
        """The chance that the `nth` match (0, 1, ...) is there after so many seconds."""
        need = min(least for since_s, least in self.needs if since_s <= after_s) + nth * self.size
        return self.rate.chance(need - self.tickets, after_s)


@dataclass(frozen=True, slots=True)
class Guess:
    """What starting a server now for a match to come means. Probabilities; seconds idle, at most the hold time."""

    in_time: float  # the match is there when the server is ready
    used: float  # ... before the server has waited for too long
    idle_s: float  # expected


def guess(filling: Filling, nth: int, start_s: float, hold_s: float) -> Guess:
    """About the `nth` match of a group, by the midpoints of `STEPS` parts of the hold time."""
    part = hold_s / STEPS
    missing = (1.0 - filling.full_by(nth, start_s + (i + 0.5) * part) for i in range(STEPS))
    return Guess(filling.full_by(nth, start_s), filling.full_by(nth, start_s + hold_s), part * sum(missing))


@dataclass(frozen=True, slots=True)
class Standby:
    """A server without a match. `ready_ms` is 0 while it starts; `refused`: the launcher cannot start it."""

    id: str
    state: StandbyState
    kind: Kind
    version: int
    created_ms: int
    ready_ms: int = 0
    beat_ms: int = 0
    seen_dead: bool = False
    refused: bool = False
    keys: str = ""  # of join tokens that it knows; "" where nobody wrote which


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a game now."""

    now_ms: int
    version: int
    supply: SupplySpec
    timers: Timers
    standbys: Sequence[Standby]
    running: int  # live matches
    room: int  # servers that the launcher could start now
    servers_most: int  # live matches and servers without one, by the limits of game and developer
    start_s: float = FIRST_START_S  # how long a start takes, measured
    fillings: Sequence[Filling] = ()
    asked: int = 0  # matches whose players are asked: each needs a server soon
    matches: Rate = Rate(0, 1.0)  # made of late
    budget_s: float = math.inf  # idle time that early servers may still cost
    silent_ms: int | None = None  # a ready one that beat before then is lost; None: nobody is judged by silence
    starts: int = STARTS  # of the pool at once
    give: int = 0  # matches have no room for want of so many servers
    keys: str = ""  # of join tokens, as they are now
    crowded: bool = False  # somebody lacks room, so none is started


@dataclass(frozen=True, slots=True)
class Plan:
    """Start so many, end these (id -> reason); and why. `want` counts servers without a match that should be there."""

    want: int
    start: Sequence[Kind] = ()
    end: dict[str, str] = field(default_factory=dict)
    warm: int = 0
    early: int = 0
    best: Guess | None = None  # of the next group that fills
    held: Held = ""  # why there are fewer than the policy wants


def plan(facts: Facts) -> Plan:
    """What to do now. Level-triggered: it follows from the facts alone."""
    supply = facts.supply
    end = _broken(facts)
    there = [it for it in facts.standbys if it.id not in end]
    warm = 0 if supply.warm is None else _warm(supply.warm, facts)
    early, best, short = (0, None, "") if supply.early is None else _early(supply.early, facts, there)
    wanted = max(warm, early)
    cap = max(0, min(supply.idle_most, facts.servers_most - facts.running))
    want = min(wanted, cap)
    held: Held = short
    if wanted > cap:
        held = "idle_most" if cap == supply.idle_most else "limit"
    end |= _unneeded(facts, there, want)
    end |= _given_up(facts, there, end)
    missing = want - len(there)
    # What ends takes its place until it is gone.
    most = max(0, min(missing, facts.room, cap - len(facts.standbys) + len(end)))
    if most < missing and facts.room < missing:
        held = "no_room"
    if facts.crowded:
        most, held = 0, "gives_way"
    lacking = max(0, warm - len(there))
    # Many that start together are all late, some too late; a group that fills needs its server now.
    starting = sum(not it.ready_ms for it in there)
    most = min(most, max(early - len(there), facts.starts - starting))
    start: list[Kind] = ["warm" if i < lacking else "early" for i in range(most)]
    return Plan(want, start, end, min(warm, cap), min(early, cap), best, held)


def _broken(facts: Facts) -> dict[str, str]:
    """Those that will be of no use, whatever is wanted."""
    now, found = facts.now_ms, dict[str, str]()
    for it in facts.standbys:
        since_s = (now - it.created_ms) / 1000
        if it.refused:
            found[it.id] = "launch_failed"
        elif it.seen_dead:
            found[it.id] = "server_lost" if it.ready_ms else "died_early"
        elif it.version != facts.version:
            found[it.id] = "old_version"
        elif it.keys and it.keys != facts.keys:
            found[it.id] = "old_keys"
        elif not it.ready_ms and since_s >= facts.timers.start_s:
            found[it.id] = "never_ready"
        elif it.ready_ms and facts.silent_ms is not None and it.beat_ms < facts.silent_ms:
            found[it.id] = "server_lost"
        elif it.ready_ms and since_s >= IDLE_MOST_S:
            found[it.id] = "too_old"
    return found


def _unneeded(facts: Facts, there: Sequence[Standby], want: int) -> dict[str, str]:
    """More than wanted: those that are ready and have been for long enough go, the longest idle first."""
    idle = sorted((it for it in there if it.ready_ms), key=lambda it: (it.ready_ms, it.id))
    spent = [it.id for it in idle if facts.now_ms - it.ready_ms >= 1000 * _hold_s(facts.supply, it.kind)]
    return dict.fromkeys(spent[: max(0, len(there) - want)], "unneeded")


def _given_up(facts: Facts, there: Sequence[Standby], end: Mapping[str, str]) -> dict[str, str]:
    """Those that give way: who is ready first, the longest idle of all; then who began to start last."""
    order = sorted(
        (it for it in there if it.id not in end), key=lambda it: (not it.ready_ms, it.ready_ms, -it.created_ms)
    )
    return dict.fromkeys([it.id for it in order[: facts.give]], "gave_way")


def _hold_s(supply: SupplySpec, kind: Kind) -> float:
    """How long a server that nobody wants now is kept."""
    if kind == "early":
        return 0.0 if supply.early is None else supply.early.hold_s
    return 0.0 if supply.warm is None else POOL_HOLD_S


def _warm(spec: WarmSpec, facts: Facts) -> int:
    now = datetime.fromtimestamp(facts.now_ms / 1000, UTC)
    planned = [at.servers for at in spec.schedule if _is_within(at, now)]
    fixed = max(planned) if planned else spec.servers
    share = math.ceil(spec.share * facts.running - 1e-9)
    return max(fixed, share, _cover(spec.cover, facts))


def _cover(cover: float | None, facts: Facts) -> int:
    """The fewest servers with which, at that probability, no match of those made while a server starts finds none."""
    if cover is None or not facts.matches.count:
        return 0
    servers = 0
    while servers < facts.supply.idle_most and facts.matches.chance(servers + 1, facts.start_s) > 1.0 - cover:
        servers += 1
    return servers


def _is_within(at: WarmTimes, now: datetime) -> bool:
    minute, since, to = now.hour * 60 + now.minute, _minutes(at.since), _minutes(at.to)
    if since < to:
        return since <= minute < to and _is_day(at, now.weekday())
    # Over midnight: what began yesterday is yesterday's.
    return (minute >= since and _is_day(at, now.weekday())) or (minute < to and _is_day(at, (now.weekday() - 1) % 7))


def _is_day(at: WarmTimes, weekday: int) -> bool:
    return not at.days or DAYS[weekday] in at.days


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _early(spec: EarlySpec, facts: Facts, there: Sequence[Standby]) -> tuple[int, Guess | None, Held]:
    """How many matches to come deserve a server now; the guess about the first that has none; what held others up."""
    worth, others = list[Guess](), list[Guess]()
    for filling in facts.fillings:
        for nth in range(LOOK_AHEAD):
            found, begun = guess(filling, nth, facts.start_s, spec.hold_s), filling.tickets > nth * filling.size
            if not (begun or filling.rate.count >= EVIDENCE) or not _is_worth(found, spec, begun=begun):
                others += [found] if begun else []
                break
            worth.append(found)
    worth.sort(key=lambda it: (-it.used, it.idle_s))
    early, held, left_s = facts.asked, "", facts.budget_s - _standing_s(facts)
    for found in worth:
        # For those that are there already the money is spent, while there is any.
        if left_s <= 0 or (early >= len(there) and found.idle_s > left_s):
            held = "budget"
            break
        early += 1
        left_s -= found.idle_s
    hopes = [*worth, *sorted(others, key=lambda it: -it.used)]
    best = hopes[min(len(there), len(hopes) - 1)] if hopes else None
    return early, best, "budget" if held else ""


def _is_worth(found: Guess, spec: EarlySpec, *, begun: bool) -> bool:
    """Its match is as good as there when it is ready; or its group fills, and may be waited for."""
    return found.in_time >= SURE or (begun and found.used >= spec.probability and found.idle_s <= spec.idle_s)


def _standing_s(facts: Facts) -> float:
    """What early servers that stand idle now have cost so far."""
    return sum((facts.now_ms - it.ready_ms) / 1000 for it in facts.standbys if it.kind == "early" and it.ready_ms)


class Budget:
    """Idle time that early servers may cost, in seconds. Matches earn it, idle servers spend it; little is saved up."""

    def __init__(self) -> None:
        self.left_s = 0.0
        self._matches: int | None = None
        self._spent_ms = 0

    def turn(self, spec: EarlySpec, matches: int, spent_ms: int) -> float:
        """What is left, given how many matches got a server and what early ones spent since the game began."""
        if self._matches is None:
            self.left_s = FIRST_MATCHES * spec.idle_s
        else:
            earned_s = max(0, matches - self._matches) * spec.idle_s
            self.left_s += earned_s - max(0, spent_ms - self._spent_ms) / 1000
        self.left_s = min(self.left_s, BUDGET_MATCHES * spec.idle_s)
        self._matches, self._spent_ms = matches, spent_ms
        return self.left_s
