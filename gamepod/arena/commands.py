"""What a player may ask for, and why it may be refused.

The commands are msgspec structs so that the wire decoder fills them directly: at 60 Hz and a hundred
players a second copy of each would cost more than applying it. Angles on this surface are degrees,
counter-clockwise from east; inside the simulation they are radians.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class MoveCommand(msgspec.Struct, tag="move", tag_field="type", forbid_unknown_fields=True, gc=False):
    """Steer: it holds until the next `move`, or until the control timeout passes."""

    throttle: float  # -1 (full reverse) to 1 (full ahead)
    turn: float = 0.0  # -1 (right) to 1 (left), share of the turn rate
    sprint: bool = False  # faster ahead while stamina lasts
    aim: float | None = None  # degrees; the gun follows at once


class ShootCommand(msgspec.Struct, tag="shoot", tag_field="type", forbid_unknown_fields=True, gc=False):
    """Fire once: at a named target, else along `aim`, else along the present aim."""

    target: int | None = None  # slot of a tank
    aim: float | None = None  # degrees; must be absent when `target` is given


class OfferCommand(msgspec.Struct, tag="offer", tag_field="type", forbid_unknown_fields=True):
    """Offer items to a player near by. An item is a kind (`shell`) or a unique one (`sword#excalibur`)."""

    to: int  # slot of a tank
    give: dict[str, int] = {}  # item -> quantity
    get: dict[str, int] = {}


class AcceptCommand(msgspec.Struct, tag="accept", tag_field="type", forbid_unknown_fields=True, gc=False):
    """Agree to an offer that was made to you."""

    offer: int


class DeclineCommand(msgspec.Struct, tag="decline", tag_field="type", forbid_unknown_fields=True, gc=False):
    """Decline an offer that was made to you, or withdraw your own."""

    offer: int


TradeCommand = OfferCommand | AcceptCommand | DeclineCommand
Command = MoveCommand | ShootCommand | TradeCommand


class Refusal(StrEnum):
    """Why a command was not applied. The values are labels of the metric and words of the protocol."""

    BAD_VALUE = "bad-value"  # NaN, infinite or absurd
    TOO_FAST = "too-fast"  # asks for more than full speed or full turn
    OUT_OF_WINDOW = "out-of-window"  # the sequence number jumps too far ahead
    TOO_MANY = "too-many-commands"  # over the bound per tick or per second
    DESTROYED = "destroyed"  # the player's own tank waits for its respawn
    MATCH_OVER = "match-over"
    NOT_IN_MATCH = "not-in-match"  # whoever sends it has no tank here
    UNKNOWN_TARGET = "unknown-target"
    SELF_TARGET = "self-target"
    FRIENDLY_TARGET = "friendly-target"
    TARGET_DESTROYED = "target-destroyed"
    OUT_OF_RANGE = "out-of-range"
    NO_LINE_OF_SIGHT = "no-line-of-sight"
    COOLDOWN = "cooldown"
    NOT_ENOUGH_MANA = "not-enough-mana"
    NOT_ENOUGH_STAMINA = "not-enough-stamina"
    NO_TRADE = "no-trade"  # this match has none
    OFFER_OPEN = "offer-open"  # the player's last offer is not over
    UNKNOWN_OFFER = "unknown-offer"  # not open, or not this player's to answer
