"""Interactions on their way to the log: a bounded queue of numbered batches. PURE.

Interactions wait open until somebody asks for a batch or MAX_BATCH of them are together; then they are packed,
numbered and never change again, so that a batch whose acknowledgement was lost can be sent again as it was.

What a batch means to views and counts (its fold) is taken while it is packed, and kept beside it until it is
acknowledged; of a long queue only the first few are kept so, the others are unpacked when their turn comes.

At the bound the newest are dropped, and counted. What is already queued is closest to being promised, a log without
holes in the middle can be replayed, and the oldest batch may be in Redis already with only its reply lost, so dropping
it could not be counted exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from core.interactions import MAX_BATCH, MOVE_TTL_S, Columns, Happening, Interaction, States, pack, read_batch
from core.views import Views
from gamepod.outbox import Outbox

OPEN_BYTES: Final = 400  # of memory for one interaction that is not packed yet; packed it takes about 25
EVENT_BYTES: Final = 600  # for one event; packed it takes about 120
MAX_EVENTS: Final = 2_000  # in a batch, and those of the call that filled it
FOLDS: Final = 4  # kept beside their batches; more batches wait only while Redis is away or slow


class Batch(NamedTuple):
    """A packed batch. `since_s` is when the first of it came, on the caller's clock."""

    number: int
    size: int  # interactions
    payload: bytes
    since_s: float


class Fold(NamedTuple):
    """What a batch means to the views and to the activity board."""

    views: Views
    counts: list[tuple[int, Sequence[str]]]  # by slot of time, who acted


class Backlog:
    """At most `max_interactions` and `max_bytes` of them."""

    def __init__(self, max_interactions: int, max_bytes: int, *, match: str = "", move_ttl_s: int = MOVE_TTL_S) -> None:
        self.batches = Outbox[Batch](lambda batch: len(batch.payload))
        self.interactions = 0  # waiting now, never acknowledged
        self.accepted = 0  # taken in since the start
        self.dropped = 0  # refused at the bound since the start
        self.events_dropped = 0  # likewise
        self._match = match
        self._move_ttl_s = move_ttl_s
        self._max_interactions = max_interactions
        self._max_bytes = max_bytes
        self._open: list[Interaction] = []
        self._events: list[Happening] = []  # of the open batch; `before` counts from its first interaction
        self._open_since_s = 0.0
        self._states: list[States] = []
        self._folds: dict[int, Fold] = {}  # by number of the batch
        self._sealed_bytes = 0
        self._number = 0

    def belong(self, match: str) -> None:
        """What is packed from now on is of this match."""
        self._match = match

    def resume(self, number: int) -> None:
        """Go on behind the last batch of an earlier life: Redis takes a number that it has for a repeat."""
        self._number = max(self._number, number)

    @property
    def bytes(self) -> int:
        """Memory in use by what waits, the open ones as an estimate."""
        return self._sealed_bytes + len(self._open) * OPEN_BYTES + len(self._events) * EVENT_BYTES

    def lag_s(self, now_s: float) -> float:
        """How long the oldest interaction has been waiting."""
        if (batch := self.batches.oldest) is not None:
            return now_s - batch.since_s
        return now_s - self._open_since_s if self._open or self._events else 0.0

    def add(self, interactions: Sequence[Interaction], now_s: float, events: Sequence[Happening] = ()) -> int:
        """Take interactions in, in their order, and `events` at their places among them. Returns how many interactions
        were dropped at the bound; events that came after one of those are dropped too."""
        taken = placed = 0
        while taken < len(interactions):
            room = min(
                self._max_interactions - self.interactions,
                (self._max_bytes - self.bytes) // OPEN_BYTES,
                MAX_BATCH - len(self._open),
            )
            if room <= 0:
                break
            part = interactions[taken : taken + room]
            while placed < len(events) and events[placed].before < taken + len(part):
                self._place(events[placed], len(self._open) + events[placed].before - taken, now_s)
                placed += 1
            if not self._open and not self._events:
                self._open_since_s = now_s
            self._open.extend(part)
            self.interactions += len(part)
            taken += len(part)
            if len(self._open) == MAX_BATCH:
                self._seal(now_s)
        if placed < len(events):
            self._place_last(events[placed:], now_s, whole=taken == len(interactions))
        self.accepted += taken
        self.dropped += len(interactions) - taken
        return len(interactions) - taken

    def _place(self, event: Happening, before: int, now_s: float) -> None:
        if self.bytes + EVENT_BYTES > self._max_bytes:
            self.events_dropped += 1
            return
        if not self._open and not self._events:
            self._open_since_s = now_s
        self._events.append(event._replace(before=before))

    def _place_last(self, events: Sequence[Happening], now_s: float, *, whole: bool) -> None:
        """Those that come after all interactions that were taken in; `whole`: none was dropped before them."""
        if not whole:
            self.events_dropped += len(events)
            return
        for event in events:
            self._place(event, len(self._open), now_s)
        if len(self._events) >= MAX_EVENTS:
            self._seal(now_s)

    def add_states(self, states: Sequence[States]) -> None:
        """Put these into the next batch, in place of any that wait for it."""
        self._states = list(states)

    @property
    def states_wait(self) -> bool:
        """Whether the next batch has its states."""
        return bool(self._states)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to append, not even again."""
        return not (self.batches or self._open or self._events or self._states)

    def seal(self, now_s: float) -> None:
        """Make a batch of what is open, unless some wait that were never acknowledged: this one will be full, then."""
        if self.batches.oldest is None and (self._open or self._events or self._states):
            self._seal(now_s)

    def head(self) -> Batch | None:
        """The next batch to append. None where none is sealed."""
        return self.batches.head()

    def done(self, now_s: float) -> Fold | None:
        """The head is in the log. Returns what it means where this is the first time, else None."""
        batch = self.batches.head()
        if not self.batches.done(now_s) or batch is None:
            return None
        self._sealed_bytes -= len(batch.payload)
        self.interactions -= batch.size
        fold = self._folds.pop(batch.number, None)
        if fold is None:
            found = read_batch(batch.payload)
            fold = self._fold(Columns(found.interactions), found.states)
        return fold

    def _seal(self, now_s: float) -> None:
        self._number += 1
        opened, states, events = self._open, self._states, self._events
        self._open, self._states, self._events = [], [], []
        columns = Columns(opened)
        payload = pack(columns, states, move_ttl_s=self._move_ttl_s, events=events)
        since_s = self._open_since_s if opened or events else now_s
        self.batches.put(Batch(self._number, len(opened), payload, since_s))
        self._sealed_bytes += len(payload)
        if len(self._folds) < FOLDS:
            self._folds[self._number] = self._fold(columns, states)

    def _fold(self, columns: Columns, states: Sequence[States]) -> Fold:
        views = Views()
        views.add(columns)
        for some in states:
            views.add_states(some, self._match)
        return Fold(views, columns.counts())
