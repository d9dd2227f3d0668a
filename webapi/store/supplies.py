"""Supply of servers in Redis: what a game's matchmaker told of it last, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from core import keys
from core.redis.batch import Batch
from core.supply import Told

_told: Final = msgspec.json.Decoder(Told)


class Supplies:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def read(self, game: str) -> tuple[Told | None, dict[str, int]]:
        """What the matchmaker told last, if that is still worth anything, and the counters since the beginning."""
        base = keys.game(game)
        told, spent = await self._batch.do_many([("GET", f"{base}:plan"), ("HGETALL", f"{base}:supply")])
        return told_of(told), numbers(spent)


def told_of(text: str | None) -> Told | None:
    """None where nothing was told that we understand (another version may have)."""
    try:
        return _told.decode(text) if text else None
    except msgspec.DecodeError:
        return None


def numbers(spent: Mapping[str, str]) -> dict[str, int]:
    """The counters of a supply."""
    return {name: int(number) for name, number in spent.items()}
