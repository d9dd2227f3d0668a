"""Who is online, and who has gone offline. PURE.

A player is tracked per game, under `<game>/<player>`, by the ms at which he was heard last, on Redis' clock and no
other. He is offline once nobody heard him for the time-out. Silence counts only while somebody listened: webapi tells
each shard every second that it listens, and where that was missing (Redis was away or restored, its clock was set,
another Redis has its place, no webapi ran), nobody is judged until everybody had a whole time-out to be heard again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Struct

from core import keys

GAP_MOST_MS: Final = 10_000  # a listener tells each second: ten may be lost
GAP_SHARE: Final = 3  # ... and a third of a time-out that is shorter than half a minute
TELLS_A_GAP: Final = 10  # times that a listener tells of itself within a gap
AHEAD_MS: Final = 1000  # a time later than this by Redis' own clock was written before that was set back

TRACKED_MOST: Final = 500_000  # of a shard, 8 million in all; further players are refused
UNSETTLED_MOST: Final = 200_000  # events of a shard that wait to be settled; then nobody is reported until they are
AT_ONCE: Final = 500  # players of one call: 2 ms of Redis

DAY_MS: Final = 86_400_000
KEPT_DAYS: Final = 40  # days and sessions of a player who does not come back
SESSIONS_KEPT: Final = 20  # of a player, in all games
FIELDS_MOST: Final = 256  # days times games of a player; the oldest go
EVENTS_KEPT: Final = 20_000  # of a shard, settled; 80 bytes each


def beat_head(timeout_ms: int) -> tuple[int, int, int, int]:
    """The first arguments of `presence_beat`."""
    return gap_ms(timeout_ms), timeout_ms, TRACKED_MOST, UNSETTLED_MOST


@dataclass(frozen=True, slots=True)
class Look:
    """A shard as of one moment; times in ms of its Redis' clock. None where there is no such time."""

    now_ms: int
    listened_ms: int | None  # when a listener told last that it listens
    hold_ms: int  # nobody is offline before
    tracked: int
    oldest_ms: int | None  # at which the player heard least lately was heard
    newest_ms: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who was not heard since `cutoff_ms` is offline (0: nobody is); times after `ahead_ms` were written by a clock
    that was set back since. `work`: whether there is anything to be done. `held`: whether nobody may be judged now.
    """

    cutoff_ms: int
    ahead_ms: int
    work: bool
    held: bool


def gap_ms(timeout_ms: int) -> int:
    """How long a listener may be silent before silence of players counts for nothing."""
    return min(GAP_MOST_MS, timeout_ms // GAP_SHARE)


def tell_every_s(timeout_ms: int) -> float:
    """How often a listener tells that it listens."""
    return gap_ms(timeout_ms) / TELLS_A_GAP / 1000


def read_look(reply: Sequence[Any]) -> Look:
    """What `presence_look` answered."""
    now, listened, hold, tracked, oldest, newest = reply
    return Look(int(now), _ms(listened), int(hold), int(tracked), _ms(oldest), _ms(newest))


def decide(look: Look, timeout_ms: int) -> Verdict:
    """Who of a shard is offline, from one look at it.

    Carried out later, the same verdict reports nobody in error: it can only be too lenient by then.
    """
    gap = gap_ms(timeout_ms)
    listening = look.listened_ms is not None and abs(look.now_ms - look.listened_ms) <= gap
    held = not listening or look.now_ms < look.hold_ms
    cutoff = 0 if held else max(0, look.now_ms - timeout_ms)
    ahead = look.now_ms + AHEAD_MS
    due = look.oldest_ms is not None and look.oldest_ms <= cutoff
    return Verdict(cutoff, ahead, due or (look.newest_ms is not None and look.newest_ms > ahead), held)


def next_look_s(look: Look, timeout_ms: int, most_s: float) -> float:
    """When the shard is to be looked at again, in seconds, at most `most_s`: heartbeats only put off who is due."""
    if look.oldest_ms is None:
        return most_s
    return min(most_s, max(0.0, (look.oldest_ms + timeout_ms - look.now_ms) / 1000))


def member(game: str, player: str) -> str:
    """What a player is tracked under."""
    return f"{game}/{player}"


def by_shard(members: Iterable[tuple[str, str]]) -> dict[int, list[str]]:
    """Members of (game, player) by the number of their shard."""
    found: dict[int, list[str]] = defaultdict(list)
    for game, player in members:
        found[keys.presence_number(player)].append(member(game, player))
    return found


class Session(Struct, frozen=True, array_like=True):
    """A time that a player was online in a game, from the first heartbeat to the last; ms. As it is stored."""

    game: str
    began_ms: int
    ended_ms: int


def day_of(ms: int, offset_min: int) -> int:
    """The day (since 1970) of a moment, by a clock that is `offset_min` minutes ahead of UTC."""
    return (ms + offset_min * 60_000) // DAY_MS


def days_of(began_ms: int, ended_ms: int, offset_min: int) -> dict[int, int]:
    """The ms of a session by the days that it touched; nothing for one that ended before it began (a clock was set)."""
    found: dict[int, int] = {}
    at = max(began_ms, ended_ms - KEPT_DAYS * DAY_MS)  # longer than days are kept: somebody's machine forgot to end
    while at < ended_ms:
        day = day_of(at, offset_min)
        until = min(ended_ms, (day + 1) * DAY_MS - offset_min * 60_000)
        found[day] = until - at
        at = until
    return found


def played(stored: Mapping[int, int], running: Session | None, offset_min: int) -> dict[int, int]:
    """ms by day: those of sessions that are over, and of the one that runs."""
    found = dict(stored)
    if running is not None:
        for day, ms in days_of(running.began_ms, running.ended_ms, offset_min).items():
            found[day] = found.get(day, 0) + ms
    return found


def _ms(text: Any) -> int | None:
    return None if text in ("", None) else int(float(text))
