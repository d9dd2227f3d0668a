"""Registrations of games in Redis."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from core import keys
from core.errors import Conflict, NotFound, TooMany
from core.model import Game, GameSpec
from core.redis.batch import Batch
from core.redis.client import function_call
from core.versions import VERSIONS_KEPT
from webapi.problems import PreconditionFailed
from webapi.records import game_decoder

GAMES_MOST: Final = 10_000  # of an installation
LISTED_MOST: Final = 1000
REMEMBERED_MS: Final = 1000  # how late a replica sees another's change where it creates tickets
REMEMBERED_MOST: Final = 1000


class Games:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._remembered: OrderedDict[str, tuple[int, Game]] = OrderedDict()

    async def read(self, game: str) -> Game:
        """A registration. Raises NotFound."""
        found = await self._batch.do("GET", keys.registration(game))
        if found is None:
            raise NotFound(f"there is no game {game!r}", code="no-such-game")
        return game_decoder.decode(found)

    async def recent(self, game: str, now_ms: int) -> Game:
        """As `read`, but up to a second old: what decides in the end is checked in Redis anyway."""
        known = self._remembered.get(game)
        if known is not None and now_ms - known[0] < REMEMBERED_MS:
            return known[1]
        self._remembered.pop(game, None)
        found = await self.read(game)
        if len(self._remembered) >= REMEMBERED_MOST:
            self._remembered.popitem(last=False)
        self._remembered[game] = (now_ms, found)
        return found

    async def every(self) -> list[Game]:
        """All registrations by id; the first `LISTED_MOST`."""
        ids = sorted(await self._batch.do("SMEMBERS", keys.GAMES))[:LISTED_MOST]
        found = await self._batch.do_many([("GET", keys.registration(game)) for game in ids])
        return [game_decoder.decode(text) for text in found if text is not None]

    async def add(self, game: str, owner: str, spec: GameSpec, now_ms: int, *, anybodys: bool = False) -> Game:
        """Register a game. Raises Conflict where the id is taken, TooMany.

        An id stays its first owner's when the game is removed: boards, items and logs are still there, and are nobody
        else's to read. `anybodys` passes over that.
        """
        if await self._batch.do("SCARD", keys.GAMES) >= GAMES_MOST:
            raise TooMany(f"this installation has {GAMES_MOST} games", retry_after_s=3600, code="too-many-games")
        claim = keys.game_owner(game)
        _, first = await self._batch.do_many([("SET", claim, owner, "NX"), ("GET", claim)])
        taken = Conflict(f"there is a game {game!r} already", code="game-exists")
        if first != owner and not anybodys:
            if await self._batch.do("EXISTS", keys.registration(game)):
                raise taken
            raise Conflict(
                f"the id {game!r} was another developer's, whose boards and items are kept: choose another one",
                code="game-id-kept",
            )
        made = Game(game, owner, 1, now_ms, now_ms, spec)
        if not await self._put(made, 0, ""):
            raise taken
        return made

    async def change(self, old: Game, spec: GameSpec, now_ms: int, *, instead: str = "") -> Game:
        """The next version of a game. `instead` tells why a canary ends by it.

        Raises PreconditionFailed where somebody else was faster, and Conflict where a canary is tried and may not end.
        """
        made = Game(old.id, old.owner, await self.next_version(old), old.created_ms, now_ms, spec)
        if not await self._put(made, old.version, instead):
            raise changed_meanwhile(old.id)
        return made

    async def next_version(self, game: Game) -> int:
        """The number of the version after all there were."""
        newest = await self._batch.do("HGET", keys.versions(game.id), "newest")
        return max(int(newest or 0), game.version) + 1

    def forget(self, game: str) -> None:
        """It is not as it was."""
        self._remembered.pop(game, None)

    async def remove(self, game: str) -> None:
        """Forget a game. Raises Conflict while anybody waits for it or plays it."""
        reply = await self._batch.call("game_remove", keys.game(game))
        if reply[0] != "ok":
            raise Conflict(
                f"{reply[1]} tickets wait for this game and {reply[2]} matches are live: stop accepting tickets, "
                "and remove it when they are over",
                code="game-busy",
            )
        self._remembered.pop(game, None)
        await self._batch.do("SREM", keys.GAMES, game)
        await self._batch.do("HDEL", keys.DRAINS, game)
        if await self._batch.do("EXISTS", keys.registration(game)):
            await self._batch.do("SADD", keys.GAMES, game)  # registered anew in between

    async def _put(self, game: Game, expected: int, instead: str) -> bool:
        text = msgspec.json.encode(game)
        put = function_call("game_put", keys.game(game.id), expected, text, VERSIONS_KEPT, game.updated_ms, instead)
        # Listed before it exists: a crash leaves a listed nothing, which readers skip, and no hidden game.
        # And again after it: a removal under way may have taken the first one out.
        await self._batch.do_many([("SADD", key, game.id) for key in (keys.GAMES, keys.GAMES_EVER)])
        reply = (await self._batch.do_many([put]))[0]
        await self._batch.do("SADD", keys.GAMES, game.id)
        self.forget(game.id)
        if reply[0] == "canary":
            raise canary_tried(reply[1])
        return bool(reply[0] == "ok")


def changed_meanwhile(game: str) -> PreconditionFailed:
    """Somebody else was faster."""
    return PreconditionFailed(f"the game {game!r} has changed meanwhile: read it again")


def canary_tried(version: int) -> Conflict:
    """There is a canary, and one at a time."""
    return Conflict(f"version {version} is tried as a canary: promote or abort it first", code="canary-tried")
