"""What runs, for pages."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from webapi.context import Call
from webapi.endpoint import EVENTS, Table
from webapi.overview_documents import Overview
from webapi.sse import HEARTBEAT, EventStream, event
from webapi.waking import Waker

TABLE: Final = Table("overview")


@TABLE.route("GET", "/v1/overview", known=False)
async def read(call: Call) -> Overview:
    """Queues, matches and servers; at most a second old."""
    return await call.services.overview.latest()


@TABLE.route("GET", "/v1/overview/events", known=False, media=EVENTS, answer=Overview, bounded=False)
async def events(call: Call) -> web.StreamResponse:
    """The overview, once a second while it changes."""
    with call.services.overview.view() as viewer:
        stream = EventStream(call.request, call.services.metrics)
        try:
            await stream.open()
            await _follow(call, stream, viewer)
        except ConnectionError:
            pass  # the page is closed
    return stream.response


async def _follow(call: Call, stream: EventStream, viewer: Waker) -> None:
    watch, seen = call.services.overview, 0
    while not watch.closing:
        if watch.seq != seen and watch.data:
            seen = watch.seq
            await stream.send(event("overview", watch.data, seen))
        if not await viewer.wait(call.services.settings.heartbeat_s):
            await stream.send(HEARTBEAT)
