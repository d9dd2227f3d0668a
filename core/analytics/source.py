"""Where events are read from: the logs in Redis, or the topics of Kafka; one interface.

A source has units, each of which one process reads at a time: a game's logs, or all of Kafka. A unit is read page by
page from a little before its cursors: what was counted already is only looked at again, so that what follows is judged
as if nobody had stopped (`core.analytics.judge`). Cursors are places in the logs of Redis, from where Kafka's events
are too, and are stored with the counts (`analytics_add`): what is read twice, or came to Kafka twice, counts once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from core import keys
from core.analytics.fold import Event, Place, place_of
from core.redis.client import Database

READER: Final = "analytics"  # as the logs and the leases of units know it
KAFKA: Final = "kafka"  # the source, and its one unit
HANDOVER_MS: Final = 5_000  # between the making of an epoch and its beginning
PLAY_BACK_MS: Final = 15_000  # read again of what is judged: more than places and attacks are compared over
LOGINS_BACK_MS: Final = 90_000  # likewise: logins are counted by the minute


class Epoch(NamedTuple):
    """Events are counted from one source since a moment; another source begins another epoch."""

    number: int
    since_ms: int


class Moved(Exception):
    """Somebody else counts this unit, or its parts are others now: it is to be opened again."""


class Superseded(Exception):
    """Events are counted from another source by now."""


@dataclass(slots=True)
class Book:
    """The cursors of a game as they are stored."""

    stored: dict[str, str]

    @property
    def done(self) -> dict[str, Place]:
        return {name: place_of(text) for name, text in self.stored.items()}


async def book_of(db: Database, game: str, epoch: Epoch) -> Book:
    """What is stored of a game; nothing where that is of another epoch. Raises Unavailable, Superseded."""
    found = await db.do("HGETALL", f"{keys.counted_base(game)}:analytics")
    number = int(found.pop("epoch", 0))
    if number > epoch.number:
        raise Superseded
    return Book(found if number == epoch.number else {})


@dataclass(slots=True)
class Page:
    """What was read at once. `ends`: how far that is."""

    events: dict[str, list[Event]] = field(default_factory=dict)  # by game
    ends: dict[str, dict[str, str]] = field(default_factory=dict)  # by game and cursor
    broken: int = 0  # entries that this release cannot read: passed over
    behind_s: float = 0.0  # age of the oldest of its entries


class Reading(Protocol):
    """One unit while it is read, by one task. All methods raise Unavailable; `read` also Moved and Superseded."""

    books: dict[str, Book]  # of its games

    @property
    def lost(self) -> int:
        """Entries, or records, that were gone before they were read."""

    def floor(self, cursor: str) -> Place:
        """What is not after it is not counted: it is from before the epoch."""

    async def read(self) -> Page: ...

    async def counted(self, page: Page) -> None:
        """It is in the counts: it need not be kept for us."""

    async def close(self) -> None: ...


class Source(Protocol):
    """See the module. Raises Unavailable."""

    name: str  # `redis` or `kafka`: of the epoch

    async def units(self) -> list[str]: ...

    async def open(self, unit: str, epoch: Epoch) -> Reading: ...

    async def close(self) -> None: ...
