"""The gRPC port: open from the start, and nothing of gRPC is loaded before the first connection.

A game that speaks REST, or nothing, so costs no more for it. What is loaded (`grpc_face`) is 5 MB.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from gamepod.sdk.sdk import Sdk

if TYPE_CHECKING:
    from gamepod.sdk.grpc_face import GrpcFace

log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 16  # a client library opens one, or one per service


class GrpcPort:
    """Make one with `open_grpc`. `port` is the real one, also when 0 was asked for."""

    def __init__(self, sdk: Sdk) -> None:
        self.port = 0
        self._sdk = sdk
        self._face: GrpcFace | None = None
        self._server: asyncio.Server | None = None

    @property
    def used(self) -> bool:
        """Whether gRPC is loaded."""
        return self._face is not None

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._server = await asyncio.get_running_loop().create_server(self._accept, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end every connection and call."""
        if self._server is not None:
            self._server.close()
        if self._face is not None:
            await self._face.close()

    def _accept(self) -> asyncio.BaseProtocol:
        try:
            if self._face is None:
                from gamepod.sdk.grpc_face import GrpcFace

                self._face = GrpcFace(self._sdk)
        except ImportError as error:
            log.error("gRPC is not installed here: install muster[grpc]", extra={"error": str(error)})
            return _Closed()
        return self._face.accept() if self._face.connections < MAX_CONNECTIONS else _Closed()


class _Closed(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
