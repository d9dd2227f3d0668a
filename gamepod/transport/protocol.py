"""The wire protocol: every message between a game client and the arena, one JSON object each.

The same messages travel as UDP datagrams, as lines over TCP and as WebSocket text frames.
`docs/protocol.md` tells the story for people who write a client. This module is pure: bytes to typed
messages and back. Whatever bytes come in, `decode` returns a valid message or raises `BadMessage`, and
nothing else.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from core.errors import Invalid
from gamepod.arena.commands import Command
from gamepod.arena.delta import EventRow, FarRow, PlayerRow, TankRow
from gamepod.arena.scoring import MatchResult

NO_JSON = "no-json"  # broken JSON, no UTF-8, NaN and infinity, which JSON does not have
NO_MESSAGE = "no-message"  # a type, field or value that the protocol does not have
MAX_TOKEN_CHARS = 2048
MAX_COOKIE_CHARS = 64
MAX_COMMANDS = 32  # in one input
MAX_RATE_HZ = 120  # the fastest tick
MAX_SEQ = 2**53 - 1  # the largest whole number that JavaScript counts exactly

Sequence = Annotated[int, Meta(ge=1, le=MAX_SEQ)]


class BadMessage(Invalid):
    """The bytes are not a message of this protocol. `kind` is NO_JSON or NO_MESSAGE."""

    code = "bad-message"

    def __init__(self, detail: str, kind: str) -> None:
        super().__init__(detail)
        self.kind = kind


# ---- client to server


class Join(msgspec.Struct, tag="join", tag_field="type", forbid_unknown_fields=True):
    """Enter the match of the token. Over UDP it is sent twice: alone, then with the challenge's cookie."""

    token: Annotated[str, Meta(max_length=MAX_TOKEN_CHARS)]
    cookie: Annotated[str, Meta(max_length=MAX_COOKIE_CHARS)] = ""


class Input(msgspec.Struct, tag="input", tag_field="type", forbid_unknown_fields=True, gc=False):
    """Numbered commands: the first has number `seq`, the next `seq + 1` and so on."""

    seq: Sequence
    commands: Annotated[list[Command], Meta(max_length=MAX_COMMANDS)]


class Ping(msgspec.Struct, tag="ping", tag_field="type", forbid_unknown_fields=True):
    """Keeps a connection alive and measures its delay; `t` comes back as it was."""

    t: Annotated[float, Meta(ge=-1e15, le=1e15)]
    got: Annotated[int, Meta(ge=0, le=MAX_SEQ)] | None = None  # snapshots (ticks) that arrived since the welcome


class Rate(msgspec.Struct, tag="rate", tag_field="type", forbid_unknown_fields=True):
    """Ask for fewer snapshots than one a tick."""

    hz: Annotated[int, Meta(ge=1, le=MAX_RATE_HZ)]


class Leave(msgspec.Struct, tag="leave", tag_field="type", forbid_unknown_fields=True):
    """Give up the tank."""


ClientMessage = Join | Input | Ping | Rate | Leave


# ---- server to client


class Challenge(msgspec.Struct, tag="challenge", tag_field="type"):
    """UDP only: send the join again with this cookie. Never longer than the join it answers."""

    cookie: str


class WorldInfo(msgspec.Struct):
    """What a client must know to draw and to predict. Metres, seconds, degrees."""

    width_m: float
    height_m: float
    origin_lat: float
    origin_lon: float
    walls: tuple[tuple[float, float, float, float], ...]
    tank_radius_m: float
    max_speed_mps: float
    shot_range_m: float
    sight_m: float
    max_hit_points: float
    max_mana: float
    max_stamina: float
    score_limit: int
    time_limit_s: float


class Welcome(msgspec.Struct, tag="welcome", tag_field="type"):
    """The join is granted: forget everything known of the match, and count commands on from `ack`."""

    player: str
    slot: int
    name: str
    team: str
    match: str
    tick: int
    tick_rate: int  # Hz
    ack: int
    accepted: int
    server_ms: int  # UTC
    played_ms: int  # since the first player joined: the time limit counts from there
    players: int  # present; their rows follow in a full snapshot
    world: WorldInfo


class You(msgspec.Struct):
    """What only this player is told, once per tick."""

    mana: float
    stamina: float
    speed: float  # metres per second, negative backwards
    cooldown_ms: int
    respawn_ms: int
    lat: float
    lon: float
    refused: int  # commands refused since the match began
    last_refusal: str = ""


class Snapshot(msgspec.Struct, tag="snapshot", tag_field="type"):
    """What changed. A row replaces what is known of its slot; a tick may come in several datagrams."""

    tick: int
    ack: int
    accepted: int
    changed: list[TankRow] = []
    removed: list[int] = []
    players: list[PlayerRow] = []
    events: list[EventRow] = []
    far: list[FarRow] = []
    you: You | None = None
    every: int = 1
    full: bool = False


class Trade(msgspec.Struct, tag="trade", tag_field="type"):
    """How an offer between you and another player stands. A later one of the same `offer` replaces it."""

    offer: int
    state: str
    by: int  # slot of who offered
    to: int
    give: dict[str, int]  # what `by` gives
    get: dict[str, int]
    until: int  # tick at which it expires, while it is `offered`
    reason: str = ""


class Inventory(msgspec.Struct, tag="inventory", tag_field="type"):
    """What you have, as last read. It may come in parts, 1 to `parts`; one of a newer `tick` replaces all."""

    tick: int
    part: int
    parts: int
    items: dict[str, int]


class Pong(msgspec.Struct, tag="pong", tag_field="type"):
    """The answer to a ping."""

    t: float
    server_ms: int  # UTC


class Error(msgspec.Struct, tag="error", tag_field="type"):
    """Something was refused; the codes are listed in `docs/protocol.md`."""

    code: str
    detail: str = ""


class Over(msgspec.Struct, tag="over", tag_field="type"):
    """The match has ended."""

    result: MatchResult


ServerMessage = Challenge | Welcome | Snapshot | Trade | Inventory | Pong | Error | Over

_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_encoder = msgspec.json.Encoder()


def decode(data: bytes) -> ClientMessage:
    """The client message in these bytes. Raises `BadMessage`."""
    try:
        return _client_decoder.decode(data)
    except msgspec.ValidationError as error:
        raise BadMessage(str(error), NO_MESSAGE) from None
    # Nesting too deep for the decoder's own check, and text that is no UTF-8, are raised as other types.
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadMessage(str(error), NO_JSON) from None


def encode(message: ServerMessage | ClientMessage) -> bytes:
    """A message as one line of JSON, without the line's end."""
    return _encoder.encode(message)
