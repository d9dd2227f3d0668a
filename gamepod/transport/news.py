"""What single players are told of trades and inventories, as bytes that fit their way. PURE."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from gamepod.arena.trading import News, TradeNews
from gamepod.transport import protocol
from gamepod.transport.links import Link

ITEMS_A_DATAGRAM: Final = 10  # each at most 90 bytes


class NewsBytes:
    """One piece of news, encoded once for all who are told, in each form when first asked for."""

    def __init__(self, news: News, tick: int) -> None:
        self._news = news
        self._tick = tick
        self._forms: dict[bool, list[bytes]] = {}

    def send(self, link: Link) -> None:
        """Tell one player; again only over a way that loses messages."""
        if self._news.again and not link.datagram:
            return
        if link.datagram not in self._forms:
            self._forms[link.datagram] = list(self._encoded(link.datagram))
        for message in self._forms[link.datagram]:
            link.send(message)

    def _encoded(self, datagram: bool) -> Iterator[bytes]:
        of = self._news.of
        if isinstance(of, TradeNews):
            yield protocol.encode(protocol.Trade(*of))
            return
        rows = iter(of.items())
        parts = max(1, -(-len(of) // ITEMS_A_DATAGRAM)) if datagram else 1
        for part in range(parts):
            some = dict(islice(rows, ITEMS_A_DATAGRAM) if datagram else rows)
            yield protocol.encode(protocol.Inventory(self._tick, part + 1, parts, some))
