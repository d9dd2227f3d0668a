"""Parties: friends who wait, and play, together."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from core import party as rules
from core.errors import Conflict, Forbidden, NotFound
from core.party import Party
from webapi import documents as doc
from webapi import records
from webapi.context import Call
from webapi.endpoint import PLAYERS, Table
from webapi.routes.tickets import end
from webapi.store.parties import Decision

TABLE: Final = Table("parties")


@TABLE.route("POST", "/v1/parties", who=PLAYERS, status=201, errors=(Conflict,))
async def found(call: Call, body: doc.NewParty) -> doc.PartyDocument:
    """A new party, with a code to invite by."""
    party = await call.services.parties.found(call.caller.player, call.caller.name, call.now_ms)
    call.headers["Location"] = f"/v1/parties/{party.code}"
    return _shown(party)


@TABLE.route("GET", "/v1/parties/{code}", who=PLAYERS, errors=(NotFound,))
async def read(call: Call) -> doc.PartyDocument:
    """The party, for its members."""
    return _shown(await _own(call))


@TABLE.route("POST", "/v1/parties/{code}/join", who=PLAYERS, errors=(NotFound, Conflict))
async def join(call: Call) -> doc.PartyDocument:
    """Become a member."""
    code = call.path("code").lower()
    return _shown(await call.services.parties.join(code, call.caller.player, call.caller.name))


@TABLE.route("PUT", "/v1/parties/{code}/ready", who=PLAYERS, errors=(NotFound,))
async def ready(call: Call, body: doc.MemberReady) -> doc.PartyDocument:
    """Ready or not, with what the rules may look at."""
    player = call.caller.player

    def decide(party: Party) -> Party:
        return rules.ready(party, player, is_ready=body.ready, attributes=body.attributes, latencies=body.latencies)

    return _shown(await call.services.parties.change(await _own(call), decide))


@TABLE.route("POST", "/v1/parties/{code}/leave", who=PLAYERS, status=204, errors=(NotFound,))
async def leave(call: Call) -> None:
    """Go. The party's ticket is cancelled, unless its match can be played; the next oldest member leads; the last one
    disbands the party.
    """
    player = call.caller.player
    await _part(call, lambda found: rules.leave(found, player))


@TABLE.route("POST", "/v1/parties/{code}/kick", who=PLAYERS, errors=(NotFound, Conflict, Forbidden))
async def kick(call: Call, body: doc.Kick) -> doc.PartyDocument:
    """Send a member away. The party's ticket is cancelled, unless its match can be played."""
    leader = call.caller.player
    return _shown(await _part(call, lambda found: rules.kick(found, leader, body.player)))


async def _own(call: Call) -> Party:
    """The party of the path. Raises NotFound to all but its members."""
    party = await call.services.parties.read(call.path("code").lower())
    party.member(call.caller.player)
    return party


async def _part(call: Call, decide: Decision) -> Party:
    """Let a member go, and end the party's ticket: it is for players who are not together any more.

    The ticket ends first: killed in between, nobody waits together with somebody who has left. And once more, because
    the leader may have made one meanwhile; from the change on a new one is taken back by its maker.
    """
    party = await _own(call)
    decide(party)  # refuses before anything is written
    await _end_ticket(call, party)
    party = await call.services.parties.change(party, decide)
    await _end_ticket(call, party)
    return party


async def _end_ticket(call: Call, party: Party) -> None:
    if party.ticket is not None:
        await end(call, party.ticket.game, party.ticket.id, call.caller.player)


def _shown(party: Party) -> doc.PartyDocument:
    return doc.PartyDocument(
        code=party.code,
        leader=party.leader,
        members=[doc.Member(member.id, member.name, member.ready) for member in party.members],
        created_at=records.iso(party.created_ms),
        ticket=doc.TicketOfParty(party.ticket.game, party.ticket.id) if party.ticket else UNSET,
    )
