"""The JSON that the API takes and gives. PURE. `/openapi.json` is drawn from these types.

What comes in refuses unknown fields, so a typing mistake is told; what goes out omits what is not there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from core.lifecycle import MatchState, TicketState
from core.model import MAX_ATTRIBUTES, Connection, GameSpec, Role

# Rules beyond the length are in webapi.names; this bounds what is looked at.
Text = Annotated[str, Meta(min_length=1, max_length=128)]
Attributes = Annotated[dict[str, str | float | list[str] | dict[str, float]], Meta(max_length=MAX_ATTRIBUTES)]
Latencies = Annotated[dict[str, Annotated[float, Meta(ge=0, le=60_000)]], Meta(max_length=64)]
Rfc3339 = Annotated[str, Meta(description="UTC, RFC 3339 with milliseconds", extra_json_schema={"format": "date-time"})]
TraceId = Annotated[
    str, Meta(pattern="^[0-9a-f]{32}$", description="W3C trace id: in logs it is what this is found by")
]
SettableRole = Literal["player", "developer"]
PlayerId = Annotated[str, Meta(max_length=64)]


class NewAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """A name of 3-32 printable characters, unique whatever its case, and a password of 8-128 characters.

    The code of an invitation makes a developer.
    """

    name: Text
    password: Text
    role: SettableRole = "player"
    invitation: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class NewRole(Struct, frozen=True, forbid_unknown_fields=True):
    role: SettableRole


class NamedAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """A name as it is entered: whatever its case."""

    name: Text


class NewGuest(Struct, frozen=True, forbid_unknown_fields=True):
    """A guest may choose a name to be seen by; it need not be unique."""

    name: Text | None = None


class Credentials(Struct, frozen=True, forbid_unknown_fields=True):
    name: Text
    password: Text


class RefreshToken(Struct, frozen=True, forbid_unknown_fields=True):
    refresh_token: Annotated[str, Meta(min_length=1, max_length=512)]


class Session(Struct, frozen=True):
    """Who you are now. Send `access_token` as Bearer; it is good for `expires_in` seconds."""

    player: str
    name: str
    role: Role
    access_token: str
    refresh_token: str
    expires_in: int


class Account(Struct, frozen=True):
    player: str
    name: str
    role: Role
    guest: bool
    created_at: Rfc3339


class NewGame(GameSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registration: the id and, beside it, the fields of the spec (that is why it inherits them)."""

    id: Annotated[str, Meta(min_length=1, max_length=40, pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]

    @property
    def game(self) -> str:
        """The game that this is about, as other documents name it."""
        return self.id

    def spec(self) -> GameSpec:
        return GameSpec(**{name: getattr(self, name) for name in GameSpec.__struct_fields__})


class Registration(Struct, frozen=True):
    """A game. Of the server's program only its owner and admins see command, args and env.

    `warnings` tell of rules that nobody, or not everybody, can satisfy: the game is registered all the same.
    """

    id: str
    owner: str
    version: int
    created_at: Rfc3339
    updated_at: Rfc3339
    spec: GameSpec
    warnings: list[str]


class Registrations(Struct, frozen=True):
    games: list[Registration]


class NewTicket(Struct, frozen=True, forbid_unknown_fields=True):
    """Wait for a match. With `party` (its code) the whole party waits; only its leader may ask, once all are ready.

    A party waits in one game at a time: a ticket for another ends the one before.
    """

    game: Annotated[str, Meta(min_length=1, max_length=40)]
    attributes: Attributes = {}
    latencies: Latencies = {}
    party: Annotated[str, Meta(min_length=1, max_length=32)] | None = None


class Person(Struct, frozen=True):
    id: str
    name: str


class Acceptance(Struct, frozen=True):
    """Of the match's `players` so many have `accepted`; `yours` tells whether the caller has. Later is too late."""

    accepted: int
    players: int
    until: Rfc3339
    yours: bool


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether you want the match that was found. With `match` an answer that comes late is never for another one."""

    accept: bool
    match: Annotated[str, Meta(max_length=64)] = ""


class Ticket(Struct, frozen=True):
    """`seq` counts the changes. `acceptance` while the players are asked, `connection` and `join_token` (the caller's
    own) while the match can be joined.
    """

    id: str
    game: str
    status: TicketState
    seq: int
    created_at: Rfc3339
    waited_s: float
    reason: str
    tries: int
    players: list[Person]
    trace: TraceId
    match: str | UnsetType = UNSET
    acceptance: Acceptance | UnsetType = UNSET
    connection: Connection | UnsetType = UNSET
    join_token: str | UnsetType = UNSET


class TicketEvent(Struct, frozen=True):
    """A change of a ticket, as its stream tells. While the players are asked each says how many have accepted; the last
    one of a ticket that can be joined says where and how.
    """

    seq: int
    at: Rfc3339
    status: TicketState
    event: str
    reason: str
    match: str | UnsetType = UNSET
    acceptance: Acceptance | UnsetType = UNSET
    connection: Connection | UnsetType = UNSET
    join_token: str | UnsetType = UNSET


class TeamOfMatch(Struct, frozen=True):
    name: str
    players: list[Person]


class MatchDocument(Struct, frozen=True):
    """A match. `result` is what its server said at the end, `report` what the game itself told of its players.

    `figures` are what the server last told of itself. `rating` is there once a match of a game with ratings was looked
    at: `rated`, or why it moved none. `backfill_since` while it asks for players in place of those who left.
    """

    id: str
    game: str
    game_version: int
    state: MatchState
    reason: str
    teams: list[TeamOfMatch]
    trace: TraceId
    created_at: Rfc3339
    ready_at: Rfc3339 | UnsetType = UNSET
    ended_at: Rfc3339 | UnsetType = UNSET
    backfill_since: Rfc3339 | UnsetType = UNSET
    result: Any = UNSET
    report: Any = UNSET
    rating: str | UnsetType = UNSET
    figures: Any = UNSET


class Matches(Struct, frozen=True):
    """Live matches, then the latest that were over."""

    matches: list[MatchDocument]


class Backfill(Struct, frozen=True):
    """A running match's request for players. It is over when it is filled, withdrawn or replaced, or with the match."""

    game: str
    match: str
    request: str
    created_at: Rfc3339


class Position(Struct, frozen=True):
    id: str
    lat: float
    lon: float
    at: Rfc3339


class PlayerViews(Struct, frozen=True):
    """What a game last wrote of a player: his state in play, and his position while it is fresh."""

    player: str
    name: str
    state: dict[str, str]
    position: Position | UnsetType = UNSET


class NewParty(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to say yet."""


class MemberReady(Struct, frozen=True, forbid_unknown_fields=True):
    """Ready or not, and what the rules may look at when the party's ticket is made."""

    ready: bool = True
    attributes: Attributes = {}
    latencies: Latencies = {}


class Kick(Struct, frozen=True, forbid_unknown_fields=True):
    player: PlayerId


class Promotion(Struct, frozen=True, forbid_unknown_fields=True):
    player: PlayerId


class Invite(Struct, frozen=True, forbid_unknown_fields=True):
    """The name of the account to invite, whatever its case. Guests have none: give them the code."""

    name: Text


class InvitationDocument(Struct, frozen=True):
    """Join the party by its code, or not; after an hour it is forgotten."""

    code: str
    by: Person
    at: Rfc3339


class InvitationDocuments(Struct, frozen=True):
    """The newest first."""

    invitations: list[InvitationDocument]


class Member(Struct, frozen=True):
    id: str
    name: str
    ready: bool


class TicketOfParty(Struct, frozen=True):
    game: str
    id: str


class PartyDocument(Struct, frozen=True):
    """A party. `ticket` is the latest one its leader made."""

    code: str
    leader: str
    members: list[Member]
    created_at: Rfc3339
    ticket: TicketOfParty | UnsetType = UNSET


def encode(document: Any) -> bytes:
    """The JSON of a document."""
    return msgspec.json.encode(document)
