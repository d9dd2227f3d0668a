"""What `muster doctor` finds about the data's version, the releases that run on it, and drains. Reads only."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from core import keys
from core.cli.finding import SKEW_MS, Finding
from core.drain import EVERYTHING, read_orders
from core.migrations import look
from core.process import version
from core.redis.client import Database
from core.release import Who
from core.schema import READS, refusal

GUIDE = "docs/upgrading.md"


async def data_findings(db: Database) -> list[Finding]:
    """The data's version, who runs, what is drained."""
    return [await _schema(db), *await _services(db), *await _drains(db)]


async def _schema(db: Database) -> Finding:
    data = await look(db)
    if (refused := refusal(data, READS, version())) is not None:
        return Finding("data", "bad", f"version {data.newest}; this release reads {READS}", refused.detail)
    if data.migrating:
        return Finding(
            "data", "note", f"is brought to version {data.newest}" + (f", is at {data.place!r}" if data.place else ""),
            "nothing: a matchmaker does it; go back to an older release only after it, if at all",
        )  # fmt: skip
    if data.newest < READS.newest and await db.do("HLEN", f"{keys.SCHEMA}:services"):
        return Finding(
            "data", "note", f"version {data.newest}; this release would bring it to {READS.newest}",
            "it is done once no service of an older release runs, unless MUSTER_SCHEMA_HOLD is set",
        )  # fmt: skip
    return Finding("data", "good", f"version {data.newest}")


async def _services(db: Database) -> list[Finding]:
    """Which releases of which services run, and whose clocks are wrong."""
    now, found = await db.now_ms(), dict(await db.do("HGETALL", f"{keys.SCHEMA}:services"))
    running = [told for told in map(_told, found.values()) if told.get("till", 0) >= now]
    if not running:
        return []
    who = [msgspec.json.decode(told["who"], type=Who) for told in running]
    skews = ((f"{it.service} on {it.host}", told["skew_ms"]) for told, it in zip(running, who, strict=True))
    late = [
        Finding("clock", "bad", f"{name}: {skew_ms:+} ms beside that of Redis", "run NTP there")
        for name, skew_ms in skews
        if abs(skew_ms) >= SKEW_MS
    ]
    counts = Counter(f"{it.service} {it.release}" for it in who)
    said = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
    if len({it.release for it in who}) == 1:
        return [Finding("services", "good", said), *late]
    mixed = f"releases are mixed: fine during an upgrade ({GUIDE}), not for long"
    return [Finding("services", "note", said, mixed), *late]


def _told(text: str) -> dict[str, Any]:
    return dict(msgspec.json.decode(text))


async def _drains(db: Database) -> list[Finding]:
    orders = read_orders(dict(await db.do("HGETALL", keys.DRAINS)))
    if not orders:
        return []
    games = "the whole installation" if EVERYTHING in orders else ", ".join(sorted(orders)[:5])
    return [Finding("drain", "note", f"{games} makes no new match", "`muster drain --off`, once that is over")]
