"""The relay's door: a player's WebSocket to a match. Who may is decided here, and where it leads."""

from __future__ import annotations

from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from core.errors import Conflict, Forbidden, NotFound, TooMany, Unauthorized, Unavailable
from core.jointoken import verify
from webapi.context import Call
from webapi.endpoint import Table
from webapi.records import Joining
from webapi.relay.choice import choose, offered
from webapi.relay.relay import Target

TABLE: Final = Table("relay")
PATH: Final = "/v1/matches/{game}/{match}/ws"
ARENA_PATH: Final = "/ws"


class Way(Struct, frozen=True, forbid_unknown_fields=True):
    """Which way into the match."""

    port: Annotated[str, Meta(min_length=1, max_length=64)] | None = (
        None  # its name; the first WebSocket, else TCP port
    )
    # Of the server's WebSocket; by default /ws for the arena and / for others.
    path: Annotated[str, Meta(pattern=r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,255}(?!\n)$")] | None = None
    token: str | None = None  # a join token, for clients that can send neither headers nor subprotocols


@TABLE.route(
    "GET", PATH, known=False, status=101, answer=None, bounded=False,
    errors=(NotFound, Conflict, Unauthorized, Forbidden, TooMany, Unavailable),
    header=("Sec-WebSocket-Protocol", "muster.v1, and muster.token. followed by an access token or a join token"),
)  # fmt: skip
async def relay(call: Call, query: Way) -> web.StreamResponse:
    """A WebSocket to the match's server, for its players alone.

    The token is an access token or a join token: in `Authorization: Bearer`, or in a subprotocol. A WebSocket of the
    server gets the frames as they are; its TCP port gets the bytes of binary messages.
    """
    token, protocols = offered(call.request.headers.get("Sec-WebSocket-Protocol", ""))
    player = await _who(call, token, query.token)
    how, is_arena = await _way_in(call, player)
    port = choose(how.connection, query.port)
    path = query.path or (ARENA_PATH if is_arena else "/")
    target = Target(how.connection.address, port.port, path, protocols, call.origin.address)
    with call.services.relay.admitted(player):
        if port.protocol == "ws":
            return await call.services.relay.splice(call.request, target)
        return await call.services.relay.carry(call.request, target)


async def _who(call: Call, offered_token: str, query_token: str | None) -> str:
    """Id of the player that the token is of. Raises Unauthorized."""
    scheme, _, bearer = call.request.headers.get("Authorization", "").partition(" ")
    token = (bearer.strip() if scheme.lower() == "bearer" else "") or offered_token
    if not token and query_token is None:
        raise Unauthorized("this needs an access token or a join token of the match", code="token-missing")
    try:
        return await _joins(call, token or query_token or "")
    except Unauthorized as error:
        # Addresses are written to logs on the way: only what is good for one match and minutes may stand in them.
        if not token or error.code != "join-forged":
            raise
    return (await call.services.entrance.caller(token, call.now_ms)).player


async def _joins(call: Call, token: str) -> str:
    """Whose join token it is, under the match's key or, where its server was there before it, the server's."""
    keyring, match, now_s = call.services.keyring, call.path("match"), call.now_ms / 1000
    try:
        return verify(keyring.match_keys(match), token, match, now_s).player
    except Unauthorized as error:
        server = (
            await call.services.matches.server_name(call.path("game"), match) if error.code == "join-forged" else ""
        )
        if not server:
            raise
    return verify(keyring.match_keys(server), token, match, now_s).player


async def _way_in(call: Call, player: str) -> tuple[Joining, bool]:
    """How the player joins, and whether it is an arena. Raises NotFound: others' matches are not his business."""
    found = await call.services.matches.way_in(call.path("game"), call.path("match"), player)
    if found is None:
        raise NotFound("you have no seat in such a match, or it is not running", code="no-such-match")
    return found
