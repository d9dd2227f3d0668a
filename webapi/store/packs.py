"""Delayed commands as webapi needs them, and the balance documents that packs may be made with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from core import keys
from core.packs import balance_versions
from core.redis.batch import Batch
from webapi.store.tickets import Address

REMEMBERED_MS: Final = 1000  # how late a replica sees that a balance was replaced
REMEMBERED_MOST: Final = 1000

Balances = tuple[int, dict[int, str]]  # the version that runs, and the documents that may be used


class Packs:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._remembered: OrderedDict[str, tuple[int, Balances]] = OrderedDict()

    async def balances(self, game: str, now_ms: int, *, having: int | None = None) -> Balances:
        """The balance of a game, up to a second old; read anew where version `having` is not in it."""
        known = self._remembered.get(game)
        if known is not None and now_ms - known[0] < REMEMBERED_MS and (having is None or having in known[1][1]):
            return known[1]
        self._remembered.pop(game, None)
        found = balance_versions(await self._batch.do("HGETALL", keys.balance(game)), now_ms)
        if len(self._remembered) >= REMEMBERED_MOST:
            self._remembered.popitem(last=False)
        self._remembered[game] = (now_ms, found)
        return found

    async def seqs(self, addresses: Sequence[Address]) -> list[int]:
        """How often each player's packs have changed."""
        commands = [("HGET", f"{keys.shard(game, player)}:commands:{player}", "rev") for game, player in addresses]
        return [int(found or 0) for found in await self._batch.do_many(commands)]

    async def seen(self, addresses: Iterable[Address], now_ms: int) -> None:
        """That somebody watches changes nothing."""
