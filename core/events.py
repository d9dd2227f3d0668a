"""The event log: what happened, as documents that leave Muster. PURE.

Facts are appended to a stream of Redis in the step that makes them true (for presence one stream a shard, bounded),
compact, and become the typed documents here when they are read. An event's id says what happened and not when it was
written: one that was reported twice, because Redis lost its last second or a reader died, has the same id both times.
So whoever gets events does so at least once and tells them apart by their ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct


class PlayerOnline(Struct, frozen=True, tag="player_online"):
    """A player was heard of in a game for the first time, or again after he was offline. Times in UTC ms."""

    id: str
    game: str
    player: str
    at_ms: int


class PlayerOffline(Struct, frozen=True, tag="player_offline"):
    """A player was not heard of for the time-out. His session lasted from `began_ms` until `heard_ms`."""

    id: str
    game: str
    player: str
    at_ms: int  # when it was reported
    began_ms: int
    heard_ms: int


Event: TypeAlias = PlayerOnline | PlayerOffline

decoder: Final = msgspec.json.Decoder(Event)


def read_presence(entry: str, fields: dict[str, str]) -> Event:
    """The document of an entry of a presence shard's stream; `entry` is its id there."""
    game, _, player = fields["m"].partition("/")
    began, heard, at = int(fields["s"]), int(float(fields["l"])), int(entry.partition("-")[0])
    if fields["k"] == "on":
        return PlayerOnline(f"on-{game}-{player}-{began}", game, player, at)
    return PlayerOffline(f"off-{game}-{player}-{began}", game, player, at, began, heard)


def entries(reply: Iterable[Sequence[Any]]) -> list[tuple[str, dict[str, str]]]:
    """Ids and fields of what XRANGE gave, whichever protocol it came by."""
    found = []
    for entry, flat in reply:
        pairs = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
        found.append((str(entry), pairs))
    return found


def encode(event: Event) -> bytes:
    """The JSON of an event, as feeds, webhooks and streams have it."""
    return msgspec.json.encode(event)
