"""One stream for all that concerns a player: his tickets, his party, invitations, and how long he may play."""

from __future__ import annotations

import time
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from core import keys
from core.clock import now_ms
from core.errors import NotFound, TooMany, Unavailable
from core.log import get
from core.model import Game
from webapi import documents as doc
from webapi import party_tickets
from webapi.context import Call
from webapi.endpoint import EVENTS, PLAYERS, Table
from webapi.followers import Follower
from webapi.records import TERMINAL
from webapi.routes.parties import shown, shown_invitations
from webapi.routes.presence import shown_play
from webapi.routes.tickets import document
from webapi.sse import HEARTBEAT, EventStream, event
from webapi.store.tickets import Address

log = get("stream")

TABLE: Final = Table("stream")

LOOK_S: Final = 5.0  # how late a lost ring is made good, and how often play-time is looked at
BEAT_S: Final = 20.0  # how often the stream counts as a heartbeat, at most
TICKETS: Final = 4  # looked at: waiting ones, and played ones, whose match may fail and put them back
NOBODY: Final = b"null"


class What(Struct, frozen=True, forbid_unknown_fields=True):
    """The game that the player is in: its tickets and limits are told, and he counts as online in it."""

    game: Annotated[str, Meta(max_length=40)] = ""


@TABLE.route(
    "GET",
    "/v1/events",
    who=PLAYERS,
    media=EVENTS,
    answer=doc.Ticket,
    errors=(NotFound, TooMany, Unavailable),
    bounded=False,
)
async def events(call: Call, query: What) -> web.StreamResponse:
    """What concerns you, as it changes; everything that stands now comes first, so there is nothing to replay.

    `ticket` is a ticket of yours or your party's, `party` your party (`null`: you are in none), `invitations` those
    that wait for you, `play` what the game's limits to play-time mean for you. An open stream counts as heartbeats.
    """
    services, player = call.services, call.caller.player
    game = await services.games.recent(query.game, call.now_ms) if query.game else None
    with services.followers.follow([player], player) as follower:
        stream = EventStream(call.request, services.metrics)
        try:
            await stream.open()
            await _follow(call, stream, follower, game)
        except ConnectionError:
            log.debug("stream lost its reader", player=player)
    return stream.response


async def _follow(call: Call, stream: EventStream, follower: Follower, game: Game | None) -> None:
    services, seen = call.services, _Seen(call, game)
    beat_s = min(BEAT_S, services.settings.presence_interval_s / 2)
    beaten = spoken = float("-inf")
    while not services.followers.closing:
        now = time.monotonic()
        if game is not None and now - beaten >= beat_s:
            services.beats.sign(game.id, call.caller.player)
            beaten = now
        try:
            if await call.is_over():
                return
            news = await seen.look()
        except Unavailable:
            news = b""  # what has changed is found at the next look
        services.followers.turn_to(follower, [call.caller.player, *(ticket for _, ticket in seen.tickets)])
        if news or now - spoken >= services.settings.heartbeat_s:
            await stream.send(news or HEARTBEAT)
            spoken = now
        await follower.wait(min(LOOK_S, services.settings.heartbeat_s, beat_s))


class _Seen:
    """What a stream has told, and what is new since."""

    def __init__(self, call: Call, game: Game | None) -> None:
        self._call, self._game = call, game
        self._told: dict[str, bytes] = {"invitations": doc.encode(doc.InvitationDocuments([])), "party": NOBODY}
        self.tickets: dict[Address, int] = {}  # that are looked at, and the seq that was told

    async def look(self) -> bytes:
        """The events of what has changed. Raises Unavailable; what was found by then is found again."""
        call, found = self._call, []
        call.now_ms = now_ms()
        party = await call.services.parties.of(call.caller.player)
        if party is not None:
            party = await party_tickets.mend(call, party)
        found.append(("party", NOBODY if party is None else doc.encode(shown(party))))
        waiting = await call.services.invitations.read(call.caller.player, call.now_ms)
        found.append(("invitations", doc.encode(shown_invitations(waiting))))
        if (play := await self._play()) is not None:
            found.append(("play", play))
        addresses: dict[Address, None] = dict.fromkeys(self.tickets)
        if party is not None and party.ticket is not None:
            addresses[party.ticket.game, party.ticket.id] = None
        if (own := await self._open_ticket()) is not None:
            addresses[own] = None
        tickets = [it for address in addresses if (it := await self._ticket(address)) is not None]
        news = [event(name, data) for name, data in found if self._told.get(name) != data]
        self._told.update(found)
        return b"".join([*news, *tickets])

    async def _open_ticket(self) -> Address | None:
        if self._game is None:
            return None
        key = f"{keys.game(self._game.id)}:open"
        ticket = await self._call.services.batch.do("HGET", key, self._call.caller.player)
        return (self._game.id, ticket) if ticket else None

    async def _ticket(self, address: Address) -> bytes | None:
        """The event of a ticket that has changed. One that is over is looked at no more, unless it is played."""
        call, told = self._call, self.tickets.get(address, 0)
        try:
            record = await call.services.tickets.read(*address, call.caller.player)
        except NotFound:
            self.tickets.pop(address, None)
            return None
        if record.state not in TERMINAL:
            call.services.streams.was_read(address)
        if record.seq == told:
            return None
        if address not in self.tickets and record.state in TERMINAL and record.state != "COMPLETED":
            return None  # over before anybody looked
        self.tickets[address] = record.seq
        if len(self.tickets) > TICKETS:
            del self.tickets[next(iter(self.tickets))]  # the oldest: played long since
        shown_ticket = await document(call, record)
        if record.state in TERMINAL and record.state != "COMPLETED":
            del self.tickets[address]
        return event("ticket", doc.encode(shown_ticket))

    async def _play(self) -> bytes | None:
        """The limits, where they apply: at first, and when what they mean changes, not each second less."""
        if self._game is None:
            return None
        self._game = await self._call.services.games.recent(self._game.id, self._call.now_ms)
        found = await self._call.services.presence.playing(self._game, self._call.caller.player, self._call.now_ms)
        if found is None:
            return None
        meaning = repr((found.allowed, found.why if found.warn or not found.allowed else "", found.warn)).encode()
        if self._told.get("meaning") == meaning:
            return self._told["play"]
        self._told["meaning"] = meaning
        return doc.encode(shown_play(found))
