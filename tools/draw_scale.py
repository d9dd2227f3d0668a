"""Write the tables of docs/scale.md from core/capacity.py: `make docs`; a test fails where the page is stale."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from core.capacity import GATHER_S, Costs, Load, hourly, limits, need
from core.cli.capacity import row

PAGE: Final = Path(__file__).parent.parent / "docs" / "scale.md"
BEGIN, END = "<!-- drawn: {} -->\n", "<!-- end -->"
PLAYERS: Final = (1_000, 10_000, 100_000, 1_000_000)
CORE, MEMORY_GB = 0.03, 0.004
RATES: Final = (1, 10, 100, 500)  # tickets a second of one process
RELAXED_HZ: Final = 4.0  # MUSTER_FLUSH_S=0.25


def tables() -> dict[str, str]:
    """Each table by its name on the page."""
    return {"costs": _costs(), "parts": _parts(), "levers": _levers(), "limits": _limits()}


def _costs() -> str:
    """What is fixed, what a ticket costs, what a player, what a match."""
    c, load = Costs(), Load()
    outside = {
        "webapi": 1000 * (c.webapi_stream + c.webapi_read / load.reads_s + c.webapi_beat / load.beat_s),
        "Redis": 1000 * c.redis_beat / load.beat_s,
    }
    rates = ", ".join(f"{rate:,}" for rate in RATES)
    return "\n".join([
        "| | webapi | matchmaker | Redis |",
        "|---|---|---|---|",
        f"| fixed: a replica, a Redis | {c.webapi_base:g} cores | {c.matchmaker_base:g} cores "
        f"| {c.redis_base:g} cores |",
        f"| fixed: a registered game | – | {c.matchmaker_game:g} cores | {c.redis_game:g} cores |",
        f"| a wake-up | {c.webapi_wake * 1e3:g} ms | {c.matchmaker_wake * 1e3:g} ms | – |",
        f"| a ticket, beside its share of one | {c.webapi_ticket * 1e3:g} ms | {c.matchmaker_ticket * 1e3:g} ms "
        f"| {c.redis_ticket * 1e3:g} ms |",
        f"| both, at {rates} tickets/s of one process | {_by_rate(c.webapi_wake, c.webapi_ticket)} "
        f"| {_by_rate(c.matchmaker_wake, c.matchmaker_ticket)} | {c.redis_ticket * 1e3:g} ms |",
        f"| a thousand players outside a match | {outside['webapi']:.3f} cores | – | {outside['Redis']:.4f} cores |",
        f"| a session begun | {c.webapi_login * 1e3:.0f} ms | – | – |",
        f"| a match, beside its tickets | – | {c.matchmaker_start * 1e3:g} ms of its pod, "
        f"{c.matchmaker_match * 1e6:g} µs each second | {c.redis_batch * 1e6:g} µs each batch it writes |",
        f"| a kept interaction | – | – | {c.redis_action * 1e6:g} µs |",
    ])  # fmt: skip


def _by_rate(wake: float, ticket: float) -> str:
    return ", ".join(f"{(wake / (1 + rate * GATHER_S) + ticket) * 1e3:.1f}" for rate in RATES) + " ms"


def _parts() -> str:
    loads = [Load(players=players) for players in PLAYERS]
    lines = ["| connected | " + " | ".join(f"{players:,}" for players in PLAYERS) + " |"]
    lines.append("|---|" + "---|" * len(PLAYERS))
    lines.append("| matches, starts/s | " + _cells(f"{it.matches:,.0f}, {it.starts_s:,.1f}" for it in loads))
    lines.append("| tickets/s, interactions/s | " + _cells(f"{it.tickets_s:,.0f}, {it.actions_s:,.0f}" for it in loads))
    found = [need(load) for load in loads]
    for number, part in enumerate(found[0]):
        rows = [row(parts[number]) for parts in found]
        cells = _cells(f"{cores} cores, {gb} GB, {count:,}" for _, cores, gb, count, _ in rows)
        lines.append(f"| {part.name} (cores, memory, {part.unit}) | {cells}")
    prices = [
        hourly(parts, core=CORE, memory_gb=MEMORY_GB) / load.players * 1000
        for load, parts in zip(loads, found, strict=True)
    ]
    lines.append("| an hour of a thousand players | " + _cells(f"{price:,.2f}" for price in prices))
    return "\n".join(lines)


def _levers() -> str:
    """What a million cost when one thing is different."""
    usual = Load(players=1_000_000)
    kinds = {
        "as above": usual,
        "`MUSTER_FLUSH_S=0.25`: a crash loses a quarter of a second": dataclasses.replace(usual, flush_hz=RELAXED_HZ),
        "duels of two minutes": dataclasses.replace(usual, per_match=2, match_s=120.0),
        "a hundred players in a match": dataclasses.replace(usual, per_match=100, match_s=1200.0),
        "ten kept interactions a second of each": dataclasses.replace(usual, actions_hz=10.0),
    }
    lines = [
        "| a million connected | webapi | matchmaker | Redis | game servers | starts/s |",
        "|---|---|---|---|---|---|",
    ]
    for name, load in kinds.items():
        cores = _cells(f"{row(part)[1]} cores" for part in need(load))
        lines.append(f"| {name} | {cores} {load.starts_s:,.0f} |")
    return "\n".join(lines)


def _limits() -> str:
    lines = ["| connected | what ends there, with one of it | what moves it |", "|---|---|---|"]
    lines += [f"| {limit.players:,} | {limit.name} | {limit.moved_by} |" for limit in limits(Load())]
    return "\n".join(lines)


def _cells(cells: Iterable[str]) -> str:
    return " | ".join(cells) + " |"


def drawn(text: str) -> str:
    """The page with its tables made anew. Raises ValueError where a place for one is missing."""
    for name, table in tables().items():
        begin = text.index(BEGIN.format(name)) + len(BEGIN.format(name))
        text = text[:begin] + table + "\n" + text[text.index(END, begin) :]
    return text


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
