"""Drains: what makes no new match, what becomes of who waits there, and until when running matches may last. PURE.

One hash (`core.keys.DRAINS`) has an order for each game that is drained, and one for the whole installation. It is read
by everybody who acts on it and changed in one field at a time, so there is no half of an order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

EVERYTHING: Final = "*"  # the order for the installation; no game is called so

Queues = Literal["keep", "end"]


class Drain(Struct, frozen=True, omit_defaults=True):
    """An order. Times are UTC ms.

    `queue`: tickets wait on (`keep`) or end, and new ones are refused (`end`). From `until_ms` on what still runs is
    ended; None: matches run to their own end. `note` is for people.
    """

    since_ms: int
    queue: Queues = "keep"
    until_ms: int | None = None
    note: str = ""


_decoder: Final = msgspec.json.Decoder(Drain)


def read_orders(stored: Mapping[str, str]) -> dict[str, Drain]:
    """Orders by game, `EVERYTHING` among them. One that cannot be read (a newer release's) drains all the same."""
    orders: dict[str, Drain] = {}
    for game, text in stored.items():
        try:
            orders[game] = _decoder.decode(text)
        except msgspec.DecodeError:
            orders[game] = Drain(0)
    return orders


def applying(orders: Mapping[str, Drain], game: str) -> Drain | None:
    """What applies to a game: its own order and the installation's together, each time the stricter."""
    found = [orders[name] for name in (game, EVERYTHING) if name in orders]
    if not found:
        return None
    ends = [it.until_ms for it in found if it.until_ms is not None]
    return Drain(
        since_ms=min(it.since_ms for it in found),
        queue="end" if any(it.queue == "end" for it in found) else "keep",
        until_ms=min(ends, default=None),
        note=next((it.note for it in found if it.note), ""),
    )
