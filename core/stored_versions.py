"""A game's versions and its canary as they are in Redis. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from core.model import Game
from core.stored import Stored
from core.versions import Canary

CANARY_FIELDS: Final = ("doc", "percent", "since_ms", "before")

_game: Final = Stored(Game)


def read_canary(row: Sequence[str | None]) -> Canary | None:
    """From the values of `CANARY_FIELDS`; None where none is tried. Raises msgspec.DecodeError."""
    doc, percent, since_ms, before = row
    if doc is None:
        return None
    counts = msgspec.json.decode(before or "{}", type=dict[str, int], strict=False)
    return Canary(_game.decode(doc), float(percent or 0), int(since_ms or 0), counts)


def as_mapping(found: Any) -> dict[str, str]:
    """A whole hash, in the flat form of RESP 2 or as RESP 3 has it."""
    if isinstance(found, Mapping):
        return dict(found)
    return dict(zip(found[::2], found[1::2], strict=True))
