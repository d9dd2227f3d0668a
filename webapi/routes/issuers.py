"""A game may bring its own login: an issuer of tokens that it trusts, and players who come with such a token."""

from __future__ import annotations

from typing import Final

from core.errors import Forbidden, NotFound, TooMany, Unauthorized
from webapi.account_documents import Issuer, OutsideToken
from webapi.context import Call
from webapi.documents import Session
from webapi.endpoint import DEVELOPERS, Table

TABLE: Final = Table("issuers")


@TABLE.route("PUT", "/v1/games/{game}/issuer", who=DEVELOPERS, errors=(NotFound,))
async def trust(call: Call, body: Issuer) -> Issuer:
    """Let an issuer of your own say who the players of your game are. It takes the place of the one before."""
    await call.services.outside.trust(await _own(call), body)
    return body


@TABLE.route("GET", "/v1/games/{game}/issuer", who=DEVELOPERS, errors=(NotFound,))
async def trusted(call: Call) -> Issuer:
    """The issuer of your game."""
    return await call.services.outside.trusted(await _own(call))


@TABLE.route("DELETE", "/v1/games/{game}/issuer", who=DEVELOPERS, status=204, errors=(NotFound,))
async def trust_nobody(call: Call) -> None:
    """Let nobody from outside in any more. Sessions that are open go on until they end."""
    await call.services.outside.trust_nobody(await _own(call))


@TABLE.route("POST", "/v1/games/{game}/login", known=False, errors=(Unauthorized, NotFound, TooMany))
async def login(call: Call, body: OutsideToken) -> Session:
    """A session for a token of the game's own issuer: the same subject is the same player, of this game alone."""
    game = await call.services.games.recent(call.path("game"), call.now_ms)
    call.headers["Cache-Control"] = "no-store"
    return await call.services.entrance.from_outside(
        game.id, body.token, call.services.outside, call.origin, call.now_ms
    )


async def _own(call: Call) -> str:
    game = await call.services.games.recent(call.path("game"), call.now_ms)
    if not await call.is_insider(game.id):
        raise Forbidden(f"the game {game.id!r} is another developer's", code="not-yours")
    return game.id
