"""`muster capacity`: what so many players need, and what ends first (docs/scale.md)."""

from __future__ import annotations

import dataclasses

import msgspec

from core.capacity import Load, Part, hourly, limits, need
from core.cli.table import table


def text(load: Load, *, core: float, memory_gb: float) -> str:
    """For people: the load, each part, the price, and the limits."""
    parts = need(load)
    price = hourly(parts, core=core, memory_gb=memory_gb)
    return "\n".join([
        f"{load.players:,} players connected, {load.playing:,.0f} of them in {load.matches:,.0f} matches; "
        f"{load.tickets_s:,.1f} tickets, {load.starts_s:,.1f} starts and {load.actions_s:,.0f} interactions a second",
        "",
        table([row(part) for part in parts], head=("part", "cores", "GB", "count", "of")),
        "",
        f"at {core:g} a core-hour and {memory_gb:g} a GB-hour: {price:,.2f} an hour, "
        f"{price / load.players * 1000:,.3f} for a thousand players",
        "",
        table(
            [(f"{limit.players:,}", limit.name, limit.moved_by) for limit in limits(load)],
            head=("players", "what ends there, with one of it", "moved by"),
        ),
    ])  # fmt: skip


def row(part: Part) -> tuple[str, str, str, int, str]:
    """A part as a line of a table."""
    cores = f"{part.cores:,.2f}" if part.cores < 10 else f"{part.cores:,.0f}"
    memory = f"{part.memory_gb:,.2f}" if part.memory_gb < 10 else f"{part.memory_gb:,.0f}"
    return part.name, cores, memory, part.count, part.unit


def document(load: Load, *, core: float, memory_gb: float) -> str:
    """For scripts: the same as JSON."""
    parts = need(load)
    found = {
        "load": dataclasses.asdict(load),
        "parts": [dataclasses.asdict(part) for part in parts],
        "price_per_hour": hourly(parts, core=core, memory_gb=memory_gb),
        "limits": [dataclasses.asdict(limit) for limit in limits(load)],
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
