"""Queues in Redis: what their matchmakers told of them, and questions to these."""

from __future__ import annotations

from typing import Final

import msgspec

from core import keys
from core.insight import QUESTION_MS, QUESTIONS, Figures, WhyNot
from core.redis.batch import Batch
from webapi.sentences import Facts
from webapi.store.tickets import Address

_why: Final = msgspec.json.Decoder(WhyNot)
_figures: Final = msgspec.json.Decoder(Figures)


class Queues:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def ask(self, address: Address) -> WhyNot | str:
        """Why a ticket waits, where that is known; it is asked otherwise, and asking again is fine.

        In place of an answer: `asked`, `full` (too many ask at the same time), `nobody` (no matchmaker works the
        game), or `past`: the ticket does not wait.
        """
        game, ticket = address
        kind, told = await self._batch.call("why_ask", keys.game(game), ticket, QUESTIONS, QUESTION_MS)
        if kind != "told":
            return str(kind)
        try:
            return _why.decode(told)
        except msgspec.DecodeError:  # of another version, during an upgrade
            return "asked"

    async def read(self, game: str, now_ms: int) -> tuple[Facts, Figures | None]:
        """What Redis knows of a queue, and what its matchmaker told last, if that is still worth anything."""
        base = keys.game(game)
        waiting, oldest, lease, told = await self._batch.do_many(
            [
                ("ZCARD", f"{base}:queue"),
                ("ZRANGE", f"{base}:queue", 0, 0, "WITHSCORES"),
                ("HMGET", f"{base}:lease", "owner", "until_ms"),
                ("GET", f"{base}:figures"),
            ]
        )
        owner = str(lease[0]) if lease[0] and int(lease[1]) > now_ms else ""
        oldest_ms = int(oldest[0][1]) if oldest else None
        return Facts(game, waiting, oldest_ms, owner), figures(told)


def figures(told: str | None) -> Figures | None:
    """What a matchmaker told; None where it told nothing that we understand (another version may have)."""
    try:
        return _figures.decode(told) if told else None
    except msgspec.DecodeError:
        return None
