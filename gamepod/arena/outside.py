"""A command from outside, as it is handed to this server, put to the session. PURE.

It is decoded by the types that clients' messages are decoded by, and goes the way of theirs from there on.
"""

from __future__ import annotations

import msgspec

from core.errors import NotFound
from gamepod.arena.commands import Command
from gamepod.arena.session import Session


class Handed(msgspec.Struct):
    """Who does what (core.intake.messages)."""

    player: str
    command: Command


_decoder = msgspec.json.Decoder(Handed)


def take_outside(session: Session, text: str) -> str | None:
    """Queue it for the next tick. Returns `done`, or a reason of core.intake.messages and a sentence.

    None where this player has sent as much as he may for now: ask again.
    """
    try:
        handed = _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"bad-form {error}"
    if session.over:
        return "match-over the match is over"
    try:
        return "done" if session.command(handed.player, [handed.command]) else None
    except NotFound as error:
        return f"not-in-match {error.detail}"
