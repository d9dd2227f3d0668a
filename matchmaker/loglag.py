"""How far the readers of a game's log are behind: sinks, analytics, archives. Each tells of itself while it lives; this
tells of those that do not.

Looked at every few seconds, of as many games as metrics name. What a reader has not read is there or was trimmed, so
the age of the first entry after its cursor is how far it is behind.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec

from core import keys
from core.redis.client import Database
from core.redis.logreader import entry_ms
from matchmaker.metrics import OTHER, Metrics

LOOK_S: Final = 5.0
NEVER_S: Final = 3600.0


class _Reader(msgspec.Struct):
    """Of what Redis keeps of a reader, the place."""

    at: str


_reader: Final = msgspec.json.Decoder(_Reader)


class LogLag:
    """Of one game. `step` is run by one task only."""

    def __init__(self, db: Database, game: str, metrics: Metrics) -> None:
        self._db, self._metrics = db, metrics
        self._name = metrics.name(game)
        self._bases = [*keys.shards(game), keys.game(game)]

    async def step(self) -> float:
        """Look once. Returns the seconds until the next look. Raises Unavailable."""
        if self._name == OTHER:
            return NEVER_S
        rows = await self._db.do_many([("HGETALL", f"{base}:readers") for base in self._bases])
        places = [
            (base, name, _reader.decode(text).at)
            for base, row in zip(self._bases, rows, strict=True)
            for name, text in row.items()
        ]
        lags = await self._lags(places)
        self._metrics.lags(self._name, lags)
        return LOOK_S

    async def _lags(self, places: list[tuple[str, str, str]]) -> dict[str, float]:
        """By reader: the age of the oldest entry that it has not read, in any shard."""
        asked = [("XRANGE", f"{base}:log", f"({at}", "+", "COUNT", 1) for base, _, at in places]
        found = await self._db.do_many(asked)
        now_s, lags = time.time(), dict.fromkeys((name for _, name, _ in places), 0.0)
        for (_, name, _), rows in zip(places, found, strict=True):
            if rows:
                lags[name] = max(lags[name], now_s - entry_ms(rows[0][0]) / 1000)
        return lags
