"""What `core.analytics` counted and flagged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from core import keys
from core.analytics.fold import TEN
from core.analytics.judge import MINUTE_MS
from core.analytics.source import KAFKA, READER
from core.redis.batch import Batch
from webapi.records import iso, parsed
from webapi.story_documents import Analytics, Flag

MINUTES_MOST: Final = 24 * 60
_OF_A_FLAG: Final = frozenset({"id", "event", "at_ms", "game", "match", "player", "version"})


class Counted:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def read(self, game: str, minutes: int, now_ms: int) -> Analytics:
        """The last minutes, this one included; `game` '' is the installation."""
        last = now_ms // MINUTE_MS
        first = last - minutes + 1
        tens = range(first - first % TEN, last + 1, TEN)
        base = keys.counted_base(game)
        source, *found = await self._batch.do_many(
            [("HGET", f"{keys.AUDIT}:epoch", "source"), *(("HGETALL", f"{base}:counted:{ten}") for ten in tens)]
        )
        counts: dict[str, list[float]] = {}
        for ten, fields in zip(tens, found, strict=True):
            for field, amount in fields.items():
                nth, _, name = field.partition(":")
                place = ten + int(nth) - first
                if 0 <= place < minutes:
                    counts.setdefault(name, [0.0] * minutes)[place] = float(amount)
        counting, counted_at = await self.counter(game, now_ms)
        return Analytics(
            since=iso(first * MINUTE_MS),
            minutes=minutes,
            counts=dict(sorted(counts.items())),
            source=source or "",
            counting=counting,
            counted_at=counted_at,
            game=game or UNSET,
        )

    async def counter(self, game: str, now_ms: int) -> tuple[bool, str | UnsetType]:
        """Whether somebody counts what happens in `game` ('': in the installation), and when somebody last did.

        That is told by the lease of who counts, which ends seconds after whoever died: nobody counts from then on.
        """
        units = dict.fromkeys((game, KAFKA))  # of the logs, or all of Kafka
        found = await self._batch.do_many([("HGET", f"{keys.sink(READER, unit)}:lease", "until_ms") for unit in units])
        until_ms = max((int(one) for one in found if one), default=0)
        return until_ms > now_ms, iso(min(until_ms, now_ms)) if until_ms else UNSET

    async def flags(self, games: Sequence[str], most: int) -> list[Flag]:
        """The latest flags of these games ('' is the installation), the latest first."""
        bases = [keys.counted_base(game) for game in games]
        ids = await self._batch.do_many([("ZREVRANGE", f"{base}:flags:order", 0, most - 1) for base in bases])
        wanted = [(base, game, some) for base, game, some in zip(bases, games, ids, strict=True) if some]
        docs = await self._batch.do_many([("HMGET", f"{base}:flags", *some) for base, _, some in wanted])
        found = [
            flag
            for (_, game, _), texts in zip(wanted, docs, strict=True)
            for text in texts
            if (flag := flag_of(game, text)) is not None
        ]
        return [flag for _, flag in sorted(found, key=lambda one: -one[0])][:most]


def flag_of(game: str, text: str | None) -> tuple[int, Flag] | None:
    """The time (ms) and document of a stored flag; None where it went meanwhile."""
    body: Any = parsed(text, None)
    if not isinstance(body, dict):
        return None
    about = {name: value for name, value in body.items() if name not in _OF_A_FLAG}
    at_ms = int(body["at_ms"])
    shown = [str(body.get(name, "")) for name in ("id", "event", "match", "player")]
    return at_ms, msgspec.convert(
        {"id": shown[0], "event": shown[1], "at": iso(at_ms), "game": game, "match": shown[2], "player": shown[3],
         "about": about}, Flag
    )  # fmt: skip
