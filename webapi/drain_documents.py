"""Documents of drains: an order, and how far it is."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from core.drain import Queues
from webapi.documents import Rfc3339


class NewDrain(Struct, frozen=True, forbid_unknown_fields=True):
    """Make no new match from now on.

    `queue`: `keep`, tickets wait on, and new ones are taken; `end`: they end, and new ones are refused. What still runs
    after `deadline_s` is ended; without it matches run to their own end. Given again it replaces the order before.
    """

    queue: Queues = "keep"
    deadline_s: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    note: Annotated[str, Meta(max_length=200)] = ""


class DrainOrder(Struct, frozen=True):
    """What makes no new match, since when, and until when its matches may last. `note` is for people."""

    since: Rfc3339
    queue: Queues
    note: str
    deadline: Rfc3339 | UnsetType = UNSET


class GameDrain(Struct, frozen=True):
    """A game's drain: its own order and the installation's together; without `drain` there is none.

    `done`: it is drained for some seconds, nothing runs or stands ready, and where its queue is to end, nobody waits.
    """

    game: str
    installation: bool  # the installation's order applies
    waiting_tickets: int
    live_matches: int
    idle_servers: int
    done: bool
    drain: DrainOrder | UnsetType = UNSET


class InstallationDrain(Struct, frozen=True):
    """The installation's drain. Sums are over all games; `games` are those with an order of their own, or with
    something left: the first thousand by id.
    """

    waiting_tickets: int
    live_matches: int
    idle_servers: int
    done: bool
    games: list[GameDrain]
    drain: DrainOrder | UnsetType = UNSET
