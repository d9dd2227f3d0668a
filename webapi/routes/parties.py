"""Parties: friends who wait, and play, together."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from core import party as rules
from core.errors import Conflict, Forbidden, NotFound, TooMany
from core.party import Party
from webapi import documents as doc
from webapi import party_tickets, records
from webapi.context import Call
from webapi.endpoint import PLAYERS, Table
from webapi.store.invitations import Invitation
from webapi.store.parties import Decision

TABLE: Final = Table("parties")


@TABLE.route("POST", "/v1/parties", who=PLAYERS, status=201, errors=(Conflict,))
async def found(call: Call, body: doc.NewParty) -> doc.PartyDocument:
    """A new party, with a code to invite by."""
    party = await call.services.parties.found(call.caller.player, call.caller.name, call.now_ms)
    call.headers["Location"] = f"/v1/parties/{party.code}"
    return _told(call, party)


@TABLE.route("GET", "/v1/party", who=PLAYERS, errors=(NotFound,))
async def mine(call: Call) -> doc.PartyDocument:
    """The party that you are in: what a client asks that was away."""
    party = await call.services.parties.of(call.caller.player)
    if party is None:
        raise NotFound("you are in no party", code="no-such-party")
    return shown(await party_tickets.mend(call, party))


@TABLE.route("GET", "/v1/parties/{code}", who=PLAYERS, errors=(NotFound,))
async def read(call: Call) -> doc.PartyDocument:
    """The party, for its members."""
    return shown(await party_tickets.mend(call, await _own(call)))


@TABLE.route("POST", "/v1/parties/{code}/join", who=PLAYERS, errors=(NotFound, Conflict))
async def join(call: Call) -> doc.PartyDocument:
    """Become a member."""
    code, player = call.path("code").lower(), call.caller.player
    party = await call.services.parties.join(code, player, call.caller.name)
    await call.services.invitations.remove(player, code)
    return _told(call, party)


@TABLE.route("PUT", "/v1/parties/{code}/ready", who=PLAYERS, errors=(NotFound,))
async def ready(call: Call, body: doc.MemberReady) -> doc.PartyDocument:
    """Ready or not, with what the rules may look at."""
    player = call.caller.player

    def decide(party: Party) -> Party:
        return rules.ready(party, player, is_ready=body.ready, attributes=body.attributes, latencies=body.latencies)

    return _told(call, await call.services.parties.change(await _own(call), decide))


@TABLE.route("POST", "/v1/parties/{code}/promote", who=PLAYERS, errors=(NotFound, Forbidden))
async def promote(call: Call, body: doc.Promotion) -> doc.PartyDocument:
    """Make another member the leader. A ticket of the party waits on."""
    leader, parties = call.caller.player, call.services.parties
    return _told(call, await parties.change(await _own(call), lambda party: rules.promote(party, leader, body.player)))


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
    return shown(await _part(call, lambda found: rules.kick(found, leader, body.player)))


@TABLE.route("POST", "/v1/parties/{code}/invitations", who=PLAYERS, status=204, errors=(NotFound, Conflict, TooMany))
async def invite(call: Call, body: doc.Invite) -> None:
    """Invite somebody by name; his stream tells him. Every member may."""
    party = await _own(call)
    login = await call.services.accounts.login(body.name)
    if login is None:
        raise NotFound("there is no player of this name", code="no-such-player")
    invited = login.account.player
    if any(member.id == invited for member in party.members):
        raise Conflict("this player is in the party already", code="in-the-party")
    by = Invitation(call.caller.player, call.caller.name, call.now_ms)
    await call.services.invitations.put(invited, party.code, by)
    call.services.bell.ring("party", [invited])


@TABLE.route("GET", "/v1/invitations", who=PLAYERS)
async def invitations(call: Call) -> doc.InvitationDocuments:
    """Who invites you. Join by the code."""
    return shown_invitations(await call.services.invitations.read(call.caller.player, call.now_ms))


@TABLE.route("DELETE", "/v1/invitations/{code}", who=PLAYERS, status=204)
async def decline(call: Call) -> None:
    """Forget an invitation."""
    await call.services.invitations.remove(call.caller.player, call.path("code").lower())
    call.services.bell.ring("party", [call.caller.player])


async def _own(call: Call) -> Party:
    """The party of the path. Raises NotFound to all but its members."""
    party = await call.services.parties.read(call.path("code"))
    party.member(call.caller.player)
    return party


async def _part(call: Call, decide: Decision) -> Party:
    """Let a member go, and end the party's ticket: it is for players who are not together any more.

    The ticket ends first: killed in between, nobody waits together with somebody who has left. And once more, because
    the leader may have made one meanwhile; from the change on a new one is taken back by its maker.
    """
    before = await _own(call)
    decide(before)  # refuses before anything is written
    await party_tickets.end_all(call, before)
    party = await call.services.parties.change(before, decide)
    await party_tickets.end_all(call, party)
    call.services.bell.ring("party", [member.id for member in before.members])
    return party


def _told(call: Call, party: Party) -> doc.PartyDocument:
    """The party, and its members are told to look at it."""
    call.services.bell.ring("party", [member.id for member in party.members])
    return shown(party)


def shown(party: Party) -> doc.PartyDocument:
    """A party as its members see it."""
    return doc.PartyDocument(
        code=party.code,
        leader=party.leader if party.members else "",
        members=[doc.Member(member.id, member.name, member.ready) for member in party.members],
        created_at=records.iso(party.created_ms),
        ticket=doc.TicketOfParty(party.ticket.game, party.ticket.id) if party.ticket else UNSET,
    )


def shown_invitations(found: list[tuple[str, Invitation]]) -> doc.InvitationDocuments:
    """Invitations as the invited sees them."""
    return doc.InvitationDocuments(
        [doc.InvitationDocument(code, doc.Person(it.player, it.name), records.iso(it.at_ms)) for code, it in found]
    )
