"""The JSON of presence: heartbeats, play-time, and the webhook of a game. PURE."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from core.playtime import Why
from webapi.documents import Rfc3339

Day = Annotated[str, Meta(description="a day of the game's clock", extra_json_schema={"format": "date"})]


class Beat(Struct, frozen=True, forbid_unknown_fields=True):
    """A player is there, in this game."""

    game: Annotated[str, Meta(min_length=1, max_length=40)]


class Play(Struct, frozen=True):
    """What the game's play-time limits mean for the player now.

    `warn`: it will not be for much longer, `left_s` at most. Where it is not `allowed`, a ticket is refused until
    `retry_after_s` have gone by. `why` is the limit that does it, or will first: `daily` or `curfew`.
    """

    allowed: bool
    warn: bool
    why: Why
    left_s: int | UnsetType = UNSET
    retry_after_s: int | UnsetType = UNSET


class Beaten(Struct, frozen=True):
    """The next heartbeat is wanted within `interval_s`; without one for `timeout_s` the player is offline.

    `play` is there where the game has limits to play-time that apply to the player.
    """

    interval_s: float
    timeout_s: float
    play: Play | UnsetType = UNSET


class Online(Struct, frozen=True):
    game: str
    online: int


class PlayedDay(Struct, frozen=True):
    day: Day
    played_s: int


class PlayedSession(Struct, frozen=True):
    began_at: Rfc3339
    ended_at: Rfc3339
    played_s: int


class Playtime(Struct, frozen=True):
    """How long a player played a game: by day of the game's clock (`utc_offset_min` ahead of UTC), the newest first,
    the running session included; and the latest sessions that are over. Kept for 40 days.
    """

    game: str
    player: str
    online: bool
    limited: bool
    utc_offset_min: int
    days: list[PlayedDay]
    sessions: list[PlayedSession]
    since: Rfc3339 | UnsetType = UNSET
    heard_at: Rfc3339 | UnsetType = UNSET
    play: Play | UnsetType = UNSET


class Limited(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the game's limits to play-time apply to a player, where they apply to listed players only."""

    limited: bool


class NewHook(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a game's events are to be delivered: an https URL without credentials or fragment."""

    url: Annotated[str, Meta(min_length=1, max_length=1024)]


class Hook(Struct, frozen=True):
    """A game's webhook. `secret` is told once, to who sets the URL: deliveries are signed with it.

    `waiting` events are to be delivered, `delivered` ones were; `dead` deliveries were given up and are kept.
    """

    url: str
    waiting: int
    delivered: int
    dead: int
    tries: int
    error: str
    secret: str | UnsetType = UNSET


class DeadDelivery(Struct, frozen=True):
    """A delivery that was given up; `error` is what the last attempt came to."""

    id: str
    at: Rfc3339
    tries: int
    error: str
    events: list[Any]


class DeadDeliveries(Struct, frozen=True):
    """The oldest first."""

    deliveries: list[DeadDelivery]


class Replay(Struct, frozen=True, forbid_unknown_fields=True):
    """Which deliveries are to be made once more; none named: all that were given up."""

    ids: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=1000)] = []


class Replayed(Struct, frozen=True):
    replayed: int
