"""Function libraries of other releases, and when they go.

Each release has its library under a name of its own (`core.redis.library`), so those of several are there at once.
Services say each few seconds which one they use. A library that nobody used for longer than any match lasts is removed,
and more than `MOST` never stay. That is no risk: whoever calls a function that is gone loads it and calls again.
"""

from __future__ import annotations

import re
from typing import Final

from core import keys
from core.redis.client import Database
from core.redis.library import LIBRARY

OURS: Final = re.compile("muster_[0-9a-f]{10}")
UNUSED_MS: Final = 25 * 3_600_000  # the longest match is a day long, and its server tells nobody
MOST: Final = 8  # libraries, each about half a megabyte of Redis' memory


async def tidy(db: Database) -> list[str]:
    """Remove what nobody uses; the names of what was removed. Raises Unavailable."""
    there = {name for name in await db.libraries() if OURS.fullmatch(name)} - {LIBRARY.name}
    if not there:
        return []
    told, now = f"{keys.SCHEMA}:libraries", await db.now_ms()
    # One of which nobody ever told (its services are of a release that does not) was used last when it was seen first.
    await db.do_many([("HSETNX", told, name, now) for name in sorted(there)])
    used = {name: int(at) for name, at in zip(sorted(there), await db.do("HMGET", told, *sorted(there)), strict=True)}
    newest_first = sorted(used, key=lambda name: -used[name])
    gone = [name for i, name in enumerate(newest_first) if i >= MOST - 1 or now - used[name] > UNUSED_MS]
    for name in gone:
        await db.unload(name)
    # A node that came or went meanwhile may have one still: then it is looked at again.
    done = sorted(set(gone) - await db.libraries()) if gone else []
    if done:
        await db.do("HDEL", told, *done)
    return done
