"""Delayed commands: packs are stored and answered at once, the profile comes when they are executed."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import Annotated, Final

from aiohttp import web
from msgspec import UNSET, Meta, Struct

from core import keys, packstore
from core.commandspec import CommandsSpec
from core.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthorized, Unavailable
from core.log import get
from core.packs import BACK_MOST_S, BACK_S, NewPack, Outcome, check_pack
from core.packstore import Look
from webapi import command_documents as doc
from webapi.context import Call
from webapi.documents import encode
from webapi.endpoint import EVENTS, PLAYERS, Table, document
from webapi.problems import ReloadState
from webapi.sse import HEARTBEAT, EventStream, event, last_event_id
from webapi.streams import Watcher

log = get("commands")

TABLE: Final = Table("commands")
PLAYER: Final = "/v1/games/{game}/players/{player}"

REALTIME_S: Final = 5.0  # a pack that is to be executed at once is waited for; then the answer says that it waits


class ProfileQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """`epoch`: of the state that the client works with; an older one is refused. `wait_s`: wait for waiting packs."""

    epoch: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    wait_s: Annotated[float, Meta(ge=0, le=BACK_MOST_S)] = 0


@TABLE.route(
    "POST",
    PLAYER + "/packs",
    who=PLAYERS,
    status=202,
    answer=doc.PackDocument,
    also={200: doc.PackDocument},
    errors=(NotFound, Forbidden, Conflict, Invalid, TooMany),
)
async def send(call: Call, body: NewPack) -> doc.PackDocument | web.Response:
    """Send a pack of your commands. It is checked by its form, stored, and executed later, in order: 202.

    The same pack again gets the same answer; 200 once it is over. One with a real-time command is executed at once,
    after what waits, and its outcome told. 409 `reload` where your state is older than your last error, 409 `gap` with
    the number that is next, 429 where too many wait.
    """
    game, player = call.path("game"), call.path("player")
    if player != call.caller.player:
        raise Forbidden("packs are sent by the player himself", code="not-yours")
    spec = await _commands(call)
    text, realtime = check_pack(body, spec, call.now_ms)
    _, balances = await call.services.packs.balances(game, call.now_ms, having=body.balance)
    if body.balance not in balances:
        raise Conflict(
            f"version {body.balance} of the balance is not in use: read the balance and the profile again",
            code="balance-gone",
        )
    batch = call.services.batch
    try:
        accepted = await packstore.accept(batch, game, player, body, text, realtime=realtime)
    except packstore.Reload as reload:
        raise ReloadState(reload.failure) from None
    call.services.bell.ring("commands", [f"{game}.{keys.shard_number(player)}"])
    outcome: Outcome = "waiting"
    if realtime:
        with suppress(TooMany, Unavailable):  # stored it is, whatever keeps us from waiting for it
            outcome = await _over(call, body.seq)
    elif accepted.repeat:
        outcome, _ = await packstore.outcome(batch, game, player, body.seq)
    return await _answer(call, body.seq, accepted, outcome)


@TABLE.route(
    "GET",
    PLAYER + "/profile",
    who=PLAYERS,
    bounded=False,
    answer=doc.Profile,
    also={202: doc.ComeBack},
    errors=(NotFound, Forbidden, Conflict, TooMany),
)
async def profile(call: Call, query: ProfileQuery) -> doc.Profile | web.Response:
    """A player's state: 200 with it, 202 with Retry-After while packs wait, 409 where yours is from before an error.

    Nobody is sent away for more than 20 s in all: after that it is 503 `processing-late`.
    """
    game, player = call.path("game"), call.path("player")
    initial = packstore.initial_text(await _commands(call))
    await _may_look(call)
    deadline = time.monotonic() + query.wait_s
    # Written for the player alone: whom a developer asks for may be nobody, or nobody any more.
    written = initial if player == call.caller.player else ""
    found = await packstore.look(call.services.batch, game, player, profile=True, initial=written)
    _check_epoch(query, found)
    if found.waiting:
        call.services.bell.ring("commands", [f"{game}.{keys.shard_number(player)}"])
    if found.waiting and query.wait_s:
        asks = player != call.caller.player  # who only looks is no sign of the player's life
        streams, session = call.services.pack_streams, call.caller.session
        with streams.watch((game, player), call.caller.player, 0, asks=asks, session=session) as watcher:
            while found.waiting and (left_s := deadline - time.monotonic()) > 0 and not streams.closing:
                watcher.seq = found.rev
                await watcher.waker.wait(left_s)
                if watcher.ended:
                    raise Unauthorized("the session has ended: log in again", code="token-revoked")
                found = await packstore.look(call.services.batch, game, player, profile=True, initial=written)
        _check_epoch(query, found)  # an error may have come to light
    if found.waiting:
        return _come_back(call, player, found)
    balance, _ = await call.services.packs.balances(game, call.now_ms)
    return doc.profile(player, found, balance, initial)


@TABLE.route("GET", PLAYER + "/packs", who=PLAYERS, errors=(NotFound, Forbidden))
async def status(call: Call) -> doc.Processing:
    """How a player's packs go: waiting, running, failed. For the player, the game's developer and admins."""
    await _commands(call)
    await _may_look(call)
    player = call.path("player")
    return doc.processing(player, await packstore.look(call.services.batch, call.path("game"), player))


@TABLE.route(
    "GET",
    PLAYER + "/packs/events",
    who=PLAYERS,
    media=EVENTS,
    answer=doc.Processing,
    errors=(NotFound, Forbidden, TooMany),
    bounded=False,
    header=("Last-Event-ID", "`id` of the last event seen; nothing is told until there is a newer one"),
)
async def events(call: Call) -> web.StreamResponse:
    """How a player's packs go, as it changes: an error is told as soon as it is known."""
    await _commands(call)
    await _may_look(call)
    game, player = call.path("game"), call.path("player")
    seen, asks, session = last_event_id(call.request), player != call.caller.player, call.caller.session
    with call.services.pack_streams.watch(
        (game, player), call.caller.player, seen, asks=asks, session=session
    ) as watcher:
        stream = EventStream(call.request, call.services.metrics)
        try:
            await stream.open()
            await _follow(call, stream, watcher)
        except ConnectionError:
            log.debug("stream lost its reader", player=player)
    return stream.response


