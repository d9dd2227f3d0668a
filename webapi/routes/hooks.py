"""What happens to a game's players, for its developer: a stream, and a webhook."""

from __future__ import annotations

import re
import time
from typing import Final

from aiohttp import web

from core import events as log_events
from core import webhook
from core.errors import Forbidden, Invalid, NotFound, Unavailable
from core.log import get
from webapi import presence_documents as doc
from webapi import records
from webapi.context import Call
from webapi.endpoint import DEVELOPERS, EVENTS, Table
from webapi.routes.presence import owned
from webapi.sse import HEARTBEAT, EventStream, event
from webapi.waking import Waker

log = get("hooks")

TABLE: Final = Table("events of a game")

LOOK_S: Final = 1.0  # how late a lost ring is made good
_PLACE: Final = re.compile(r"[0-9]{1,15}-[0-9]{1,10}")


@TABLE.route(
    "GET",
    "/v1/games/{game}/events",
    who=DEVELOPERS,
    media=EVENTS,
    answer=log_events.Event,
    errors=(NotFound, Forbidden, Unavailable),
    bounded=False,
    header=("Last-Event-ID", "`id` of the last event seen; later ones that are kept are replayed, `0-0` replays all"),
)
async def events(call: Call) -> web.StreamResponse:
    """Who came online and who went offline, as it happens; without Last-Event-ID from now on.

    A game's last 20,000 events are kept, for a week. An event may come twice: its `id` in the document tells.
    """
    game = (await owned(call)).id
    given = call.request.headers.get("Last-Event-ID")
    if given is not None and not _PLACE.fullmatch(given):
        raise Invalid("Last-Event-ID is the id of an event, such as 1763750000000-0", pointer="Last-Event-ID")
    with call.services.feeds.follow([game], call.caller.player) as waker:
        place = given if given is not None else await call.services.hooks.newest(game)
        stream = EventStream(call.request, call.services.metrics)
        try:
            await stream.open()
            await _follow(call, stream, waker, game, place)
        except ConnectionError:
            log.debug("stream lost its reader", game=game)
    return stream.response


async def _follow(call: Call, stream: EventStream, waker: Waker, game: str, place: str) -> None:
    silent_since = time.monotonic()
    while not call.services.feeds.closing:
        try:
            if await call.is_over():
                return
            found = await call.services.hooks.feed(game, place)
        except Unavailable:
            found = []  # the reader keeps his place
        if found:
            place = found[-1][0]
            await stream.send(b"".join(event("player", text.encode(), at) for at, text in found))
            silent_since = time.monotonic()
            continue
        if time.monotonic() - silent_since >= call.services.settings.heartbeat_s:
            await stream.send(HEARTBEAT)
            silent_since = time.monotonic()
        await waker.wait(min(LOOK_S, call.services.settings.heartbeat_s))


@TABLE.route("PUT", "/v1/games/{game}/webhook", who=DEVELOPERS, errors=(NotFound, Forbidden))
async def put(call: Call, body: doc.NewHook) -> doc.Hook:
    """Have the game's events delivered to a URL, and get a new secret that deliveries are signed with.

    What waits for a former URL goes to this one. docs/presence.md tells how to check a signature.
    """
    game = (await owned(call)).id
    webhook.check_url(body.url, private=call.services.settings.webhook_private)
    salt = await call.services.hooks.put(game, body.url)
    call.services.bell.ring("feed", [game])
    log.info("webhook set", game=game, by=call.caller.player)
    return await _hook(call, game, webhook.key(call.services.secret, game, salt))


@TABLE.route("GET", "/v1/games/{game}/webhook", who=DEVELOPERS, errors=(NotFound, Forbidden))
async def read(call: Call) -> doc.Hook:
    """The webhook, what waits for it, and what came of the last attempt."""
    return await _hook(call, (await owned(call)).id)


@TABLE.route("DELETE", "/v1/games/{game}/webhook", who=DEVELOPERS, status=204, errors=(NotFound, Forbidden))
async def remove(call: Call) -> None:
    """Forget the webhook, with what waits for it and what was given up."""
    await call.services.hooks.remove((await owned(call)).id)


@TABLE.route("GET", "/v1/games/{game}/webhook/dead", who=DEVELOPERS, errors=(NotFound, Forbidden))
async def dead(call: Call) -> doc.DeadDeliveries:
    """Deliveries that were given up after ten attempts; the last thousand are kept."""
    found = await call.services.hooks.dead((await owned(call)).id)
    shown = [doc.DeadDelivery(it.id, records.iso(it.at_ms), it.tries, it.error, list(it.events)) for it in found]
    return doc.DeadDeliveries(shown)


@TABLE.route("POST", "/v1/games/{game}/webhook/dead/replay", who=DEVELOPERS, errors=(NotFound, Forbidden))
async def replay(call: Call, body: doc.Replay) -> doc.Replayed:
    """Have these made once more, before anything else; one that fails is among those given up again."""
    game = (await owned(call)).id
    count = await call.services.hooks.again(game, body.ids)
    call.services.bell.ring("feed", [game])
    return doc.Replayed(count)


async def _hook(call: Call, game: str, secret: str = "") -> doc.Hook:
    found, given_up = await call.services.hooks.read(game)
    made = doc.Hook(
        url=found["url"],
        waiting=int(found["fed"]) - int(found["passed"]),
        delivered=int(found["delivered"]),
        dead=given_up,
        tries=int(found["tries"]),
        error=found["error"],
    )
    if not secret:
        return made
    return doc.Hook(made.url, made.waiting, made.delivered, made.dead, made.tries, made.error, secret)
