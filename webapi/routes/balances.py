"""The balance document of a game: prices, times, whatever its rules look up. Versioned, read by every client."""

from __future__ import annotations

import base64
from typing import Final

import msgspec

from core import packstore
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.outbound import signing_key
from core.packs import BALANCE_BYTES
from webapi import command_documents as doc
from webapi.context import Call
from webapi.endpoint import DEVELOPERS, Table

TABLE: Final = Table("balance")


@TABLE.route("GET", "/v1/games/{game}/balance", errors=(NotFound,))
async def read(call: Call) -> doc.Balance:
    """The balance that runs, with its version, which packs name."""
    game = call.path("game")
    await call.services.games.recent(game, call.now_ms)
    version, kept = await call.services.packs.balances(game, call.now_ms)
    return doc.Balance(game, version, msgspec.json.decode(kept.get(version, "{}")))


@TABLE.route("PUT", "/v1/games/{game}/balance", who=DEVELOPERS, errors=(NotFound, Conflict, Forbidden))
async def change(call: Call, body: doc.NewBalance) -> doc.Balance:
    """Replace the balance. Clients may work with the one before for an hour: their packs are executed with it."""
    game = await _own(call)
    try:
        text = msgspec.json.encode(body.document)
    except RecursionError:
        raise Invalid("the document is nested too deeply", pointer="/document") from None
    if len(text) > BALANCE_BYTES:
        raise Invalid(f"a balance has at most {BALANCE_BYTES} bytes", pointer="/document")
    written, version = await packstore.put_balance(call.services.batch, game, body.after, text)
    if not written:
        raise Conflict(f"version {version} runs, not {body.after}: read it again", code="balance-changed")
    return doc.Balance(game, version, body.document)


@TABLE.route("GET", "/v1/games/{game}/commands/key", who=DEVELOPERS, errors=(NotFound, Forbidden))
async def key(call: Call) -> doc.HandlerKey:
    """The key by which the game's URL knows that a call is Muster's."""
    game = await _own(call)
    found = signing_key(call.services.secret, f"commands:{game}")
    return doc.HandlerKey(game, base64.b64encode(found).decode())


async def _own(call: Call) -> str:
    game = call.path("game")
    await call.services.games.recent(game, call.now_ms)
    if not await call.is_insider(game):
        raise Forbidden(f"the game {game!r} is another developer's", code="not-yours")
    return game
