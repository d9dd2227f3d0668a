"""Server-sent events, as the WHATWG HTML standard tells: the bytes, and writing them to a reader who may be slow."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from webapi.metrics import Metrics

WRITE_S: Final = 10.0  # a reader who has not taken what the socket holds by then is cut off
HEARTBEAT: Final = b": still here\n\n"
RETRY_MS: Final = 1000  # when a browser comes back after a broken stream


def event(name: str, data: bytes, seq: int | str | None = None) -> bytes:
    """One event; `data` is one line (JSON is)."""
    head = f"id: {seq}\n" if seq is not None else ""
    return f"{head}event: {name}\ndata: ".encode() + data + b"\n\n"


def last_event_id(request: web.Request) -> int:
    """The seq that the reader saw last; 0 where it says none, or nonsense (it then gets everything)."""
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


class Stream:
    """An open stream to one reader, who may be slow."""

    def __init__(self, request: web.Request, metrics: Metrics, media: str) -> None:
        self._request = request
        self._metrics = metrics
        self.response = web.StreamResponse(
            headers={
                "Content-Type": media,
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # nginx would hold events back
            }
        )

    async def open(self, first: bytes = b"") -> None:
        """Send the head, and what there is to tell already. Raises ConnectionError where the reader is gone."""
        await self.response.prepare(self._request)
        if first:
            await self.send(first)

    async def send(self, data: bytes) -> None:
        """Send, and wait until the reader has room. Raises ConnectionError where it is gone or cut off."""
        try:
            async with asyncio.timeout(WRITE_S):
                await self.response.write(data)
        except TimeoutError:
            self._metrics.cut.inc()
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("the reader is too slow") from None


class EventStream(Stream):
    """An open stream of events."""

    def __init__(self, request: web.Request, metrics: Metrics) -> None:
        super().__init__(request, metrics, "text/event-stream")

    async def open(self, first: bytes = b"") -> None:
        """Send the head, and what there is to tell already. Raises ConnectionError where the reader is gone."""
        await super().open(f"retry: {RETRY_MS}\n\n".encode() + first)
