"""Feeds of games and their webhooks in Redis."""

from __future__ import annotations

import os
from typing import Final

import msgspec

from core import events, keys
from core.errors import NotFound
from core.redis.batch import Batch
from core.webhook import DEAD_MOST, Dead

FEED_PAGE: Final = 500  # events read at once
SALT_BYTES: Final = 8

_dead: Final = msgspec.json.Decoder(Dead)


class Hooks:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def put(self, game: str, url: str) -> str:
        """Set the URL; returns the salt of the new key. Raises NotFound where the game is gone."""
        salt = os.urandom(SALT_BYTES).hex()
        if not await self._batch.call("hook_put", keys.game(game), url, salt):
            raise NotFound(f"there is no game {game!r}", code="no-such-game")
        return salt

    async def read(self, game: str) -> tuple[dict[str, str], int]:
        """The webhook's fields (`core.keys`), and how many deliveries were given up. Raises NotFound."""
        base = keys.game(game)
        hook, dead = await self._batch.do_many([("HGETALL", f"{base}:hook"), ("HLEN", f"{base}:hook:dead")])
        if "url" not in hook:
            raise NotFound("this game has no webhook", code="no-webhook")
        return hook, dead

    async def remove(self, game: str) -> None:
        """Forget the webhook, and what waits for it."""
        base = keys.game(game)
        names = (f"{base}:hook", f"{base}:hook:dead", f"{base}:hook:order", f"{base}:hook:again")
        await self._batch.do("DEL", *names)

    async def dead(self, game: str) -> list[Dead]:
        """Deliveries that were given up, the oldest first."""
        base = keys.game(game)
        ids = await self._batch.do("ZRANGE", f"{base}:hook:order", 0, DEAD_MOST - 1)
        texts = await self._batch.do("HMGET", f"{base}:hook:dead", *ids) if ids else []
        return [_dead.decode(text) for text in texts if text is not None]

    async def again(self, game: str, ids: list[str]) -> int:
        """Have deliveries made once more, all where none is named; how many those are."""
        return int(await self._batch.call("hook_again", keys.game(game), DEAD_MOST, *ids))

    async def feed(self, game: str, after: str) -> list[tuple[str, str]]:
        """The next events of a game's feed, as (place, JSON)."""
        found = await self._batch.do("XRANGE", f"{keys.game(game)}:feed", f"({after}", "+", "COUNT", FEED_PAGE)
        return [(place, fields["e"]) for place, fields in events.entries(found)]

    async def newest(self, game: str) -> str:
        """The last place in a game's feed."""
        found = await self._batch.do("XREVRANGE", f"{keys.game(game)}:feed", "+", "-", "COUNT", 1)
        return events.entries(found)[0][0] if found else "0-0"
