"""The protocol as WebSocket text frames, for browsers: the port and the upgrade.

The connection itself is in `websocket_link.py`, which is imported when the first browser arrives: most game
servers never see one, and the library costs more memory than the game.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gamepod.transport.gateway import Gateway
from gamepod.transport.http import HttpServer, serve_http
from gamepod.transport.http_types import Request, Response, plain

if TYPE_CHECKING:
    from gamepod.transport.websocket_link import WebSocketLink

PATH = "/ws"


class GameUpgrade:
    """Joins WebSockets to the gateway; an `Upgrade` for `serve_http`.

    Any origin may connect: game pages are served from anywhere, and the right to join is a personal token in
    the first message, never a cookie that a browser would add for a foreign page.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.refused = 0  # connections over the bound
        self.links: set[WebSocketLink] = set()

    def __call__(self, request: Request) -> asyncio.Protocol:
        from gamepod.transport.websocket_link import WebSocketLink

        return WebSocketLink(self, request)

    def close(self) -> None:
        """Close every connection, flushing what was written."""
        for link in list(self.links):
            link.close()


class WebSocketServer:
    """A listening port that speaks nothing but WebSocket."""

    def __init__(self, http: HttpServer, upgrade: GameUpgrade) -> None:
        self.port = http.port
        self.upgrade = upgrade
        self._http = http

    async def close(self) -> None:
        """Stop listening and close what is open, flushing what was written."""
        await self._http.close()
        self.upgrade.close()


async def serve_websocket(gateway: Gateway, host: str, port: int, *, path: str = PATH) -> WebSocketServer:
    """Offer the gateway over WebSocket at `path` of a port of its own. Raises `OSError` if it is taken."""

    async def only_websockets(request: Request) -> Response:
        return plain(426, "this port speaks WebSocket") if request.path == path else plain(404, "not found")

    upgrade = GameUpgrade(gateway)
    return WebSocketServer(await serve_http(only_websockets, host, port, upgrades={path: upgrade}), upgrade)
