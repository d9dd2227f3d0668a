"""Settles what presence reported: sessions and play-time of players, and the feeds of games.

A shard's events are read in order from the place up to which they are settled. They go into the feeds of their games
first, where a repeat is recognised; then sums, sessions and the new place are written in one step. Killed in between,
the next one reads the same events again and ends with the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from structlog.typing import FilteringBoundLogger

from core import events, keys
from core.errors import Fenced, MusterError
from core.model import Game
from core.playtime import PlaySpec
from core.presence import (
    AT_ONCE,
    DAY_MS,
    EVENTS_KEPT,
    FIELDS_MOST,
    KEPT_DAYS,
    SESSIONS_KEPT,
    Session,
    days_of,
)
from core.redis.client import function_call
from matchmaker.leases import Leases
from matchmaker.shared import Shared

POLL_S: Final = 0.25  # who came online is told by nobody's ring
FEED_KEPT: Final = 20_000  # events of a game, 200 bytes each
FEED_S: Final = 7 * 86_400  # a feed that nothing is added to
SPECS_S: Final = 5.0  # how late a changed registration is seen
SPECS_MOST: Final = 10_000

Row = tuple[str, dict[str, str]]  # an entry of a shard's stream: id and fields


class _Spec(msgspec.Struct, frozen=True):
    play: PlaySpec | None = None


class _Head(msgspec.Struct, frozen=True):
    """What is needed here of a registration."""

    spec: _Spec = _Spec()


_head: Final = msgspec.json.Decoder(_Head)
assert {"spec"} <= set(Game.__struct_fields__)


class Settling:
    """See the module. `step` is run by one task only; `rung` is set when there is something to settle."""

    def __init__(self, shared: Shared, leases: Leases, log: FilteringBoundLogger) -> None:
        self._shared, self._leases, self._log = shared, leases, log
        self._offsets: dict[str, int] = {}
        self._offsets_until_s = 0.0
        self.rung = asyncio.Event()

    async def step(self) -> float:
        """Settle up to `AT_ONCE` events of each shard that is ours. Returns the seconds until the next."""
        held = {shard: lease.token for shard, lease in self._leases.held.items()}
        places = await self._many([("GET", f"{keys.presence(shard)}:settled") for shard in held])
        commands, shards = [], []
        for shard, place in zip(held, places, strict=True):
            if not isinstance(place, Exception):
                start = f"({place}" if place else "-"
                commands.append(("XRANGE", f"{keys.presence(shard)}:events", start, "+", "COUNT", AT_ONCE))
                shards.append((shard, place or ""))
        found: list[tuple[str, str, list[Row]]] = []
        for (shard, place), reply in zip(shards, await self._many(commands), strict=True):
            if not isinstance(reply, Exception) and reply:
                found.append((shard, place, events.entries(reply)))
        if not found:
            return POLL_S
        told = await self._feed(found)
        await self._learn(rows for _, _, rows in found)
        calls = [self._settle(shard, held[shard], place, rows) for shard, place, rows in found if shard in told]
        for (shard, _, _), reply in zip(found, await self._many(calls), strict=False):
            if isinstance(reply, Fenced):
                self._leases.forget(shard)
        return 0.0 if any(len(rows) == AT_ONCE for _, _, rows in found) else POLL_S

    async def _many(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """As `run_many`; raises Unavailable where every one of them failed."""
        replies = await self._shared.db.run_many(commands)
        errors = [reply for reply in replies if isinstance(reply, MusterError) and not isinstance(reply, Fenced)]
        if replies and len(errors) == len(replies):
            raise errors[0]
        return replies

    async def _feed(self, found: list[tuple[str, str, list[Row]]]) -> set[str]:
        """Put events into the feeds of their games; the shards all of whose events are there."""
        calls, told = [], {shard for shard, _, _ in found}
        of: list[tuple[str, str]] = []
        for shard, _, rows in found:
            games: dict[str, list[str | bytes]] = {}
            for entry, fields in rows:
                event = events.read_presence(entry, fields)
                games.setdefault(event.game, []).extend((entry, events.encode(event)))
            for game, words in games.items():
                calls.append(function_call("feed_append", keys.game(game), shard, FEED_KEPT, FEED_S, *words))
                of.append((shard, game))
        rung = set()
        for (shard, game), reply in zip(of, await self._many(calls), strict=True):
            if isinstance(reply, Exception):
                told.discard(shard)
            elif reply > 0:
                rung.add(game)
        self._shared.bell.ring("feed", sorted(rung))
        found[:] = [it for it in found if it[0] in told]
        return told

    async def _learn(self, batches: Any) -> None:
        """Know by how much the clocks of these games are ahead of UTC."""
        now = time.monotonic()
        if now >= self._offsets_until_s or len(self._offsets) >= SPECS_MOST:
            self._offsets.clear()
            self._offsets_until_s = now + SPECS_S
        games = {fields["m"].partition("/")[0] for rows in batches for _, fields in rows}
        unknown = sorted(games - self._offsets.keys())
        texts = await self._shared.db.do_many([("GET", keys.registration(game)) for game in unknown])
        for game, text in zip(unknown, texts, strict=True):
            play = _head.decode(text).spec.play if text else None
            self._offsets[game] = play.utc_offset_min if play else 0

    def _settle(self, shard: str, token: int, place: str, rows: list[Row]) -> tuple[Any, ...]:
        words: list[Any] = []
        oldest = 0
        for entry, fields in rows:
            event = events.read_presence(entry, fields)
            if not isinstance(event, events.PlayerOffline):
                continue
            oldest = event.at_ms // DAY_MS - KEPT_DAYS
            session = Session(event.game, event.began_ms, event.heard_ms)
            days = days_of(event.began_ms, event.heard_ms, self._offsets[event.game])
            words += [event.player, msgspec.json.encode(session), len(days)]
            for day, ms in days.items():
                words += [f"{event.game}/{day}", ms]
        last = rows[-1][0]
        head = (token, place, last, EVENTS_KEPT, KEPT_DAYS * 86_400, SESSIONS_KEPT, oldest, FIELDS_MOST)
        return function_call("presence_settle", keys.presence(shard), *head, *words)
