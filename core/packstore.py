"""Delayed commands in Redis, as webapi and workers meet there (rows E1-E7). `core.packs` says what a pack is.

A player's facts are one hash and one list in the shard of that player, so each step on them is one function:

| field | holds |
|---|---|
| `accepted`, `done` | seq of the last pack accepted, and of the last one executed, failed or skipped |
| `epoch`, `error` | errors so far, and the last one (JSON of core.packs.Failure) |
| `state`, `version` | the player's state (JSON), and how often it was written |
| `clock`, `ran` | ms of the last command accepted, and of the last one executed |
| `token`, `owner`, `until` | who executes them: fencing token, worker, end of the lease |
| `ended` | the token under which the last result was written, so that its repeat is recognised |
| `tries`, `trouble` | how often the handler could not be asked in a row, and why |
| `asked` | ms since which the profile is waited for |
| `d<seq>`, `o<seq>` | digest and position, outcome (`e`, `f`, `s`) of the last 64 packs |
| `rev` | counts the changes, for who watches |
| `erased` | alone in the hash: the player was erased a moment ago, and nothing is written of him |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from core import keys
from core.commandspec import CommandsSpec
from core.packs import BALANCES_KEPT, OUTCOMES, PACKS_WAITING, Failure, NewPack, Outcome, accept_refused, digest

ERASED_S: Final = 600  # a player's own requests that were under way as he was erased are over by then
TAKE_BYTES: Final = 1_048_576  # of states and packs in one answer; one player's more may be above it


class Caller(Protocol):
    """What this needs of a Redis client."""

    async def call(self, function: str, base: str, *args: str | bytes | int | float) -> Any: ...

    async def do(self, *command: str | bytes | int | float) -> Any: ...


class Reload(Exception):
    """The pack was made from a state that is older than the player's last error."""

    def __init__(self, failure: Failure | None) -> None:
        super().__init__("reload")
        self.failure = failure


class Accepted(Struct, frozen=True):
    """The answer to a pack: the same for the same one, but for how far the row has come."""

    position: int
    repeat: bool
    done: int


class Look(Struct, frozen=True):
    """How a player's packs go. Times are ms; 0 where there is none."""

    accepted: int
    done: int
    epoch: int
    version: int
    running: bool
    now_ms: int
    since_ms: int
    asked_ms: int
    rev: int
    clock_ms: int
    failure: Failure | None
    trouble: str
    state: str

    @property
    def waiting(self) -> int:
        return self.accepted - self.done


class Taken(Struct, frozen=True):
    """A player's work under a lease."""

    base: str
    player: str
    token: int
    done: int
    tries: int
    state: str
    packs: list[str]


_failure: Final = msgspec.json.Decoder(Failure)


async def accept(
    db: Caller, game: str, player: str, pack: NewPack, text: bytes, *, realtime: bool, waiting: int = PACKS_WAITING
) -> Accepted:
    """Store a checked pack. Raises Reload; what `accept_refused` makes for what its row does not take; Unavailable."""
    commands = pack.commands
    times = commands[0].at_ms, commands[-1].at_ms
    how, *told = await db.call(
        "pack_accept", keys.shard(game, player), player, pack.seq, pack.epoch, *times, int(realtime),
        digest(text, pack.epoch), waiting, len(commands), text,
    )  # fmt: skip
    if how == "refused":
        if told[0] == "reload":
            raise Reload(_failure.decode(told[1]) if told[1] else None)
        raise accept_refused(told[0], pack, told[1:])
    return Accepted(told[0], how == "repeat", told[1])


async def look(db: Caller, game: str, player: str, *, profile: bool = False, initial: str = "") -> Look:
    """How a player's packs go; with `profile` his state once nothing waits, `initial` where he has none yet.

    Raises Unavailable.
    """
    base = keys.shard(game, player)
    found = await db.call("packs_look", base, player, "profile" if profile else "", initial)
    failure = _failure.decode(found[10]) if found[10] else None
    return Look(*[*found[:4], bool(found[4]), *found[5:10], failure, *found[11:]])


async def forget(db: Caller, game: str, player: str) -> None:
    """Erase a player's state and row; whoever is at them is refused. Raises Unavailable."""
    await db.call("packs_forget", keys.shard(game, player), player, ERASED_S)


async def outcome(db: Caller, game: str, player: str, seq: int) -> tuple[Outcome, int]:
    """What became of a pack, and the `rev` of that moment. Raises Unavailable."""
    key = f"{keys.shard(game, player)}:commands:{player}"
    done, letter, rev = await db.do("HMGET", key, "done", f"o{seq}", "rev")
    if seq > int(done or 0):
        return "waiting", int(rev or 0)
    return OUTCOMES[letter] if letter else "forgotten", int(rev or 0)


def take_call(base: str, owner: str, lease_s: float, players: int) -> tuple[str, str, Sequence[str | int]]:
    """The call that takes work from a shard; `taken` reads its reply."""
    return "packs_take", base, (owner, int(lease_s * 1000), players, TAKE_BYTES)


def taken(base: str, reply: list[list[Any]]) -> list[Taken]:
    """The reply to `take_call`."""
    return [Taken(*[base, *one[:5], one[5:]]) for one in reply]


def done_call(
    work: Taken, ran: int, commands: int, state: bytes | str, last_ms: int, failure: Failure | None
) -> tuple[str, str, Sequence[str | int | bytes]]:
    """The call that writes what `ran` packs came to; `failure` is of the pack after them."""
    error = msgspec.json.encode(failure) if failure else b""
    return "packs_done", work.base, (work.player, work.token, work.done, ran, commands, state, last_ms, error)


def return_call(work: Taken, after_s: float, trouble: str) -> tuple[str, str, Sequence[str | int]]:
    """The call that gives work back undone, to be tried again after so long."""
    return "packs_return", work.base, (work.player, work.token, int(after_s * 1000), trouble)


async def put_balance(db: Caller, game: str, before: int, document: bytes) -> tuple[bool, int]:
    """Write the version after `before`. Returns whether it is written, and which version runs. Raises Unavailable."""
    how, version = await db.call("balance_put", keys.balance(game), before, document, BALANCES_KEPT)
    return how != "refused", version


STATS: Final = ("packs_accepted", "packs_executed", "packs_failed", "packs_skipped")


def waiting_of(stats: Sequence[str | None]) -> int:
    """How many packs wait in a shard, from its `STATS`."""
    accepted, *over = (int(value or 0) for value in stats)
    return max(0, accepted - sum(over))


def initial_text(spec: CommandsSpec) -> str:
    """The state of a player who has none yet."""
    return msgspec.json.encode(spec.initial).decode()
