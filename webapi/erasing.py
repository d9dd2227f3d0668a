"""Erasing a player, and telling all that is known of one.

**Erasing** is a tombstone first, then pieces. The player is put on the list of those to be erased, and the account
gives way to a tombstone that keeps every login, refresh and write out: from then on nobody comes in. Then the pieces
go, one after another (`webapi.store.personal`). Each may be done twice; a worker of any replica claims who is due, and
another one goes on after `LEASE_MS` where it died. What a match that still runs writes of the player afterwards, and
what ends by itself within a day, is looked after once more when the longest match is over (`LATE_MS`): then every key
that has the player's id in its name goes, whoever wrote it, and at last the tombstone and the place on the list.

**Telling** reads piece by piece and keeps none.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

from core import keys
from core.clock import now_ms
from core.errors import MusterError, Unavailable
from core.log import get
from core.redis.client import Database
from webapi.names import fold
from webapi.store.accounts import Accounts
from webapi.store.personal import INSTALLATION, OF_A_GAME, Stores

log = get("erasing")

EVERY_S: Final = 5.0
CLAIMED_MOST: Final = 8
LEASE_MS: Final = 600_000
LATE_MS: Final = 26 * 3_600_000  # the longest match lasts 24 h; so do views
EXPORTS: Final = 4  # told at once by this replica
SCAN_COUNT: Final = 500  # keys looked at in one step of Redis
PAUSE_EVERY: Final = 5_000  # keys between two pauses
PAUSE_S: Final = 0.01

_PLAYER: Final = re.compile(r"p-[0-9a-hjkmnp-tv-z]{26}")
_OWNER: Final = re.compile(r"muster:\{([a-z0-9-]+)\}:owner")


class Erasing:
    """See the module. `run` is its loop."""

    def __init__(self, db: Database, accounts: Accounts, stores: Stores) -> None:
        self._db = db
        self._accounts = accounts
        self._stores = stores
        self._telling = 0

    async def begin(self, player: str, at_ms: int) -> None:
        """Erase a player: when this returns nobody comes in as him, and the rest follows. Raises Unavailable.

        Stopped in the middle, whoever finds the player on the list goes on.
        """
        await self._stores.batch.do("ZADD", keys.ERASING, at_ms, player)
        await self._close_doors(player, at_ms)

    async def owned(self, player: str) -> list[str]:
        """Games that the player has registered, who cannot be erased while they are there."""
        batch = self._stores.batch
        games = sorted(await batch.do("SMEMBERS", keys.GAMES))
        owners = await batch.do_many([("GET", keys.game_owner(game)) for game in games])
        own = [game for game, owner in zip(games, owners, strict=True) if owner == player]
        there = await batch.do_many([("EXISTS", keys.registration(game)) for game in own])
        return [game for game, is_there in zip(own, there, strict=True) if is_there]

    async def tell(self, player: str) -> AsyncIterator[tuple[str, str, Any]]:
        """(part, game or '', what is known) for all that is known of a player. Raises Unavailable."""
        for piece in INSTALLATION:
            async for part, data in piece.tell(self._stores, "", player):
                yield part, "", data
        for game in await self._games():
            for piece in OF_A_GAME:
                async for part, data in piece.tell(self._stores, game, player):
                    yield part, game, data

    @contextmanager
    def telling(self) -> Iterator[None]:
        """A place among those that are told at once. Raises Unavailable."""
        if self._telling >= EXPORTS:
            raise Unavailable("others are being told what is known of them: try again", code="busy")
        self._telling += 1
        try:
            yield
        finally:
            self._telling -= 1

    async def run(self) -> None:
        """Work for ever. What fails is tried again."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.work(now_ms())
            except MusterError as error:
                log.warning("erasing goes on later", error=error.detail)

    async def work(self, at_ms: int) -> int:
        """Go on with whoever is due; how many were. Raises Unavailable."""
        players = await self._stores.batch.call("erasing_claim", keys.ERASING, at_ms, LEASE_MS, CLAIMED_MOST)
        late: list[str] = []
        for player in players:
            since_ms = await self._erase(player, at_ms)
            if at_ms - since_ms >= LATE_MS:
                late.append(player)
            else:
                await self._stores.batch.do("ZADD", keys.ERASING, since_ms + LATE_MS, player)
        if late:
            await self._sweep(late)
        return len(players)

    async def _erase(self, player: str, at_ms: int) -> int:
        since_ms = await self._close_doors(player, at_ms)
        for piece in INSTALLATION:
            await piece.erase(self._stores, "", player)
        await self._erase_in(await self._games(), player)
        return since_ms

    async def _erase_in(self, games: list[str], player: str) -> None:
        for game in games:
            for piece in OF_A_GAME:
                await piece.erase(self._stores, game, player)

    async def _close_doors(self, player: str, at_ms: int) -> int:
        """Put the tombstone, and close every way in. Returns since when it stands, ms."""
        batch = self._stores.batch
        since_ms, name, claim, outside = await batch.call("account_erase", keys.account(player), at_ms)
        await self._accounts.sessions.revoke_all(player)
        for folded in {fold(name), claim} - {""}:
            if await batch.call("login_erase", keys.login(folded), player):
                await batch.do("DEL", keys.known_places(folded))
        if outside:
            await batch.do("DEL", keys.outside(outside))
        await batch.do("DEL", keys.api_keys(player))
        return int(since_ms)

    async def _games(self) -> list[str]:
        """All games that there are, and that there were: boards and items of a removed one stay."""
        there, ever = await self._stores.batch.do_many([("SMEMBERS", keys.GAMES), ("SMEMBERS", keys.GAMES_EVER)])
        return sorted({*there, *ever})

    async def _sweep(self, players: list[str]) -> None:
        """Look at the names of all keys: remove the players' own, and forget them in games that nobody lists."""
        own: list[str] = []
        games: set[str] = set()
        wanted, seen = set(players), 0
        async for key in self._db.scan("muster:*", SCAN_COUNT):
            seen += 1
            if seen % PAUSE_EVERY == 0:
                await asyncio.sleep(PAUSE_S)
            if not wanted.isdisjoint(_PLAYER.findall(key)):
                own.append(key)
            elif (found := _OWNER.fullmatch(key)) is not None:
                games.add(found[1])
        unlisted = sorted(games.difference(await self._games()))
        for player in players:
            await self._erase_in(unlisted, player)
        tombs = {keys.account(player) for player in players}
        await self._stores.batch.do_many([("UNLINK", key) for key in own if key not in tombs])
        for player in players:
            await self._stores.batch.do("DEL", keys.account(player))
            await self._stores.batch.do("ZREM", keys.ERASING, player)
        log.info("players erased", players=len(players), keys=len(own))
