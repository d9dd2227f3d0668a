"""How long somebody may play: what a game's developer sets, and what it means for one player now. PURE.

For minors' curfew and daily limits. Days and hours are those of the game: UTC, moved by `utc_offset_min`. A player who
may not play is refused a ticket; a match that runs is not ended, for its game knows better when to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from core.errors import Invalid
from core.presence import DAY_MS, day_of

MINUTE_MS: Final = 60_000
Clock = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="HH:MM of the game's day")]
Why = Literal["", "daily", "curfew"]


class Curfew(Struct, frozen=True, forbid_unknown_fields=True):
    """Nobody plays from `begins` until `ends`; 22:00 until 06:00 is a night."""

    begins: Clock
    ends: Clock


class PlaySpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits to play-time: warned of `warn_min` minutes before, then refused. docs/presence.md."""

    daily_min: Annotated[int, Meta(ge=1, le=1440)] | None = None  # minutes a day
    curfew: Curfew | None = None
    warn_min: Annotated[int, Meta(ge=0, le=240)] = 15
    utc_offset_min: Annotated[int, Meta(ge=-720, le=840)] = 0  # how far the game's clock is ahead of UTC
    # `listed`: those players only whom the developer names, for Muster knows nobody's age.
    applies_to: Literal["everyone", "listed"] = "everyone"


@dataclass(frozen=True, slots=True)
class Playing:
    """What the limits mean for a player now."""

    allowed: bool
    why: Why  # what refuses him, or will first
    warn: bool  # allowed, and not for much longer
    left_s: int | None  # until he is refused if he plays on; None: no limit is in sight
    retry_after_s: int  # until he is allowed; 0 where he is


def check_play(spec: PlaySpec) -> None:
    """Raises Invalid where the limits cannot be meant."""
    if spec.daily_min is None and spec.curfew is None:
        raise Invalid("say daily_min, or a curfew, or leave out play", pointer="/play")
    if spec.curfew is not None and spec.curfew.begins == spec.curfew.ends:
        raise Invalid("a curfew that ends when it begins would be none, or the whole day", pointer="/play/curfew/ends")


def judge(spec: PlaySpec, played_ms: Mapping[int, int], now_ms: int) -> Playing:
    """Whether a player who played so much by day (`core.presence.played`) may play now, and how long."""
    found = _refused(spec, played_ms, now_ms)
    if found is None:
        left_ms, why = _left(spec, played_ms, now_ms)
        warn = left_ms is not None and left_ms <= spec.warn_min * MINUTE_MS
        return Playing(True, why, warn, None if left_ms is None else left_ms // 1000, 0)
    until = now_ms
    for _ in range(4):  # the night after a day used up, and a day that begins in a night: each bound ends once
        refused = _refused(spec, played_ms, until)
        if refused is None:
            break
        until = refused[1]
    return Playing(False, found[0], False, 0, -(-(until - now_ms) // 1000))


def _refused(spec: PlaySpec, played_ms: Mapping[int, int], at_ms: int) -> tuple[Why, int] | None:
    """What refuses him at a moment, and until when."""
    local = at_ms + spec.utc_offset_min * MINUTE_MS
    if spec.curfew is not None:
        begins, ends = _ms(spec.curfew.begins), _ms(spec.curfew.ends)
        if (local - begins) % DAY_MS < (ends - begins) % DAY_MS:
            return "curfew", at_ms + (ends - local) % DAY_MS
    if spec.daily_min is not None and played_ms.get(day_of(at_ms, spec.utc_offset_min), 0) >= _daily_ms(spec):
        return "daily", at_ms + DAY_MS - local % DAY_MS
    return None


def _left(spec: PlaySpec, played_ms: Mapping[int, int], now_ms: int) -> tuple[int | None, Why]:
    """ms until he is refused, and what by."""
    bounds: list[tuple[int, Why]] = []
    local = now_ms + spec.utc_offset_min * MINUTE_MS
    if spec.curfew is not None:
        bounds.append(((_ms(spec.curfew.begins) - local) % DAY_MS, "curfew"))
    if spec.daily_min is not None:
        left = _daily_ms(spec) - played_ms.get(day_of(now_ms, spec.utc_offset_min), 0)
        midnight = DAY_MS - local % DAY_MS
        if left < midnight:  # else a new day comes first, with time of its own
            bounds.append((left, "daily"))
    return min(bounds, default=(None, ""))


def _daily_ms(spec: PlaySpec) -> int:
    return (spec.daily_min or 0) * MINUTE_MS


def _ms(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return (int(hours) * 60 + int(minutes)) * MINUTE_MS


def sentence(spec: PlaySpec, why: Why, who: str) -> str:
    """Why a player gets no ticket, to him ('') or to whoever asked for him."""
    subject = f"{who} may" if who else "you may"
    if why == "curfew" and spec.curfew is not None:
        return f"{subject} not play between {spec.curfew.begins} and {spec.curfew.ends}"
    return f"{subject} play {spec.daily_min} minutes a day, and did so today"
