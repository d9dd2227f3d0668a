"""Drains: a game, or the whole installation, makes no new match, and runs empty. docs/upgrading.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, UnsetType

from core.drain import EVERYTHING, Drain, applying
from core.errors import Forbidden, NotFound
from webapi import drain_documents as doc
from webapi.context import Call
from webapi.endpoint import ADMINS, DEVELOPERS, Table
from webapi.records import iso
from webapi.store.drains import Left

TABLE: Final = Table("drain")

SHOWN_MOST: Final = 1000  # games
# Nothing counts as done before: a matchmaker that stalled may make a match until its lease (3 s) is over.
SETTLED_MS: Final = 5000
OF_GAME: Final = "/v1/games/{game}/drain"


@TABLE.route("GET", "/v1/drain", who=ADMINS)
async def read(call: Call) -> doc.InstallationDrain:
    """Whether the installation is drained, and what is left of it."""
    return await _everything(call)


@TABLE.route("PUT", "/v1/drain", who=ADMINS)
async def put(call: Call, body: doc.NewDrain) -> doc.InstallationDrain:
    """Let no game make a new match. Within a second of the answer none does; matches that were made go on."""
    await call.services.drains.put(EVERYTHING, _order(call, body))
    return await _everything(call)


@TABLE.route("DELETE", "/v1/drain", who=ADMINS)
async def take_back(call: Call) -> doc.InstallationDrain:
    """Make matches again, but in games that are drained by an order of their own. The same again is fine."""
    await call.services.drains.remove(EVERYTHING)
    return await _everything(call)


@TABLE.route("GET", OF_GAME, who=DEVELOPERS, errors=(NotFound, Forbidden))
async def read_game(call: Call) -> doc.GameDrain:
    """Whether a game is drained, and what is left of it."""
    return await _game(call, await _own(call))


@TABLE.route("PUT", OF_GAME, who=DEVELOPERS, errors=(NotFound, Forbidden))
async def put_game(call: Call, body: doc.NewDrain) -> doc.GameDrain:
    """Let a game make no new match, as `PUT /v1/drain` does for all."""
    game = await _own(call)
    await call.services.drains.put(game, _order(call, body))
    return await _game(call, game)


@TABLE.route("DELETE", OF_GAME, who=DEVELOPERS, errors=(NotFound, Forbidden))
async def take_back_game(call: Call) -> doc.GameDrain:
    """Let a game make matches again, unless the installation is drained. The same again is fine."""
    game = await _own(call)
    await call.services.drains.remove(game)
    return await _game(call, game)


def _order(call: Call, body: doc.NewDrain) -> Drain:
    until_ms = None if body.deadline_s is None else call.now_ms + int(body.deadline_s * 1000)
    return Drain(call.now_ms, body.queue, until_ms, body.note)


async def _own(call: Call) -> str:
    game = await call.services.games.read(call.path("game"))
    if not await call.is_insider(game.id):
        raise Forbidden(f"the game {game.id!r} is another developer's", code="not-yours")
    return game.id


async def _game(call: Call, game: str) -> doc.GameDrain:
    orders = await call.services.drains.orders()
    return _state((await call.services.drains.left([game]))[0], orders, call.now_ms)


async def _everything(call: Call) -> doc.InstallationDrain:
    drains = call.services.drains
    orders = await drains.orders()
    states = [_state(it, orders, call.now_ms) for it in await drains.left(await drains.games())]
    shown = [it for it in states if it.game in orders or it.waiting_tickets or it.live_matches or it.idle_servers]
    return doc.InstallationDrain(
        sum(it.waiting_tickets for it in states),
        sum(it.live_matches for it in states),
        sum(it.idle_servers for it in states),
        EVERYTHING in orders and _settled(orders[EVERYTHING], call.now_ms) and all(it.done for it in states),
        shown[:SHOWN_MOST],
        _shown(orders.get(EVERYTHING)),
    )


def _state(left: Left, orders: Mapping[str, Drain], now_ms: int) -> doc.GameDrain:
    order = applying(orders, left.game)
    settled = order is not None and _settled(order, now_ms)
    empty = not (left.live or left.idle or (left.waiting and order is not None and order.queue == "end"))
    return doc.GameDrain(
        left.game, EVERYTHING in orders, left.waiting, left.live, left.idle, settled and empty, _shown(order)
    )


def _settled(order: Drain, now_ms: int) -> bool:
    return now_ms - order.since_ms >= SETTLED_MS


def _shown(order: Drain | None) -> doc.DrainOrder | UnsetType:
    if order is None:
        return UNSET
    until = UNSET if order.until_ms is None else iso(order.until_ms)
    return doc.DrainOrder(iso(order.since_ms), order.queue, order.note, until)
