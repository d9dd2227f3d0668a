"""All that is known of a player: told in one call, and taken away in one call."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from core.errors import Conflict, Forbidden, NotFound, TooMany, Unauthorized
from webapi import account_documents as doc
from webapi.context import Call
from webapi.endpoint import ADMINS, EVERYONE, LINES, Table
from webapi.sse import Stream

TABLE: Final = Table("data", keys=False)


@TABLE.route("GET", "/v1/me/data", who=EVERYONE, media=LINES, answer=doc.Known, errors=(NotFound,), bounded=False)
async def own(call: Call) -> web.StreamResponse:
    """All that is known of you, in all games: a line of JSON for each piece."""
    return await _tell(call, call.caller.player)


@TABLE.route("DELETE", "/v1/me", who=EVERYONE, status=202, errors=(NotFound, Conflict, TooMany, Unauthorized))
async def erase_own(call: Call, body: doc.Erasure) -> None:
    """Erase yourself, with your password where you have one. Nobody comes in as you from now on; the rest follows."""
    account = await call.services.accounts.read(call.caller.player)
    if not (account.guest or account.game):
        await call.services.entrance.confirm(account, body.password or "", call.origin, call.now_ms)
    await _erase(call, call.caller.player)


@TABLE.route(
    "GET", "/v1/accounts/{player}/data", who=ADMINS, media=LINES, answer=doc.Known, errors=(NotFound,), bounded=False
)
async def anothers(call: Call) -> web.StreamResponse:
    """All that is known of a player."""
    await call.services.accounts.read(call.path("player"))
    return await _tell(call, call.path("player"))


@TABLE.route("DELETE", "/v1/accounts/{player}", who=ADMINS, status=202, errors=(NotFound, Conflict))
async def erase_anothers(call: Call) -> None:
    """Erase a player. Asked again, it goes on."""
    await _erase(call, call.path("player"))


async def _erase(call: Call, player: str) -> None:
    services = call.services
    account = await services.accounts.read(player)
    if account.role == "admin":
        raise Forbidden("an admin is the operator's: take the name out of the settings first", code="role-fixed")
    if account.role == "developer" and (owned := await services.erasing.owned(player)):
        raise Conflict(f"these games are registered: remove them first: {', '.join(owned[:10])}", code="owns-games")
    await services.erasing.begin(player, call.now_ms)
    services.entrance.audit.tell("user_erased", call.origin, "", player=player, by=call.caller.player)


async def _tell(call: Call, player: str) -> web.StreamResponse:
    with call.services.erasing.telling():
        stream = Stream(call.request, call.services.metrics, LINES)
        call.services.entrance.audit.tell("user_exported", call.origin, "", player=player, by=call.caller.player)
        await stream.open()
        async for part, game, data in call.services.erasing.tell(player):
            await stream.send(msgspec.json.encode(doc.Known(part, data, game or msgspec.UNSET)) + b"\n")
    return stream.response
