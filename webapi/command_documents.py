"""The JSON of delayed commands. PURE. `/openapi.json` is drawn from these types."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

from core.packs import Failure, Outcome
from core.packstore import Look
from webapi.documents import Rfc3339
from webapi.records import iso


class PackDocument(Struct, frozen=True):
    """A pack that is stored. `position`: among those that waited then, from 1. `repeat`: it had come before."""

    seq: int
    position: int
    repeat: bool
    outcome: Outcome
    done: int
    failure: Failure | UnsetType = UNSET


class Profile(Struct, frozen=True):
    """A player's whole state, with every accepted pack in it or skipped.

    `next_seq`, `epoch` and `balance` are what the next pack says. `now_ms` is the server's clock, by which commands are
    timed; the first one is not before `clock_ms`. `failure` is the last error.
    """

    player: str
    state: dict[str, Any]
    version: int
    epoch: int
    next_seq: int
    balance: int
    now_ms: int
    clock_ms: int
    failure: Failure | UnsetType = UNSET


class ComeBack(Struct, frozen=True):
    """Packs of the player still wait: ask again then."""

    player: str
    waiting: int
    retry_after_s: int


class Processing(Struct, frozen=True):
    """How a player's packs go. `trouble`: why the game's handler cannot be asked, where it cannot."""

    player: str
    accepted: int
    done: int
    waiting: int
    running: bool
    epoch: int
    version: int
    rev: int
    oldest_at: Rfc3339 | UnsetType = UNSET
    failure: Failure | UnsetType = UNSET
    trouble: str | UnsetType = UNSET


class Balance(Struct, frozen=True):
    """A version of a game's balance; 0 with an empty document where it has none."""

    game: str
    version: int
    document: dict[str, Any]


class NewBalance(Struct, frozen=True, forbid_unknown_fields=True):
    """The next version. `after`: the one it follows; another one's change in between is refused."""

    document: dict[str, Any]
    after: int


class HandlerKey(Struct, frozen=True):
    """What calls of the game's handler are signed with, in base 64."""

    game: str
    key: str


def processing(player: str, found: Look) -> Processing:
    """How a player's packs go, as the API tells it."""
    return Processing(
        player=player,
        accepted=found.accepted,
        done=found.done,
        waiting=found.waiting,
        running=found.running,
        epoch=found.epoch,
        version=found.version,
        rev=found.rev,
        oldest_at=iso(found.since_ms) if found.since_ms else UNSET,
        failure=found.failure or UNSET,
        trouble=found.trouble or UNSET,
    )


def profile(player: str, found: Look, balance: int, initial: str) -> Profile:
    """A drained player's profile. The state is passed on as it is stored, `initial` where he has none."""
    state: Any = Raw((found.state or initial).encode())
    return Profile(
        player=player,
        state=state,
        version=found.version,
        epoch=found.epoch,
        next_seq=found.accepted + 1,
        balance=balance,
        now_ms=found.now_ms,
        clock_ms=found.clock_ms,
        failure=found.failure or UNSET,
    )
