"""The one place that reads the clock and draws chance. Decisions take both as arguments."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from core.ids import RANDOM_BYTES, Kind, make_id


def now_ms() -> int:
    """UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_id(kind: Kind) -> str:
    """A fresh id of this kind."""
    return make_id(kind, now_ms(), os.urandom(RANDOM_BYTES))


def iso(ms: int) -> str:
    """`ms` (UTC milliseconds) as RFC 3339 with milliseconds: 2026-11-21T08:34:00.123Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
