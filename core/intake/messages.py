"""What outside programs may say, and why it may be refused. PURE.

A command names the game, the player who acts, and what he does; the match too, or it is the running match in which the
player has a seat. An order is an outside matchmaker's `new_match_created`: who is to play, in which teams.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple

import msgspec
import orjson
from msgspec import Meta, Struct

from core.errors import Invalid
from core.ids import is_game_id
from core.model import MAX_PLAYERS_PER_MATCH

MAX_BYTES: Final = 16_384  # of a command
MAX_ORDER_BYTES: Final = 262_144

DONE: Final = "done"  # the answer to a command that was executed; any other is `<reason> <sentence>`

# Why a message is in the dead-letter queue: a header there, and a label of the metric.
REASONS: Final = {
    "bad-form": "no JSON, or a field is missing, unknown or of another type",
    "unknown-game": "no such game is registered",
    "unknown-match": "the game has no such match",
    "no-match": "the player has a seat in no running match of the game",
    "not-begun": "the match's server is not ready",
    "match-over": "the match is over",
    "not-in-match": "the player does not play in this match, or has not joined it",
    "too-many-commands": "the player sends more than a client may",
    "takes-no-commands": "the game takes no commands from outside",
    "refused": "the game refused it, in its own words",
    "no-answer": "the match's server answered nothing in time; `taken` in the detail: it may have been executed",
    "unknown-repeat": "it was handed out before and carries nothing to tell whether it was executed",
    "unknown-player": "no such player has an account",
    "player-busy": "a player waits already, or plays",
    "wrong-teams": "these teams are not those of the game",
    "other-match": "another match was made by this id",
    "game-closed": "the game takes no players, or is drained",
    "no-room": "the game has as many servers as it may",
}

Name = Annotated[str, Meta(min_length=1, max_length=128)]


class Command(NamedTuple):
    """What a player does. `match` may be ''; `text` is what its server is handed."""

    game: str
    match: str
    player: str
    id: str  # '' where it has none
    text: str


class OrderPlayer(Struct, frozen=True):
    """Who is to play. Other fields are passed over."""

    id: Name
    name: Annotated[str, Meta(max_length=128)] = ""  # '': the account's
    team: Annotated[str, Meta(max_length=128)] = ""  # may be left out in a game of one team


class Order(Struct, frozen=True):
    """A match that an outside matchmaker made. Other fields are passed over: it is an event like ours."""

    event: str
    game: Name
    players: Annotated[list[OrderPlayer], Meta(min_length=1, max_length=MAX_PLAYERS_PER_MATCH)]
    id: Annotated[str, Meta(max_length=128)] = ""


class _Said(Struct, forbid_unknown_fields=True):
    game: Name
    player: Name
    command: dict[str, Any]
    match: Annotated[str, Meta(max_length=128)] = ""
    id: Annotated[str, Meta(max_length=256)] = ""


_KNOWN: Final = frozenset(_Said.__struct_fields__)
_order: Final = msgspec.json.Decoder(Order)


def read_command(body: bytes, message_id: str | None) -> Command:
    """The command in a message. Raises Invalid.

    `command` is an object as in the arena's protocol, {"type": "shoot", "aim": 90}, or its type, its fields beside it.
    """
    if len(body) > MAX_BYTES:
        raise _bad(f"it has {len(body)} bytes, and {MAX_BYTES} are the most")
    try:
        found = orjson.loads(body)
    except ValueError as error:
        raise _bad(f"it is no JSON: {error}") from None
    if isinstance(found, dict) and isinstance(found.get("command"), str):
        fields = {name: value for name, value in found.items() if name not in _KNOWN}
        found = {name: value for name, value in found.items() if name in _KNOWN}
        found["command"] = {"type": found["command"], **fields}
    try:
        said = msgspec.convert(found, _Said)
    except msgspec.ValidationError as error:
        raise _bad(str(error)) from None
    _check_game(said.game)
    text = orjson.dumps({"player": said.player, "command": said.command}).decode()
    return Command(said.game, said.match, said.player, message_id or said.id, text)


def read_order(body: bytes, message_id: str | None) -> Order:
    """The match that is ordered, with an id. Raises Invalid."""
    if len(body) > MAX_ORDER_BYTES:
        raise _bad(f"it has {len(body)} bytes, and {MAX_ORDER_BYTES} are the most")
    try:
        order = _order.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _bad(str(error)) from None
    if order.event != "new_match_created":
        raise _bad(f"{order.event[:64]!r} is no event that orders a match; new_match_created is")
    _check_game(order.game)
    name = order.id or (message_id or "")[:128]
    if not name or not name.isascii() or not name.isprintable() or " " in name:
        raise _bad(
            "`id`, or the property message_id, is to be your own id of the match: 1-128 characters without blanks"
        )
    twice = {one.id for one in order.players}
    if len(twice) < len(order.players):
        raise _bad("a player is in it twice")
    return msgspec.structs.replace(order, id=name)


def reason_of(answer: str) -> tuple[str, str]:
    """A server's answer that is not `DONE`, as one of REASONS and a sentence."""
    code, _, detail = answer.partition(" ")
    return (code, detail) if code in REASONS else ("refused", answer)


def _check_game(game: str) -> None:
    if not is_game_id(game):
        raise _bad(f"{game[:64]!r} is no game's id")


def _bad(detail: str) -> Invalid:
    return Invalid(detail, code="bad-form")
