"""Events to counts by the minute. PURE.

What is counted is the name of the event; beside it `damage`, the sum of hit points, and `session_removed:FAILED`. An
event counts in the minute of its `at_ms`, unless that is too far from when Redis or Kafka took it in: a server may tell
any time, and what is kept is bounded by time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from core.analytics.judge import MINUTE_MS, Flag, Judge, Limits, number

TEN: Final = 10  # minutes of one hash in Redis: few enough fields for its compact form
EARLY_MS: Final = 3_600_000  # a server that was cut off tells an hour later
AHEAD_MS: Final = 60_000  # clocks differ
DAMAGE_MOST: Final = 1e9  # of one event, in the sum
OTHER: Final = "other"  # names that this release has not heard of

Place = tuple[int, ...]  # in a stream of Redis: its id's ms and number, and which of the entry; later is higher
START: Final[Place] = (-1,)


class Event(NamedTuple):
    """An event where it was found. `body` as in docs/events.md."""

    body: Mapping[str, Any]
    arrived_ms: int  # on Redis' or Kafka's clock
    cursor: str
    place: Place


class Folded(NamedTuple):
    """What a page of one game comes to. Counts by (minute since the epoch, name)."""

    counts: dict[tuple[int, str], float]
    flags: list[Flag]
    events: int


def fold(
    events: Iterable[Event],
    done: Mapping[str, Place],
    seen: dict[str, Place],
    limits: Mapping[str, Limits | None],
    judge: Judge,
    names: Collection[str],
) -> Folded:
    """Count what is after `done` (by cursor). What is not is only judged by what follows it; nothing is told of it.

    What is not after `seen` came before in this run, and is passed over; `seen` is moved on.
    """
    counts: dict[tuple[int, str], float] = defaultdict(float)
    flags: dict[str, Flag] = {}
    fresh = 0
    for one in events:
        body = one.body
        if one.place <= seen.get(one.cursor, START):
            continue
        seen[one.cursor] = one.place
        found = judge.look(body, limits.get(body.get("match", "")))
        if one.place <= done.get(one.cursor, START):
            continue
        fresh += 1
        for flag in found:
            flags.setdefault(flag.id, flag)
        minute = minute_of(int(body["at_ms"]), one.arrived_ms)
        name = body["event"]
        counts[minute, name if name in names else OTHER] += 1
        if name == "tank_took_damage":
            counts[minute, "damage"] += min(DAMAGE_MOST, max(0.0, number(body["damage"]) or 0.0))
        elif name == "session_removed" and body.get("outcome") == "FAILED":
            counts[minute, "session_removed:FAILED"] += 1
    return Folded(dict(counts), list(flags.values()), fresh)


def minute_of(at_ms: int, arrived_ms: int) -> int:
    """The minute in which an event counts."""
    return (at_ms if arrived_ms - EARLY_MS <= at_ms <= arrived_ms + AHEAD_MS else arrived_ms) // MINUTE_MS


def place_of(text: str) -> Place:
    """From how a place is stored, as ids of streams are: `7-1`, or `7-1-5`."""
    return tuple(map(int, text.split("-")))


def place_text(place: Place) -> str:
    return "-".join(map(str, place))
