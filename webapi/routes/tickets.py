"""Tickets: wait for a match, and hear where it is played."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from core import jointoken, party, rating, trace
from core.clock import new_id, now_ms
from core.errors import Conflict, Forbidden, Invalid, NotFound, Refused, TooMany, Unauthorized, Unavailable
from core.ids import RANDOM_BYTES, is_game_id, make_id
from core.lifecycle import WAITING_TICKET, TicketState
from core.log import Stage, get
from core.model import Game, TicketPlayer
from core.rules import check_ticket, rules_of
from webapi import documents as doc
from webapi import party_tickets, records
from webapi.context import Call
from webapi.endpoint import EVENTS, PLAYERS, Table
from webapi.problems import TicketOpen
from webapi.records import TERMINAL, Joining, TicketRecord
from webapi.sse import HEARTBEAT, EventStream, event, last_event_id
from webapi.streams import Watcher

log = get("tickets")
created, cancelled, answered = (Stage("tickets", f"ticket {what}") for what in ("created", "cancelled", "answered"))

TABLE: Final = Table("tickets")

WAIT_MOST_S: Final = 30  # of a long poll: proxies cut silent answers after 30-60 s
DRAINED_RETRY_S: Final = 30  # who is refused because a drain empties the queues may ask again
KEY_MOST: Final = 255  # characters of an Idempotency-Key


class Wait(Struct, frozen=True, forbid_unknown_fields=True):
    """With `wait_s` the answer comes when `seq` is higher than `after`, or when that time is over."""

    wait_s: Annotated[float, Meta(ge=0, le=WAIT_MOST_S)] = 0
    after: Annotated[int, Meta(ge=0, le=2**53)] | None = None


@TABLE.route(
    "POST",
    "/v1/tickets",
    who=PLAYERS,
    status=201,
    errors=(NotFound, Conflict, TicketOpen, TooMany, Forbidden),
    header=("Idempotency-Key", "the same request with the same key gives the same ticket"),
)
async def create(call: Call, body: doc.NewTicket) -> doc.Ticket:
    """Wait for a match. With an Idempotency-Key the same request again gives the same ticket.

    `trace` of the answer names the ticket in logs and events from here to the end of its match: the trace id of a W3C
    `traceparent` header, where the request has one.
    """
    if not is_game_id(body.game):
        raise NotFound(f"there is no game {body.game!r}", code="no-such-game")
    game = await call.services.games.recent(body.game, call.now_ms)
    drain = await call.services.drains.recent(game.id, call.now_ms)
    if drain is not None and drain.queue == "end":
        detail = f"no new match is made now: {drain.note}" if drain.note else "no new match is made now"
        raise Unavailable(detail, retry_after_s=DRAINED_RETRY_S, code="draining")
    ticket, repeatable = _ticket_id(call, body)
    players = await _players(call, body, game)
    await call.services.presence.admit(game, players, call.caller.player, call.now_ms)
    brought = trace.given(call.request.headers.get(trace.HEADER))
    await _make(call, body.party, game, ticket, players, brought)
    traced = trace.of(ticket, brought)
    created(
        call.now_ms,
        {"ticket": ticket, "game": game.id, "trace": traced, "players": [player.id for player in players]},
    )
    call.headers["Location"] = f"/v1/tickets/{game.id}/{ticket}"
    if repeatable:  # it may be an old ticket, which has moved on
        return await document(call, await call.services.tickets.read(game.id, ticket, call.caller.player))
    people = [doc.Person(player.id, player.name) for player in players]
    new = TicketRecord(ticket, game.id, TicketState.QUEUED, 1, call.now_ms, "", "", 0, people, {}, traced)
    return records.ticket_document(new, call.caller.player, call.now_ms)


@TABLE.route("GET", "/v1/tickets/{game}/current", who=PLAYERS, errors=(NotFound,))
async def current(call: Call) -> doc.Ticket:
    """Your ticket in this game: the one that waits, or that of the running match in which you have a seat.

    For a client that was started again and knows its account alone: with `connection` and a fresh `join_token` while
    the match runs. 404 where you wait for nothing and have no seat, because you left, or did not come back in time, or
    your seat was given to another.
    """
    game, player = call.path("game"), call.caller.player
    call.headers["Cache-Control"] = "no-store"
    ticket = await call.services.tickets.current(game, player)
    if not ticket:
        raise NotFound("you wait for no match of this game and have a seat in none", code="no-current-ticket")
    record = await call.services.tickets.read(game, ticket, player)
    call.services.streams.was_read((game, ticket))
    return await document(call, record)


@TABLE.route("GET", "/v1/tickets/{game}/{ticket}", who=PLAYERS, errors=(NotFound, TooMany), bounded=False)
async def read(call: Call, query: Wait) -> doc.Ticket:
    """A ticket of yours, at once or when it has changed."""
    game, ticket, player = call.path("game"), call.path("ticket"), call.caller.player
    call.headers["Cache-Control"] = "no-store"
    record = await call.services.tickets.read(game, ticket, player)
    call.services.streams.was_read((game, ticket))
    after = record.seq if query.after is None else query.after
    if not query.wait_s or record.seq > after:
        return await document(call, record)
    deadline = time.monotonic() + query.wait_s
    with call.services.streams.watch((game, ticket), player, record.seq, session=call.caller.session) as watcher:
        # Read again: it may have changed before anybody watched.
        while True:
            if watcher.ended:
                raise Unauthorized("the session has ended: log in again", code="token-revoked")
            record = await call.services.tickets.read(game, ticket, player)
            watcher.seq = record.seq
            left_s = deadline - time.monotonic()
            if record.seq > after or left_s <= 0 or call.services.streams.closing:
                return await document(call, record)
            await watcher.waker.wait(left_s)


@TABLE.route("DELETE", "/v1/tickets/{game}/{ticket}", who=PLAYERS, errors=(NotFound, Conflict))
async def cancel(call: Call) -> doc.Ticket:
    """Wait no more. Too late once the match can be played. An admin may cancel anybody's ticket.

    A match that was found fails: its other players wait on, their wait kept. Who does that `limits.cancels` times in
    ten minutes is refused a new ticket with 429; what an admin cancels is not counted.
    """
    game, ticket, player = call.path("game"), call.path("ticket"), call.caller.player
    tickets = call.services.tickets
    record = await tickets.find(game, ticket)
    if not record.has(player):
        if call.caller.role != "admin":
            raise NotFound("you have no such ticket", code="no-such-ticket")
        player = ""
    changed = await tickets.cancel(game, ticket, player, call.now_ms)
    record = await tickets.find(game, ticket)
    if changed is None:
        raise Conflict(f"the ticket is {record.state}, past waiting", code="past-waiting")
    party_tickets.ring(call, game, changed)
    cancelled(call.now_ms, _named(record, player))
    return await document(call, record)


@TABLE.route("POST", "/v1/tickets/{game}/{ticket}/acceptance", who=PLAYERS, errors=(NotFound, Conflict))
async def answer(call: Call, body: doc.Answer) -> doc.Ticket:
    """Accept the match that was found, or reject it, for yourself. The same answer again is fine.

    Once all of its players accepted, its server starts. A rejection ends your ticket and the match, and counts as a
    cancel; the other tickets wait on. Without an answer in time your ticket is CANCELLED.
    """
    game, ticket, player = call.path("game"), call.path("ticket"), call.caller.player
    tickets = call.services.tickets
    await tickets.read(game, ticket, player)
    tell = tickets.accept if body.accept else tickets.reject
    changed = await tell(game, ticket, player, body.match, call.now_ms)
    record = await tickets.read(game, ticket, player)
    if changed is None:
        if record.state in WAITING_TICKET:
            raise Conflict(f"no match asks you: the ticket is {record.state}", code="not-asked")
        raise Conflict(f"too late to answer for that match: the ticket is {record.state}", code="past-acceptance")
    party_tickets.ring(call, game, changed)
    answered(call.now_ms, {**_named(record, player), "match": record.match, "accepts": body.accept})
    return await document(call, record)


@TABLE.route(
    "GET",
    "/v1/tickets/{game}/{ticket}/events",
    who=PLAYERS,
    media=EVENTS,
    answer=doc.TicketEvent,
    errors=(NotFound, TooMany),
    bounded=False,
    header=("Last-Event-ID", "`id` of the last event seen; later ones are replayed"),
)
async def events(call: Call) -> web.StreamResponse:
    """Every change of a ticket as it happens. Last-Event-ID replays what was missed; ends after a terminal status.

    Answers 204 where there is nothing left to tell, which keeps a browser from coming back.
    """
    game, ticket, player = call.path("game"), call.path("ticket"), call.caller.player
    # Watched before it is read, so that nothing is missed and once is enough.
    seen, session = last_event_id(call.request), call.caller.session
    with call.services.streams.watch((game, ticket), player, seen, session=session) as watcher:
        record = await call.services.tickets.read(game, ticket, player)
        if watcher.seq > record.seq:
            watcher.seq = 0  # of another ticket
        if record.state in TERMINAL and record.seq == watcher.seq:
            return web.Response(status=204)
        stream = EventStream(call.request, call.services.metrics)
        try:
            await _follow(call, stream, watcher, record)
        except ConnectionError:
            log.debug("stream lost its reader", ticket=ticket, player=player)
    return stream.response


async def _follow(call: Call, stream: EventStream, watcher: Watcher, record: TicketRecord | None) -> None:
    """Send what is new, at first of `record`, wait for more, until there cannot be more."""
    tickets, streams, player = call.services.tickets, call.services.streams, call.caller.player
    opened = False
    while not streams.closing and not watcher.ended:
        try:
            record = record or await tickets.read(*watcher.address, player)
            news = await _news(call, record, watcher.seq)
        except Unavailable:
            # The reader keeps his place: it shall not be the storage's trouble that he has to come back.
            record, news = None, b""
        except NotFound:
            return
        if news or not opened:
            await (stream.send(news) if opened else stream.open(news))
            opened = True
        if news and record is not None:
            watcher.seq = record.seq
            if record.state in TERMINAL:
                return
        record = None
        if not await watcher.waker.wait(call.services.settings.heartbeat_s):
            await stream.send(HEARTBEAT)


async def _news(call: Call, record: TicketRecord, seen: int) -> bytes:
    """The events after `seen`; the last one tells how to join, where that can be."""
    changes = record.changes(seen)
    if not changes:
        return b""
    how = await _joining(call, record)
    *earlier, last = changes
    documents = [records.event_document(change, call.caller.player) for change in earlier]
    documents.append(records.event_document(last, call.caller.player, how, _join_token(call, record, how)))
    return b"".join(event("status", doc.encode(it), it.seq) for it in documents)


def _named(record: TicketRecord, player: str) -> dict[str, Any]:
    """A ticket in a log line, and who asked."""
    return {"ticket": record.id, "game": record.game, "trace": record.trace, "player": player}


async def _make(
    call: Call, code: str | None, game: Game, ticket: str, players: list[TicketPlayer], brought: str
) -> None:
    """Put a ticket into its queue, and let everybody of it know."""
    tickets, asker, ids = call.services.tickets, call.caller.player, [player.id for player in players]
    if code is None:
        await tickets.create(game, ticket, players, asker, call.now_ms, brought)
    else:
        await party_tickets.announce(call, code, (game.id, ticket))
        try:
            await tickets.create(game, ticket, players, asker, call.now_ms, brought)
        except Refused:
            await party_tickets.withdraw(call, code, (game.id, ticket))
            raise
    call.services.bell.ring("queue", [game.id])
    call.services.bell.ring("party", ids)
    if code is not None:
        await party_tickets.must_tell(call, code, ids, (game.id, ticket))


def _ticket_id(call: Call, body: doc.NewTicket) -> tuple[str, bool]:
    """The id of the ticket to make, and whether the same request again gives the same one. Raises Invalid."""
    key = call.request.headers.get("Idempotency-Key")
    if key is None:
        return new_id("ticket"), False
    if not 0 < len(key) <= KEY_MOST:
        raise Invalid(f"an Idempotency-Key has 1 to {KEY_MOST} characters", pointer="Idempotency-Key")
    text = b"\0".join((call.caller.player.encode(), key.encode(errors="surrogateescape"), msgspec.json.encode(body)))
    digest = hmac.digest(call.services.secret.encode(), b"ticket:" + text, hashlib.sha256)
    # Its first part is no time of birth then: nothing but the order of two ids would be told by it.
    return make_id("ticket", int.from_bytes(digest[:6]), digest[-RANDOM_BYTES:]), True


async def _players(call: Call, body: doc.NewTicket, game: Game) -> list[TicketPlayer]:
    """Who the ticket is for. Raises NotFound, Forbidden, Conflict, Invalid."""
    caller = call.caller
    if body.party is None:
        players = [TicketPlayer(caller.player, caller.name, body.attributes, body.latencies)]
    else:
        players = party.ticket_players(await call.services.parties.read(body.party), caller.player)
        if others := await call.services.accounts.of_other_games(game.id, [player.id for player in players]):
            raise Forbidden(f"player {others[0]} of the party is of another game alone", code="other-game")
        if body.attributes or body.latencies:
            players = [
                msgspec.structs.replace(it, attributes=body.attributes, latencies=body.latencies)
                if it.id == caller.player
                else it
                for it in players
            ]
    try:
        players = await _with_ratings(call, game, players)
        check_ticket(rules_of(game), players)
    except Invalid as error:
        raise Invalid(error.detail, pointer=_asked_at(error.pointer, players, body, caller.player)) from None
    return players


async def _with_ratings(call: Call, game: Game, players: list[TicketPlayer]) -> list[TicketPlayer]:
    """The players with what is known of their skill, in the mode of who asks. Raises Invalid."""
    spec = game.spec.rating
    if spec is None:
        return players
    asker = next(i for i, player in enumerate(players) if player.id == call.caller.player)
    mode = rating.mode_of(spec, players[asker].attributes, f"/players/{asker}")
    running, stored = await call.services.boards.ratings(game.id, mode, [player.id for player in players])
    return rating.with_ratings(spec, mode, players, stored, running)


def _asked_at(pointer: str, players: list[TicketPlayer], body: doc.NewTicket, asker: str) -> str:
    """Where in the request the fault is: `/players/0/attributes/x` is the asker's own, or came with the party."""
    _, _, number, *rest = f"{pointer}//".split("/")
    if number.isdigit() and (body.party is None or (players[int(number)].id == asker and body.attributes)):
        return "/" + "/".join(rest).rstrip("/")
    return "/party" if body.party is not None else pointer


async def _joining(call: Call, record: TicketRecord) -> Joining | None:
    if record.state != TicketState.COMPLETED:
        return None
    return await call.services.tickets.joining(record, call.caller.player)


async def document(call: Call, record: TicketRecord) -> doc.Ticket:
    """A ticket as the caller may see it, who is one of its players."""
    how = await _joining(call, record)
    return records.ticket_document(record, call.caller.player, now_ms(), how, _join_token(call, record, how))


def _join_token(call: Call, record: TicketRecord, how: Joining | None) -> str:
    """The caller's own token, fresh at each read."""
    if how is None:
        return ""
    expires_s = now_ms() // 1000 + jointoken.LIFETIME_S
    claims = jointoken.JoinClaims(how.seat.id, record.match, how.seat.name, how.seat.team, expires_s)
    key = call.services.keyring.first
    own = jointoken.match_key(key.secret, how.server)
    if how.arena or call.services.settings.join_algorithm == "HS256":
        return jointoken.mint(own, claims)
    return jointoken.mint_signed(own, claims, key.kid, key.private.sign)
