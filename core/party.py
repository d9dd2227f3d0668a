"""Parties: friends who want to be in one match. PURE: every function gives the next party, or raises.

A party is a document with a version; whoever changes it reads it, decides here, and writes it back if nobody was
faster. One party per player, at most as many members as a ticket takes. Its leader is its oldest member, unless he
made another one the leader.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from core.errors import Conflict, Forbidden, NotFound
from core.model import MAX_PLAYERS_PER_TICKET, TicketPlayer

CODE_LENGTH: Final = 8
_ALPHABET: Final = "23456789abcdefghjkmnpqrstvwxyz"  # no 0 o 1 i l u: codes are read aloud


class Member(Struct, frozen=True):
    """A member, and what the rules may look at once the party waits."""

    id: str
    name: str
    ready: bool = False
    attributes: dict[str, Any] = {}
    latencies: dict[str, float] = {}


class PartyTicket(Struct, frozen=True):
    """The latest ticket that was made for a party."""

    game: str
    id: str


class Making(Struct, frozen=True):
    """A ticket that is about to be made for a party, since `at_ms`."""

    game: str
    id: str
    at_ms: int


class Party(Struct, frozen=True):
    """Members, the leader first, then in the order in which they came; a party without members is disbanded."""

    id: str
    code: str
    version: int
    created_ms: int
    members: list[Member]
    ticket: PartyTicket | None = None
    making: Making | None = None

    @property
    def leader(self) -> str:
        """Player id of the leader."""
        return self.members[0].id

    def member(self, player: str) -> Member:
        """A member. Raises NotFound: to others the party does not exist."""
        for member in self.members:
            if member.id == player:
                return member
        raise NotFound("you are in no such party", code="no-such-party")


def code(chance: bytes) -> str:
    """An invitation code from `CODE_LENGTH` random bytes (39 bits: guessing one of 1,000 parties takes 10^8 tries)."""
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in chance[:CODE_LENGTH])


def found(party: str, invitation: str, player: str, name: str, now_ms: int) -> Party:
    """A new party of one."""
    return Party(party, invitation, 1, now_ms, [Member(player, name)])


def join(party: Party, player: str, name: str) -> Party:
    """With one more member; who is in it already stays. Raises Conflict where it is full."""
    if any(member.id == player for member in party.members):
        return party
    if len(party.members) >= MAX_PLAYERS_PER_TICKET:
        raise Conflict(f"the party is full: it has {MAX_PLAYERS_PER_TICKET} members", code="party-full")
    return _with(party, [*party.members, Member(player, name)])


def ready(
    party: Party, player: str, *, is_ready: bool, attributes: dict[str, Any], latencies: dict[str, float]
) -> Party:
    """With a member's readiness, and what he brings for the rules. Raises NotFound."""
    old = party.member(player)
    new = replace(old, ready=is_ready, attributes=attributes, latencies=latencies)
    if new == old:
        return party
    return _with(party, [new if member is old else member for member in party.members])


def leave(party: Party, player: str) -> Party:
    """Without a member; without its last one it is disbanded. The next oldest leads. Raises NotFound."""
    party.member(player)
    return _with(party, [member for member in party.members if member.id != player])


def kick(party: Party, leader: str, player: str) -> Party:
    """Without a member whom the leader sends away. Raises NotFound, Forbidden, Conflict (himself)."""
    _must_lead(party, leader)
    if player == leader:
        raise Conflict("a leader who wants to go leaves", code="own-party")
    if not any(member.id == player for member in party.members):
        raise NotFound("there is no such member", code="no-such-member")
    return _with(party, [member for member in party.members if member.id != player])


def promote(party: Party, leader: str, player: str) -> Party:
    """Led by another member. Raises NotFound, Forbidden."""
    _must_lead(party, leader)
    if not any(member.id == player for member in party.members):
        raise NotFound("there is no such member", code="no-such-member")
    if player == leader:
        return party
    return _with(party, sorted(party.members, key=lambda member: member.id != player))


def ticket_players(party: Party, leader: str) -> list[TicketPlayer]:
    """Who the party's ticket is for. Raises NotFound, Forbidden, Conflict (somebody is not ready)."""
    _must_lead(party, leader)
    waiting_for = [member.name or member.id for member in party.members if not member.ready]
    if waiting_for:
        raise Conflict(f"not ready yet: {', '.join(waiting_for)}", code="party-not-ready")
    return [TicketPlayer(member.id, member.name, member.attributes, member.latencies) for member in party.members]


def with_making(party: Party, game: str, ticket: str, now_ms: int) -> Party:
    """With the word that a ticket is about to be made. Raises Conflict while another one is."""
    if party.ticket == PartyTicket(game, ticket) or (party.making is not None and party.making.id == ticket):
        return party
    if party.making is not None:
        raise Conflict("the party's ticket is being made at this moment", code="party-busy")
    return replace(party, making=Making(game, ticket, now_ms), version=party.version + 1)


def without_making(party: Party, ticket: str) -> Party:
    """Without the word that this ticket is about to be made."""
    if party.making is None or party.making.id != ticket:
        return party
    return replace(party, making=None, version=party.version + 1)


def with_ticket(party: Party, game: str, ticket: str) -> Party:
    """With its latest ticket, so that members find it."""
    made = PartyTicket(game, ticket)
    left = party.making if party.making is not None and party.making.id != ticket else None
    if party.ticket == made and party.making == left:
        return party
    return replace(party, ticket=made, making=left, version=party.version + 1)


def _must_lead(party: Party, player: str) -> None:
    party.member(player)
    if party.leader != player:
        raise Forbidden("only the party's leader may do this", code="not-the-leader")


def _with(party: Party, members: list[Member]) -> Party:
    return replace(party, members=members, version=party.version + 1)
