"""The JSON of what was counted, of what cannot be right, and of what happened to a match or a player. PURE."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from webapi.documents import Rfc3339


class MinutesQuery(Struct, frozen=True, forbid_unknown_fields=True):
    minutes: int = 60


class Analytics(Struct, frozen=True):
    """Events by the minute: `counts` has, for each name that occurred, how many in each minute since `since`.

    The names are those of docs/events.md; `damage` is a sum of hit points, `session_removed:FAILED` those of
    `session_removed` that failed, `flags` what cannot be right. `source` is where events are counted from, '' where
    nobody ever counted; `counting` whether somebody does now.
    """

    since: Rfc3339
    minutes: int
    counts: dict[str, list[float]]
    source: str
    counting: bool
    counted_at: Rfc3339 | UnsetType = UNSET  # when somebody last did; not there where nobody ever did
    game: str | UnsetType = UNSET  # of the installation where it is not there


class FlagQuery(Struct, frozen=True, forbid_unknown_fields=True):
    limit: int = 100


class Flag(Struct, frozen=True):
    """What cannot be right. `about` are the fields that docs/events.md has for the event."""

    id: str
    event: str
    at: Rfc3339
    game: str  # '' of the installation
    match: str
    player: str
    about: dict[str, Any]


class Flags(Struct, frozen=True):
    """The latest first. `counting`: whether somebody looks for them now (`python -m core.analytics`)."""

    flags: list[Flag]
    counting: bool
    counted_at: Rfc3339 | UnsetType = UNSET  # when somebody last did; not there where nobody ever did


Source = Literal["match", "ticket", "play", "login", "presence", "flag"]


class StoryEvent(Struct, frozen=True, omit_defaults=True):
    """One thing that happened. `event` as in docs/events.md; `detail` its other fields."""

    at: Rfc3339
    event: str
    source: Source
    player: str = ""
    name: str = ""  # of the player, where it is known
    ticket: str = ""
    match: str = ""
    game: str = ""
    reason: str = ""
    detail: dict[str, Any] = {}


class SearchQuery(Struct, frozen=True, forbid_unknown_fields=True):
    what: str


class Found(Struct, frozen=True):
    """Where a match or a player is: what there is a story of."""

    kind: Literal["match", "player"]
    id: str
    games: list[str]
    name: str = ""  # of a player


class Story(Struct, frozen=True):
    """What happened, in order. `partial`: more was logged than is looked through, so something may be missing."""

    events: list[StoryEvent]
    partial: bool
    game: str | UnsetType = UNSET
    match: str | UnsetType = UNSET
    player: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    matches: list[str] | UnsetType = UNSET  # of a player, the latest first