async def _follow(call: Call, stream: EventStream, watcher: Watcher) -> None:
    while not call.services.pack_streams.closing and not watcher.ended:
        try:
            found = await packstore.look(call.services.batch, *watcher.address)
        except Unavailable:
            found = None  # the reader keeps his place
        if found is not None and found.rev != watcher.seq:
            watcher.seq = found.rev
            await stream.send(event("packs", encode(doc.processing(watcher.address[1], found)), found.rev))
        if not await watcher.waker.wait(call.services.settings.heartbeat_s):
            await stream.send(HEARTBEAT)


async def _over(call: Call, seq: int) -> Outcome:
    """What becomes of a pack that is executed at once, or that it waits still."""
    game, player = call.path("game"), call.path("player")
    deadline = time.monotonic() + REALTIME_S
    with call.services.pack_streams.watch((game, player), player, 0) as watcher:
        while True:
            outcome, rev = await packstore.outcome(call.services.batch, game, player, seq)
            left_s = deadline - time.monotonic()
            if outcome != "waiting" or left_s <= 0 or call.services.pack_streams.closing:
                return outcome
            watcher.seq = rev
            await watcher.waker.wait(left_s)


async def _answer(
    call: Call, seq: int, accepted: packstore.Accepted, outcome: Outcome
) -> doc.PackDocument | web.Response:
    made = doc.PackDocument(seq, accepted.position, accepted.repeat, outcome, accepted.done)
    if outcome == "waiting":
        return made
    found = await packstore.look(call.services.batch, call.path("game"), call.path("player"))
    failure = found.failure if outcome in ("failed", "skipped") and found.failure else UNSET
    return document(
        call, doc.PackDocument(seq, accepted.position, accepted.repeat, outcome, found.done, failure), status=200
    )


def _check_epoch(query: ProfileQuery, found: Look) -> None:
    if query.epoch is not None and query.epoch < found.epoch:
        raise ReloadState(found.failure)


def _come_back(call: Call, player: str, found: Look) -> web.Response:
    """Send the asker away for a while. Raises Unavailable where he was for long enough."""
    left_s = BACK_MOST_S - (found.now_ms - found.asked_ms) / 1000
    if left_s <= 0:
        why = f" ({found.trouble})" if found.trouble else ""
        raise Unavailable(
            f"{found.waiting} packs still wait after {BACK_MOST_S} s{why}: they are kept, and executed later",
            retry_after_s=BACK_S,
            code="processing-late",
        )
    back = doc.ComeBack(player, found.waiting, min(BACK_S, max(1, math.ceil(left_s))))
    call.headers["Retry-After"] = str(back.retry_after_s)
    return document(call, back, status=202)


async def _commands(call: Call) -> CommandsSpec:
    game = await call.services.games.recent(call.path("game"), call.now_ms)
    if game.spec.commands is None:
        raise NotFound(f"the game {game.id!r} has no delayed commands", code="no-commands")
    return game.spec.commands


async def _may_look(call: Call) -> None:
    if call.path("player") != call.caller.player and not await call.is_insider(call.path("game")):
        raise Forbidden("what others do is for the game's developer", code="not-yours")
