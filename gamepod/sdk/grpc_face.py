"""The sidecar over gRPC, by grpclib: HTTP/2 on our own loop, a fraction of what the C library needs.

Imported with the first connection only (`grpc_port`). Messages and what waits unread are bounded, as bodies over REST.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import h2.config
from grpclib.config import Configuration
from grpclib.const import Cardinality, Status
from grpclib.const import Handler as Method
from grpclib.encoding.proto import ProtoCodec
from grpclib.events import _DispatchServerEvents
from grpclib.exceptions import GRPCError
from grpclib.protocol import Buffer, H2Protocol
from grpclib.protocol import Stream as Http2Stream
from grpclib.server import Handler, Stream

from gamepod.sdk.answers import CallRefused
from gamepod.sdk.grpc_calls import CALLS, WATCH, Call, server_message
from gamepod.sdk.proto.sdk_pb2 import Empty, GameServer
from gamepod.sdk.rest import LIMITS
from gamepod.sdk.sdk import Sdk

MAX_MESSAGE_BYTES: Final = LIMITS.max_body_bytes
WINDOW_BYTES: Final = 65_535  # unread of a connection: HTTP/2's least
SERVICE: Final = "/agones.dev.sdk.SDK/"
_H2: Final = h2.config.H2Configuration(client_side=False, header_encoding="ascii")


class GrpcFace:
    """Makes the connections of the port."""

    def __init__(self, sdk: Sdk) -> None:
        logging.getLogger("grpclib").setLevel(logging.WARNING)  # that a watcher has gone is nothing to tell
        self._open: set[_Connection] = set()
        self._config = Configuration(
            http2_connection_window_size=WINDOW_BYTES, http2_stream_window_size=WINDOW_BYTES
        ).__for_server__()
        self._methods = {path: Method(_unary(sdk, call), *_types(call)) for path, call in CALLS.items()}
        self._methods[f"{SERVICE}Health"] = Method(partial(_health, sdk), Cardinality.STREAM_UNARY, Empty, Empty)
        self._methods[WATCH] = Method(partial(_watch, sdk), Cardinality.UNARY_STREAM, Empty, GameServer)

    @property
    def connections(self) -> int:
        return len(self._open)

    def accept(self) -> asyncio.Protocol:
        """The protocol of one connection."""
        calls = _BoundedCalls(self._methods, ProtoCodec(), None, _DispatchServerEvents())
        return _Connection(self._open, calls, self._config)

    async def close(self) -> None:
        """End every connection and call."""
        for connection in list(self._open):
            connection.processor.close("the server ends")
            await connection.calls.wait_closed()


class _Connection(H2Protocol):
    def __init__(self, held: set[_Connection], calls: _BoundedCalls, config: Configuration) -> None:
        super().__init__(calls, config, _H2)
        self.calls, self._held = calls, held

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._held.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._held.discard(self)
        super().connection_lost(exc)


class _BoundedBuffer(Buffer):
    """Refuses a message by its announced length, before any of it is taken in."""

    async def read(self, size: int) -> bytes:
        if size > MAX_MESSAGE_BYTES:
            raise GRPCError(Status.RESOURCE_EXHAUSTED, f"a message may have {MAX_MESSAGE_BYTES} bytes")
        return await super().read(size)


class _BoundedCalls(Handler):
    def accept(self, stream: Http2Stream, headers: Any, release_stream: Callable[[], Any]) -> None:
        stream.buffer = _BoundedBuffer(partial(stream.connection.ack, stream.id or 0))
        super().accept(stream, headers, release_stream)


def _types(call: Call) -> tuple[Cardinality, Any, Any]:
    return Cardinality.UNARY_UNARY, call.request, call.reply


def _unary(sdk: Sdk, call: Call) -> Callable[[Stream[Any, Any]], Awaitable[None]]:
    async def answer(stream: Stream[Any, Any]) -> None:
        request = await stream.recv_message()
        if request is None:
            raise GRPCError(Status.INVALID_ARGUMENT, "a message is missing")
        try:
            reply = call.answer(sdk, request)
        except CallRefused as refused:
            raise GRPCError(Status(refused.kind[0]), refused.message) from None
        await stream.send_message(reply)

    return answer


async def _health(sdk: Sdk, stream: Stream[Any, Any]) -> None:
    async for _ in stream:
        sdk.health()
    await stream.send_message(Empty())


async def _watch(sdk: Sdk, stream: Stream[Any, Any]) -> None:
    await stream.recv_message()
    async for document in sdk.watch():
        await stream.send_message(server_message(document))
