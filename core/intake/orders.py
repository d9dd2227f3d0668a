"""Matches that an outside matchmaker made: each becomes a match of ours, once, and is started as a claim is.

The match is written with one ticket for all its players (core/redis/lua/match_order.lua), and the doorbell rings:
whoever works the game starts its server, or gives it one that stands ready. A match whose ring was lost is looked at.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import msgspec

from core import keys
from core.clock import new_id, now_ms
from core.doorbell import Doorbell
from core.drain import applying, read_orders
from core.errors import Invalid, MusterError, Refused, Unavailable
from core.intake.link import Link, Taken
from core.intake.matches import NotFit, digest_of, match_of
from core.intake.messages import Order, read_order
from core.log import get
from core.model import Game, TicketPlayer
from core.redis.client import Database
from core.sinks.rabbitmq import ORIGIN
from core.stored import Stored
from core.stored_versions import CANARY_FIELDS, as_mapping, read_canary
from core.versions import is_candidates

AGAIN_S: Final = 0.5  # while Redis is away, or the game has no room
COUNTED_MS: Final = 60_000  # a count of a developer's servers that nobody renews is of a game that is gone
OWN: Final = ".muster"  # of the queue that Muster's own events are passed on to
log = get("intake.orders")
_game: Final = Stored(Game)


class NoRoom(Refused):
    """The game has as many servers as it may."""


class Orders:
    """Works one link (`core.intake.link.Work`)."""

    def __init__(self, db: Database, bell: Doorbell, room_s: float, developer_servers: int) -> None:
        self._db, self._bell, self._room_s, self._developer_servers = db, bell, room_s, developer_servers

    async def __call__(self, link: Link) -> None:
        """Until the link is lost. Raises Unavailable. What waits for room holds up no other match."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                tasks |= {asyncio.create_task(self._one(link, taken)) for taken in link.take()}
                rung = asyncio.create_task(link.rung.wait())
                await asyncio.wait({rung, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                rung.cancel()
                for task in [task for task in tasks if task.done()]:
                    tasks.discard(task)
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, link: Link, taken: Taken) -> None:
        if taken.app == ORIGIN:
            await link.pass_on(taken, link.name + OWN)
            return
        try:
            order = read_order(taken.body, taken.id)
            match = await self._made(order)
        except Invalid as error:
            await link.dead(taken, error.code, error.detail)
        except Refused as error:
            await link.dead(taken, "no-room" if isinstance(error, NoRoom) else error.code, error.detail)
        else:
            log.info("a match was ordered", game=order.game, order=order.id, match=match)
            await link.done(taken)

    async def _made(self, order: Order) -> str:
        """Order it until Redis answers and there is room; its id. Raises Refused."""
        until = time.monotonic() + self._room_s
        while True:
            try:
                return await self._order(order)
            except NoRoom:
                if time.monotonic() >= until:
                    raise
            except Unavailable as error:
                log.warning("Redis is away; an order waits", order=order.id, error=error.detail)
                until = time.monotonic() + self._room_s
            await asyncio.sleep(AGAIN_S)

    async def _order(self, order: Order) -> str:
        """Make the match, once. Raises Refused with a code of REASONS, Unavailable."""
        match, ticket, now = new_id("match"), new_id("ticket"), now_ms()
        game = await self._version(order.game, match)
        names = await self._names(order)
        document = match_of(game, order, names, match, ticket, now)
        seats = [TicketPlayer(player.id, player.name) for player in document.players]
        most = game.spec.limits.servers
        if self._developer_servers:
            most = min(most, self._developer_servers - await self._others(game, now))
        found, what, *more = await self._db.call(
            "match_order", keys.game(game.id), now, most, order.id, digest_of(order), match,
            msgspec.json.encode(document), ticket, msgspec.json.encode(seats), *(seat.id for seat in seats),
        )  # fmt: skip
        if found == "ok":
            self._bell.ring("match", [game.id])
            self._bell.ring("ticket", [ticket])
        elif found != "known":
            raise _refused(found, what, more)
        return str(what)

    async def _version(self, name: str, match: str) -> Game:
        """The registration that a new match gets. Raises NotFit."""
        text, row, drains = await self._db.do_many(
            [
                ("GET", keys.registration(name)),
                ("HMGET", f"{keys.game(name)}:canary", *CANARY_FIELDS),
                ("HGETALL", keys.DRAINS),
            ]
        )
        if text is None:
            raise NotFit("no such game is registered", code="unknown-game")
        if (drain := applying(read_orders(as_mapping(drains)), name)) is not None:
            raise NotFit(f"the game makes no new matches, it is drained: {drain.note}", code="game-closed")
        try:
            game = _game.decode(text)
            canary = read_canary(row)
        except msgspec.DecodeError as error:
            raise NotFit(f"the game's registration cannot be read: {error}", code="game-closed") from None
        return canary.game if canary is not None and is_candidates(match, canary.percent) else game

    async def _names(self, order: Order) -> dict[str, str]:
        """Names of the accounts. Raises NotFit where one has none."""
        asked = [("HMGET", keys.account(player.id), "name", "erased_ms") for player in order.players]
        names = {}
        for player, (name, erased) in zip(order.players, await self._db.do_many(asked), strict=True):
            if name is None or erased:
                raise NotFit(f"{player.id!r} has no account", code="unknown-player")
            names[player.id] = name
        return names

    async def _others(self, game: Game, now: int) -> int:
        """Servers of the developer's other games, as their matchmaker counted them last."""
        told = as_mapping(await self._db.do("HGETALL", keys.developer(game.owner)))
        counts = (map(int, text.split()) for name, text in told.items() if name != game.id)
        return sum(count for count, at_ms in counts if now - at_ms < COUNTED_MS)


def _refused(found: str, what: Any, more: list[Any]) -> MusterError:
    if found == "full":
        return NoRoom(f"the game has {what} servers, and may have no more")
    if found == "busy":
        return NotFit(f"{what!r} waits already, or plays: {more[0]}", code="player-busy")
    if found == "other":
        return NotFit(f"match {what} of other players or teams was made by this id", code="other-match")
    return NotFit("the game takes no players", code="game-closed")
