"""What the API tells of queues. PURE. As `webapi.documents`."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from core.insight import HeldUp, Lately, Reason
from webapi.documents import TraceId


class WhyNotYet(Struct, frozen=True):
    """Why a ticket still waits, as its matchmaker saw it `age_s` ago; `detail` says it in a sentence for people.

    `reason`: a `rule` stood in the way (the one that did most often), `teams` are short of players or of parties of a
    fitting size, the game is `full` (it has as many servers as it may), there is `no_room` for another server, this
    ticket is `behind` as many as are looked at, the game's registration is `broken`, or it is `draining`. `own` and
    `met` are the values the rule saw last: the ticket's, and what it was held against. `relaxes_in_s` is there while an
    expansion is to come: how long until its next step opens for this ticket.
    """

    reason: Reason
    detail: str
    age_s: float
    waiting_tickets: int
    waiting_players: int
    rule: str | UnsetType = UNSET
    wanted: str | UnsetType = UNSET
    own: float | str | UnsetType = UNSET
    met: float | str | UnsetType = UNSET
    times: int | UnsetType = UNSET
    relaxes_in_s: float | UnsetType = UNSET
    trace: TraceId | UnsetType = UNSET


class Queue(Struct, frozen=True):
    """A game's queue. What only its matchmaker knows is there while one works it and somebody waits, or did lately.

    `held_up` says why no match can be made, whoever waits: the game is `full`, there is `no_room` for a server, its
    registration is `broken`, it is `draining`. Percentiles and medians are of the last thousand tickets and matches
    within the window.
    """

    game: str
    waiting_tickets: int
    oldest_wait_s: float
    matchmaker: str | UnsetType = UNSET
    age_s: float | UnsetType = UNSET
    waiting_players: int | UnsetType = UNSET
    held_up: HeldUp | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    lately: Lately | UnsetType = UNSET
