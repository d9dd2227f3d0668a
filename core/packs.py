"""Packs of delayed commands: their form, what is stored of them, and what is told of a player's processing. PURE.

A client executes commands at once on its own copy of the state, collects them, and sends them in packs. A pack names
its place in the player's row (`seq`: 1, 2, 3, ...), the `epoch` and the version of the `balance` that its client works
with, and the moment of each command (`at_ms`, UTC milliseconds by the server's clock, which each answer tells). The
epoch counts the player's errors: a pack of an older one was made from a state that the server has not got.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from core.commandspec import ArgType, CommandKind, CommandsSpec
from core.errors import Conflict, Invalid, NotFound, TooMany

PACK_COMMANDS: Final = 100  # of one pack
PACK_BYTES: Final = 32_768  # of one pack, as it is stored
PACKS_WAITING: Final = 32  # of one player; a further one is refused until some are executed
STATE_BYTES: Final = 262_144  # of a player's state, as JSON
BALANCE_BYTES: Final = 131_072  # of a balance document, as JSON
BALANCES_KEPT: Final = 8  # versions of a game's balance that packs can still be executed with
BALANCE_GRACE_MS: Final = 3_600_000  # a client may work with a replaced version for so long
AHEAD_MS: Final = 10_000  # a client's clock may be so far ahead
DETAIL_MOST: Final = 300  # characters that a handler may say about a refusal
BACK_S: Final = 10  # a client is told to come back for its profile in so long
BACK_MOST_S: Final = 20  # ... and is not sent away for longer than that in all
TIME_MOST: Final = 2**53 - 1

Outcome = Literal["waiting", "executed", "failed", "skipped", "forgotten"]
OUTCOMES: Final[dict[str, Outcome]] = {"e": "executed", "f": "failed", "s": "skipped"}


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """One command. `at_ms`: when the client executed it, by the server's clock."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    at_ms: Annotated[int, Meta(ge=0, le=TIME_MOST)]
    args: dict[str, Any] = {}


class NewPack(Struct, frozen=True, forbid_unknown_fields=True):
    """Commands in their order. Sent again, the same pack gets the same answer."""

    seq: Annotated[int, Meta(ge=1, le=TIME_MOST)]
    epoch: Annotated[int, Meta(ge=0, le=TIME_MOST)]
    balance: Annotated[int, Meta(ge=0, le=TIME_MOST)]
    commands: Annotated[list[Command], Meta(min_length=1, max_length=PACK_COMMANDS)]


class StoredPack(Struct, frozen=True, array_like=True):
    """What waits in Redis: position in the row, balance version, and [name, at_ms, args] of each command."""

    seq: int
    balance: int
    commands: list[tuple[str, int, dict[str, Any]]]


class Failure(Struct, frozen=True):
    """A command that failed. `at_ms`: when the server found out; `index`: which command of pack `seq`, from 0."""

    seq: int
    index: int
    command: str
    code: str
    detail: str
    epoch: int = 0
    at_ms: int = 0


_TYPES: Final[dict[ArgType, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "object": (dict,),
}

_encode = msgspec.json.Encoder().encode
_stored = msgspec.json.Decoder(StoredPack).decode


def check_pack(pack: NewPack, spec: CommandsSpec, now_ms: int) -> tuple[bytes, bool]:
    """The pack as it is stored, and whether it is to be executed at once. Raises Invalid at the first wrong place."""
    realtime, before = False, 0
    for i, command in enumerate(pack.commands):
        kind = spec.kinds.get(command.name)
        if kind is None:
            raise Invalid(
                f"this game has no command {command.name!r}", pointer=f"/commands/{i}/name", code="unknown-command"
            )
        if command.args or kind.args:
            _check_args(command.args, kind, i)
        if command.at_ms < before:
            raise Invalid("commands are in the order of their times", pointer=f"/commands/{i}/at_ms", code="backwards")
        before = command.at_ms
        realtime = realtime or kind.realtime
    if before > now_ms + AHEAD_MS:
        raise Invalid(
            f"a command is {(before - now_ms) / 1000:.1f} s in the future: set the clock by `now_ms` of the profile",
            pointer=f"/commands/{len(pack.commands) - 1}/at_ms",
            code="from-the-future",
        )
    stored = StoredPack(pack.seq, pack.balance, [(it.name, it.at_ms, it.args) for it in pack.commands])
    try:
        text = _encode(stored)
    except RecursionError:
        raise Invalid("arguments are nested too deeply", pointer="/commands", code="pack-too-large") from None
    if len(text) > PACK_BYTES:
        raise Invalid(f"a pack has at most {PACK_BYTES} bytes", pointer="/commands", code="pack-too-large")
    return text, realtime


def _check_args(args: dict[str, Any], kind: CommandKind, i: int) -> None:
    for name, value in args.items():
        wanted = kind.args.get(name)
        if wanted is None:
            raise Invalid(f"there is no argument {name!r}", pointer=f"/commands/{i}/args", code="bad-arguments")
        fits = isinstance(value, _TYPES[wanted])
        if not fits or (isinstance(value, bool) and wanted != "boolean"):
            raise Invalid(
                f"{name} is a value of type {wanted}", pointer=f"/commands/{i}/args/{name}", code="bad-arguments"
            )
    if len(args) < len(kind.args):
        missing = [name for name in kind.args if name not in args and name not in kind.optional]
        if missing:
            raise Invalid(f"{missing[0]} is missing", pointer=f"/commands/{i}/args", code="bad-arguments")


def read_pack(text: str | bytes) -> StoredPack:
    """A pack as it was stored."""
    return _stored(text)


def digest(text: bytes, epoch: int) -> str:
    """Tells a pack sent again from another one with its number."""
    return hashlib.blake2b(text, digest_size=9, person=epoch.to_bytes(8, "little")).hexdigest()


def balance_versions(found: dict[str, str], now_ms: int) -> tuple[int, dict[int, str]]:
    """The running version of a game's balance (0: it has none), and the documents of all that may still be used."""
    now = int(found.get("now", 0))
    kept: dict[int, str] = {0: "{}"} if now == 0 else {}
    for name, text in found.items():
        kind, _, number = name.partition(":")
        if kind != "v":
            continue
        until = found.get(f"until:{number}")
        if until is None or now_ms <= int(until) + BALANCE_GRACE_MS:
            kept[int(number)] = text
    if now > 0 and now_ms <= int(found.get("since", 0)) + BALANCE_GRACE_MS:
        kept.setdefault(0, "{}")  # of clients that began before there was one
    return now, kept


def accept_refused(code: str, pack: NewPack, args: Sequence[str]) -> Exception:
    """The error for a pack that Redis refused. `args`: what the code tells of."""
    if code == "gap":
        return Conflict(f"pack {pack.seq} is not the next one: that is {args[0]}", code="gap")
    if code == "other-content":
        return Conflict(f"another pack {pack.seq} came before, with other content", code="other-content")
    if code == "forgotten":
        return Conflict(
            f"pack {pack.seq} came long ago, and is not remembered any more: {args[0]} came last", code="forgotten"
        )
    if code == "erased":
        return NotFound("there is no such player any more", code="no-such-player")
    if code == "future-epoch":
        return Conflict(f"the epoch is {args[0]}: no state of epoch {pack.epoch} was ever given", code="future-epoch")
    if code == "backwards":
        return Invalid(
            f"the first command is older than the last one of the pack before ({args[0]})",
            pointer="/commands/0/at_ms",
            code="backwards",
        )
    return TooMany(
        f"{PACKS_WAITING} packs wait already: send this one again later", retry_after_s=1, code="packs-waiting"
    )
