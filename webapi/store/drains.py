"""Drains in Redis: orders, and what is left of what they empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from core import keys
from core.drain import Drain, applying, read_orders
from core.redis.batch import Batch

REMEMBERED_MS: Final = 1000  # how late a replica sees an order where it takes tickets
GAMES_AT_ONCE: Final = 200  # counted in one go


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a game: tickets that wait, live matches, servers without one."""

    game: str
    waiting: int
    live: int
    idle: int


class Drains:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._read_ms = 0
        self._orders: Mapping[str, Drain] = {}

    async def put(self, what: str, order: Drain) -> None:
        """Drain a game, or EVERYTHING, from now on. What there was before is replaced; its beginning is kept."""
        before = (await self.orders()).get(what)
        if before is not None and before.since_ms:
            order = msgspec.structs.replace(order, since_ms=before.since_ms)
        await self._batch.do("HSET", keys.DRAINS, what, msgspec.json.encode(order))
        self._read_ms = 0

    async def remove(self, what: str) -> None:
        """Take an order back."""
        await self._batch.do("HDEL", keys.DRAINS, what)
        self._read_ms = 0

    async def orders(self) -> dict[str, Drain]:
        """All orders, EVERYTHING's among them."""
        return read_orders(await self._batch.do("HGETALL", keys.DRAINS))

    async def recent(self, game: str, now_ms: int) -> Drain | None:
        """What applies to a game, up to a second old: the matchmaker makes good what came meanwhile."""
        if now_ms - self._read_ms >= REMEMBERED_MS:
            self._orders, self._read_ms = await self.orders(), now_ms
        return applying(self._orders, game)

    async def games(self) -> list[str]:
        """Ids of registered games."""
        return sorted(await self._batch.do("SMEMBERS", keys.GAMES))

    async def left(self, games: Sequence[str]) -> list[Left]:
        """What is left of these."""
        found: list[Left] = []
        for i in range(0, len(games), GAMES_AT_ONCE):
            part = games[i : i + GAMES_AT_ONCE]
            asked = [("ZCARD", f"{keys.game(it)}:{of}") for it in part for of in ("queue", "live", "standbys")]
            counts = await self._batch.do_many(asked)
            found += [Left(it, *counts[3 * n : 3 * n + 3]) for n, it in enumerate(part)]
        return found
