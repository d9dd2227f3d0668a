"""Versions of a game as the API tells them. PURE."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from core.model import GameSpec
from core.versions import Outcomes
from webapi.documents import Rfc3339

Percent = Annotated[float, Meta(ge=0, le=100)]
VersionNumber = Annotated[int, Meta(ge=1, le=2**31)]


class Rollback(Struct, frozen=True, forbid_unknown_fields=True):
    """The version to go back to. It becomes a new version, equal to it."""

    version: VersionNumber


class NewCanary(Struct, frozen=True, forbid_unknown_fields=True):
    """Try `spec` on so many percent of new matches. Without `spec` the share of the one that is tried changes.

    0 percent pauses it: no new match gets it, and it is not over.
    """

    percent: Percent
    spec: GameSpec | None = None


class CanaryNamed(Struct, frozen=True, forbid_unknown_fields=True):
    """Which candidate is meant: another one that is tried by now is not."""

    version: VersionNumber


class Figures(Struct, frozen=True):
    """What came of a version's matches: made, playable, ended and failed by reason. The others run still.

    `faults` failed because of their server, `judged` ended well or by a fault.
    """

    created: int
    ready: int
    finished: dict[str, int]
    failed: dict[str, int]
    faults: int
    judged: int


class Version(Struct, frozen=True):
    """A version that is kept. `matches` are those of its whole life."""

    version: int
    at: Rfc3339
    state: str
    matches: Figures


class TriedCanary(Struct, frozen=True):
    """The candidate that is tried, and both versions' matches since it is."""

    version: int
    percent: float
    since: Rfc3339
    candidate: Figures
    current: Figures


class CanaryOver(Struct, frozen=True):
    """How the last canary ended: `promoted`, `aborted` by its developer, `stopped` because it failed too often."""

    version: int
    how: str
    why: str
    at: Rfc3339


class VersionList(Struct, frozen=True):
    """Versions newest first; the `state` of one is `current`, `canary` or `kept`."""

    game: str
    current: int
    versions: list[Version]
    canary: TriedCanary | UnsetType = UNSET
    last_canary: CanaryOver | UnsetType = UNSET


def figures(of: Outcomes) -> Figures:
    """As told."""
    return Figures(of.created, of.ready, of.finished, of.failed, of.faults, of.judged)
