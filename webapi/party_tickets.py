"""The tickets of parties: made, found by the members, and ended when somebody parts.

A party's ticket is announced in the party before it is made, and told there once it is. A webapi that dies in between
leaves the announcement, by which whoever looks at the party next finds the ticket (`mend`), and whoever parts ends it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from core import party as rules
from core.errors import Conflict, NotFound
from core.party import Party, PartyTicket
from webapi.context import Call
from webapi.store.tickets import Address

MAKING_MS: Final = 30_000  # a request is given up after a third of it: then no ticket comes any more


def ring(call: Call, game: str, changed: list[str]) -> None:
    """Tell those who wait for these tickets, and the matchmaker of their game, that something was decided."""
    if changed:
        call.services.bell.ring("ticket", changed)
        call.services.bell.ring("match", [game])


async def end(call: Call, game: str, ticket: str, player: str) -> None:
    """Cancel a ticket for `player` ('' for nobody's sake), unless its match can be played."""
    ring(call, game, await call.services.tickets.cancel(game, ticket, player, call.now_ms) or [])


async def end_all(call: Call, party: Party) -> None:
    """Cancel what a party waits by."""
    for ticket in (party.ticket, party.making):
        if ticket is not None:
            await end(call, ticket.game, ticket.id, call.caller.player)


async def announce(call: Call, code: str, address: Address) -> None:
    """Say in the party that this ticket is about to be made. Raises Conflict while another one is, NotFound."""
    party = await mend(call, await call.services.parties.read(code))
    await call.services.parties.change(party, lambda found: rules.with_making(found, *address, call.now_ms))


async def withdraw(call: Call, code: str, address: Address) -> None:
    """The ticket was refused: nothing was made."""
    try:
        party = await call.services.parties.read(code)
        await call.services.parties.change(party, lambda found: rules.without_making(found, address[1]))
    except NotFound:
        return  # disbanded meanwhile


async def tell(call: Call, code: str, players: Collection[str], address: Address, asker: str) -> Party | None:
    """Let the party's members find their ticket; None where somebody of its `players` left, and the ticket was ended.

    A party waits in one game at a time, for whoever parts ends the one ticket that it knows: an earlier one ends here,
    for `asker`'s sake.
    """
    parties = call.services.parties
    replaced: list[PartyTicket] = []

    def decide(found: Party) -> Party:
        if found.ticket is not None and found.ticket.id != address[1]:
            replaced.append(found.ticket)
        return rules.with_ticket(found, *address)

    told: Party | None = None
    try:
        found = await parties.read(code)
        if found.ticket is not None and found.ticket.id != address[1]:
            await end(call, found.ticket.game, found.ticket.id, asker)  # first: killed after it, nothing is forgotten
        told = await parties.change(found, decide)
        for ticket in replaced:
            await end(call, ticket.game, ticket.id, asker)
    except NotFound:
        pass
    # From here on whoever leaves finds the ticket, and cancels it himself.
    if told is None or not {member.id for member in told.members}.issuperset(players):
        await end(call, *address, "")
        return None
    call.services.bell.ring("party", [member.id for member in told.members])
    return told


async def must_tell(call: Call, code: str, players: Collection[str], address: Address) -> None:
    """As `tell`, for the party's leader. Raises Conflict where somebody left while the ticket was made."""
    if await tell(call, code, players, address, call.caller.player) is None:
        raise Conflict("the party changed while its ticket was made: try again", code="party-changed")


async def mend(call: Call, party: Party) -> Party:
    """Finish what a webapi left that died while it made the party's ticket."""
    making = party.making
    if making is None:
        return party
    try:
        record = await call.services.tickets.find(making.game, making.id)
    except NotFound:
        if making.at_ms + MAKING_MS > call.now_ms:
            return party  # it may be made yet
        return await call.services.parties.change(party, lambda found: rules.without_making(found, making.id))
    players = [player.id for player in record.players]
    told = await tell(call, party.code, players, (making.game, making.id), "")
    return told if told is not None else await call.services.parties.read(party.code)
