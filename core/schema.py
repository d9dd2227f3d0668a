"""Versions of the data in Redis, and whether this release may work on them. PURE.

The data has a newest form that may be there (`newest`: what a migration writes since it began) and an oldest one that
may still be there (`oldest`: until a migration is through). A release reads a range of forms, and runs where all that
may be there is in its range. So releases whose ranges overlap run side by side, and a migration begins only once every
running service reads what it will write. docs/upgrading.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.errors import Misconfigured

FIRST: Final = 1  # of data that was written before there was a schema version


@dataclass(frozen=True, slots=True)
class Reads:
    """Forms of data that a release understands; its migrations lead up to the newest."""

    oldest: int
    newest: int

    def __str__(self) -> str:
        if self.oldest == self.newest:
            return f"version {self.newest}"
        return f"versions {self.oldest} to {self.newest}"


READS: Final = Reads(oldest=1, newest=2)


@dataclass(frozen=True, slots=True)
class Data:
    """What form the data in Redis has. `by` is the release that brought it there, `place` how far a migration is."""

    newest: int
    oldest: int
    by: str = ""
    place: str = ""

    @property
    def migrating(self) -> bool:
        return self.oldest < self.newest


def refusal(data: Data, reads: Reads, release: str) -> Misconfigured | None:
    """Why a release must not work on this data, and what to do; None where it may."""
    if reads.newest < data.newest:
        by = f", written by Muster {data.by}" if data.by else ""
        return Misconfigured(
            f"the data in this Redis is of version {data.newest}{by}; this is Muster {release}, which reads "
            f"{reads}: run {data.by or 'a newer release'} or later here, or restore a backup from before the upgrade "
            "(docs/upgrading.md)",
            setting="REDIS_URL",
        )
    if reads.oldest > data.oldest:
        return Misconfigured(
            f"the data in this Redis is of version {data.oldest}; this is Muster {release}, which reads {reads}: "
            f"run a release first that reads version {data.oldest} and migrates it, then this one (docs/upgrading.md)",
            setting="REDIS_URL",
        )
    return None
