"""Draws the curves of `bench.quality` as one SVG: a panel for each rule set, ours beside first come, first served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 300  # of a panel
HEIGHT: Final = 210
LEFT: Final = 52
RIGHT: Final = 14
TOP: Final = 34
BOTTOM: Final = 40
PER_ROW: Final = 3
OURS: Final = "#1769aa"
PLAIN: Final = "#b0611a"
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """A rule set's two curves of (wait s, spread)."""

    title: str
    axis: str
    ours: Points
    plain: Points


def draw(panels: Sequence[Panel]) -> str:
    """The whole picture."""
    rows = -(-(len(panels) + 1) // PER_ROW)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {PER_ROW * WIDTH} {rows * HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="11" fill="#333">',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for number, panel in enumerate(panels):
        parts.append(_panel(panel, number % PER_ROW * WIDTH, number // PER_ROW * HEIGHT))
    parts.append(_legend(len(panels) % PER_ROW * WIDTH, len(panels) // PER_ROW * HEIGHT))
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, x: float, y: float) -> str:
    points = [*panel.ours, *panel.plain]
    most_x, most_y = (max((point[i] for point in points), default=1.0) * 1.08 or 1.0 for i in (0, 1))
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(point: tuple[float, float]) -> str:
        return f"{x + LEFT + point[0] / most_x * wide:.1f},{y + TOP + high - point[1] / most_y * high:.1f}"

    bottom, left = y + TOP + high, x + LEFT
    parts = [
        f'<text x="{left}" y="{y + 20}" font-size="13" font-weight="600">{panel.title}</text>',
        f'<path d="M{left},{y + TOP} V{bottom} H{x + WIDTH - RIGHT}" fill="none" stroke="#999"/>',
        f'<text x="{x + WIDTH - RIGHT}" y="{bottom + 28}" text-anchor="end">mean wait, s</text>',
        f'<text x="{left - 4}" y="{y + TOP - 4}" text-anchor="start" fill="#666">{panel.axis}</text>',
    ]
    for share in (0.0, 0.5, 1.0):
        parts.append(
            f'<text x="{left + share * wide:.1f}" y="{bottom + 14}" text-anchor="middle">{share * most_x:.0f}</text>'
        )
        parts.append(
            f'<text x="{left - 6}" y="{bottom - share * high + 4:.1f}" text-anchor="end">{share * most_y:.0f}</text>'
        )
    for curve, colour in ((panel.plain, PLAIN), (panel.ours, OURS)):
        line = " ".join(map(at, curve))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for point in curve:
            across, up = at(point).split(",")
            parts.append(f'<circle cx="{across}" cy="{up}" r="2.5" fill="{colour}"/>')
    return "\n".join(parts)


def _legend(x: float, y: float) -> str:
    lines = ((OURS, "under the rule set"), (PLAIN, "first come, first served"))
    parts = []
    for number, (colour, text) in enumerate(lines):
        at = y + TOP + 30 + number * 22
        parts.append(f'<rect x="{x + LEFT}" y="{at - 9}" width="18" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + LEFT + 26}" y="{at - 3}">{text}</text>')
    note = y + TOP + 90
    parts.append(f'<text x="{x + LEFT}" y="{note}" fill="#666">Each point: an eighth of a day&#8217;s</text>')
    parts.append(f'<text x="{x + LEFT}" y="{note + 15}" fill="#666">matches, by waiting time.</text>')
    return "\n".join(parts)
