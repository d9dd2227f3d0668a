"""How a queue went in the last five minutes: counts in slices of ten seconds, and samples of the matches made. PURE.

A slice that is over is never touched again, so what a pass costs is a few additions; the sums are made when somebody
wants to see them, once a second.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from core.insight import Lately, Waits
from matchmaker.rules import Quality

SLICE_MS: Final = 10_000
SLICES: Final = 30
SAMPLES: Final = 1000  # latest waits and matches that percentiles are taken from
RULES: Final = 24  # rules told by name, those that turn away most; the rest together
STAGES: Final = 5  # expansion steps told apart; further ones together
OTHER: Final = "other"


@dataclass(slots=True)
class _Slice:
    number: int
    passes: int = 0
    seconds: float = 0.0
    longest_s: float = 0.0
    matches: int = 0
    tickets: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)


class Recent:
    """See the module. Times are in ms and never go back by more than a slice."""

    def __init__(self) -> None:
        self._slices: deque[_Slice] = deque(maxlen=SLICES)
        self._waits: deque[tuple[int, float]] = deque(maxlen=SAMPLES)
        self._matches: deque[tuple[int, Quality]] = deque(maxlen=SAMPLES)

    def passed(self, now_ms: int, seconds: float) -> None:
        """A pass over the queue took so long."""
        part = self._slice(now_ms)
        part.passes += 1
        part.seconds += seconds
        part.longest_s = max(part.longest_s, seconds)

    def rejected(self, now_ms: int, rejections: Mapping[str, int]) -> None:
        """What a pass counted against each rule."""
        self._slice(now_ms).rejections.update(rejections)

    def made(self, now_ms: int, quality: Quality, waits_s: Sequence[float]) -> None:
        """A match was made of tickets that had waited so long."""
        part = self._slice(now_ms)
        part.matches += 1
        part.tickets += len(waits_s)
        part.stages[stage_name(quality.stage)] += 1
        self._matches.append((now_ms, quality))
        self._waits.extend((now_ms, wait) for wait in waits_s)

    def is_empty(self, now_ms: int) -> bool:
        """Whether nothing happened in the window that ends now."""
        return not self._slices or self._slices[-1].number < now_ms // SLICE_MS - SLICES + 1

    def lately(self, now_ms: int) -> Lately:
        """The sums over the window that ends now."""
        first = now_ms // SLICE_MS - SLICES + 1
        parts = [part for part in self._slices if part.number >= first]
        since = first * SLICE_MS
        passes = sum(part.passes for part in parts)
        made = [quality for at, quality in self._matches if at >= since]
        rejections = sum((part.rejections for part in parts), Counter[str]())
        return Lately(
            window_s=SLICES * SLICE_MS // 1000,
            passes=passes,
            pass_ms=_ms(sum(part.seconds for part in parts) / max(1, passes)),
            longest_pass_ms=_ms(max((part.longest_s for part in parts), default=0.0)),
            matches=sum(part.matches for part in parts),
            matched_tickets=sum(part.tickets for part in parts),
            stages=dict(sum((part.stages for part in parts), Counter[str]())),
            rejections=_most(rejections),
            waits=_waits([wait for at, wait in self._waits if at >= since]),
            spread=_median([q.spread for q in made if q.spread is not None]),
            worst_latency_ms=_median([q.worst_latency_ms for q in made if q.worst_latency_ms is not None]),
        )

    def _slice(self, now_ms: int) -> _Slice:
        number = now_ms // SLICE_MS
        if not self._slices or self._slices[-1].number < number:
            self._slices.append(_Slice(number))
        return self._slices[-1]


def stage_name(stage: int) -> str:
    """How many expansion steps were open, as a label; there are few of these."""
    return str(stage) if stage < STAGES else f"{STAGES}+"


def _most(rejections: Counter[str]) -> dict[str, int]:
    told = dict(rejections.most_common(RULES))
    rest = rejections.total() - sum(told.values())
    return told | ({OTHER: told.get(OTHER, 0) + rest} if rest else {})


def _waits(waits: list[float]) -> Waits | None:
    if not waits:
        return None
    waits.sort()
    ranks = (waits[min(len(waits) - 1, len(waits) * percent // 100)] for percent in (50, 90, 99))
    return Waits(*(round(wait, 3) for wait in (*ranks, waits[-1])))


def _median(values: list[float]) -> float | None:
    return round(median(values), 3) if values else None


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
