"""Draw docs/images/supply.svg: a simulated day under each supply policy, decided by the planner itself.

`python -m tools.draw_supply`. Duels of strangers: two players a minute at night, thirty in the evening, a start of
eight seconds, matches of five minutes; the same players for each policy. Nothing here is measured: it shows how
policies behave.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from core.lifecycle import StandbyState
from core.model import EarlySpec, SupplySpec, Timers, WarmSpec, WarmTimes
from matchmaker.arrivals import Arrivals
from matchmaker.supply import Budget, Facts, Filling, Kind, Standby, plan

PICTURE: Final = Path(__file__).parent.parent / "docs" / "images" / "supply.svg"
DAY_S: Final = 86_400
MIDNIGHT_MS: Final = 1_763_683_200_000  # 2025-11-21, UTC
START_S: Final = 8.0
MATCH_S: Final = 300.0
SLICE_S: Final = 600
POLICIES: Final = {
    "on demand": SupplySpec(),
    "early start": SupplySpec(early=EarlySpec(idle_s=10, hold_s=20), idle_most=20),
    "warm, following demand": SupplySpec(warm=WarmSpec(cover=0.95), idle_most=20),
    "warm, by schedule": SupplySpec(warm=WarmSpec(servers=1, schedule=[WarmTimes("17:00", "23:30", 6)]), idle_most=20),
    "warm, ten": SupplySpec(warm=WarmSpec(servers=10), idle_most=20),
}
WIDE, HIGH, LEFT, TOP, GAP = 880, 96, 46, 40, 58
COLOURS: Final = {"idle": "#b0611a", "players": "#1769aa"}


def players() -> list[float]:
    """When each player comes, seconds after midnight."""
    chance, at, times = random.Random(20261121), 0.0, []  # noqa: S311 - no secret
    while at < DAY_S:
        evening = max(0.0, math.sin((at / 3600 - 9) / 15 * math.pi)) ** 2
        at += chance.expovariate((2 + 28 * evening) / 60)
        times.append(at)
    return times[:-1]


@dataclass
class Day:
    """One policy's day. Seconds after midnight; a match begins when its server is ready."""

    supply: SupplySpec
    waits: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=lambda: [0.0] * (DAY_S // SLICE_S))
    unused: int = 0
    standbys: dict[str, Standby] = field(default_factory=dict)
    ends: list[float] = field(default_factory=list)
    queue: list[float] = field(default_factory=list)
    tickets: Arrivals = field(default_factory=lambda: Arrivals(MIDNIGHT_MS))
    matches: Arrivals = field(default_factory=lambda: Arrivals(MIDNIGHT_MS))
    budget: Budget = field(default_factory=Budget)
    spent_ms: int = 0
    number: int = 0

    def run(self, times: list[float]) -> None:
        """Live through it, a second at a time and at each arrival."""
        coming = iter([*times, math.inf])
        at = next(coming)
        for second in range(DAY_S):
            while at < second + 1:
                self._came(at)
                self._turn(at)
                at = next(coming)
            self._turn(second + 1.0)
            ready = sum(it.state is StandbyState.READY for it in self.standbys.values())
            self.idle[second // SLICE_S] += ready / SLICE_S

    def _came(self, at: float) -> None:
        self.tickets.seen(_ms(at))
        self.queue.append(at)
        if len(self.queue) < 2:
            return
        self.queue.clear()
        self.matches.seen(_ms(at))
        there = sorted(self.standbys.values(), key=lambda it: (it.ready_ms or math.inf, it.created_ms))
        ready_at = at + START_S
        if there:
            taken = self.standbys.pop(there[0].id)
            ready_at = max(at, (taken.created_ms - MIDNIGHT_MS) / 1000 + START_S)
            self._idled(taken, at)
        self.waits.append(ready_at - at)
        self.ends.append(ready_at + MATCH_S)

    def _turn(self, at: float) -> None:
        """What the supplier does: who became ready, and what the planner wants."""
        now = _ms(at)
        for it in list(self.standbys.values()):
            if it.state is StandbyState.STARTING and now - it.created_ms >= START_S * 1000:
                ready = it.created_ms + round(START_S * 1000)
                self.standbys[it.id] = Standby(it.id, StandbyState.READY, it.kind, 1, it.created_ms, ready, now)
        self.ends = [end for end in self.ends if end > at]
        made = plan(self._facts(now))
        for name in made.end:
            self.unused += 1
            self._idled(self.standbys.pop(name), at)
        for kind in made.start:
            self._start(kind, now)

    def _facts(self, now: int) -> Facts:
        filling = Filling(len(self.queue), ((0.0, 2),), 2, self.tickets.rate(now))
        budget_s = self.budget.turn(self.supply.early or EarlySpec(), len(self.waits), self.spent_ms)
        return Facts(
            now, 1, self.supply, Timers(), list(self.standbys.values()), len(self.ends), 1000, 1000,
            start_s=START_S, fillings=[filling], matches=self.matches.rate(now), budget_s=budget_s,
        )  # fmt: skip

    def _start(self, kind: Kind, now: int) -> None:
        self.number += 1
        name = f"w-{self.number:06}"
        self.standbys[name] = Standby(name, StandbyState.STARTING, kind, 1, now)

    def _idled(self, it: Standby, at: float) -> None:
        if it.kind == "early" and it.ready_ms:
            self.spent_ms += _ms(at) - it.ready_ms


def _ms(at: float) -> int:
    return MIDNIGHT_MS + round(at * 1000)


def _panel(top: float, title: str, values: list[float], most: float, colour: str, unit: str) -> str:
    def point(i: int, value: float) -> str:
        return f"{LEFT + (i + 0.5) / len(values) * (WIDE - LEFT - 16):.1f},{top + HIGH * (1 - value / most):.1f}"

    line = " ".join(point(i, value) for i, value in enumerate(values))
    floor = f"{WIDE - 16},{top + HIGH} {LEFT},{top + HIGH}"
    hour = (WIDE - LEFT - 16) / 24
    hours = "".join(
        f'<text x="{LEFT + i * hour:.0f}" y="{top + HIGH + 14}" text-anchor="middle">{i}</text>'
        for i in range(0, 25, 3)
    )
    return (
        f'<text x="{LEFT}" y="{top - 8}" font-size="13">{title}</text>'
        f'<polygon points="{line} {floor}" fill="{colour}" fill-opacity="0.18"/>'
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        f'<path d="M{LEFT},{top} V{top + HIGH} H{WIDE - 16}" fill="none" stroke="#999"/>'
        f'<text x="{LEFT - 6}" y="{top + 4}" text-anchor="end">{most:g}</text>'
        f'<text x="{LEFT - 6}" y="{top + HIGH}" text-anchor="end">0</text>'
        f'<text x="{LEFT - 6}" y="{top + HIGH / 2}" text-anchor="end">{unit}</text>{hours}'
    )


def draw(say: Callable[[str], None] = print) -> str:
    """The whole picture."""
    times = players()
    a_minute = [0.0] * (DAY_S // SLICE_S)
    for at in times:
        a_minute[int(at) // SLICE_S] += 60 / SLICE_S
    parts = [_panel(TOP, "players who come", a_minute, 40, COLOURS["players"], "a min")]
    for number, (name, supply) in enumerate(POLICIES.items(), start=1):
        day = Day(supply)
        day.run(times)
        ordered = sorted(day.waits)
        half, most = median(ordered), ordered[len(ordered) * 9 // 10]
        idle_s = sum(day.idle) * SLICE_S / len(day.waits)
        told = (
            f"{name}: half wait {half:.1f} s for the server, nine of ten at most {most:.1f} s; "
            f"{idle_s:.1f} idle server-seconds a match, {day.unused} servers for nobody"
        )
        say(told)
        parts.append(_panel(TOP + number * (HIGH + GAP), told, day.idle, 12, COLOURS["idle"], "idle"))
    high = TOP + (len(POLICIES) + 1) * (HIGH + GAP)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {high}" font-family="system-ui, sans-serif" '
        'font-size="11" fill="#333"><rect width="100%" height="100%" fill="#fff"/>'
    )
    return "\n".join([head, *parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw())
