"""Interactions on their way to the log: a bounded queue of numbered batches. PURE.

Interactions wait open until somebody asks for a batch or MAX_BATCH of them are together; then they are packed,
numbered and never change again, so that a batch whose acknowledgement was lost can be sent again as it was.

At the bound the newest are dropped, and counted. What is already queued is closest to being promised, a log without
holes in the middle can be replayed, and the oldest batch may be in Redis already with only its reply lost, so dropping
it could not be counted exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from core.interactions import MAX_BATCH, Interaction, pack
from gamepod.outbox import Outbox

OPEN_BYTES: Final = 400  # of memory for one interaction that is not packed yet; packed it takes about 30


class Batch(NamedTuple):
    """A packed batch. `since_s` is when the first of it came, on the caller's clock."""

    number: int
    size: int  # interactions
    payload: bytes
    since_s: float


class Backlog:
    """At most `max_interactions` and `max_bytes` of them."""

    def __init__(self, max_interactions: int, max_bytes: int) -> None:
        self.batches = Outbox[Batch](lambda batch: len(batch.payload))
        self.interactions = 0  # waiting now, never acknowledged
        self.accepted = 0  # taken in since the start
        self.dropped = 0  # refused at the bound since the start
        self._max_interactions = max_interactions
        self._max_bytes = max_bytes
        self._open: list[Interaction] = []
        self._open_since_s = 0.0
        self._sealed_bytes = 0
        self._number = 0

    @property
    def bytes(self) -> int:
        """Memory in use by what waits, the open ones as an estimate."""
        return self._sealed_bytes + len(self._open) * OPEN_BYTES

    def lag_s(self, now_s: float) -> float:
        """How long the oldest interaction has been waiting."""
        if (batch := self.batches.oldest) is not None:
            return now_s - batch.since_s
        return now_s - self._open_since_s if self._open else 0.0

    def add(self, interactions: Sequence[Interaction], now_s: float) -> int:
        """Take interactions in, in their order. Returns how many were dropped at the bound."""
        taken = 0
        while taken < len(interactions):
            room = min(
                self._max_interactions - self.interactions,
                (self._max_bytes - self.bytes) // OPEN_BYTES,
                MAX_BATCH - len(self._open),
            )
            if room <= 0:
                break
            if not self._open:
                self._open_since_s = now_s
            part = interactions[taken : taken + room]
            self._open.extend(part)
            self.interactions += len(part)
            taken += len(part)
            if len(self._open) == MAX_BATCH:
                self._seal()
        self.accepted += taken
        self.dropped += len(interactions) - taken
        return len(interactions) - taken

    @property
    def empty(self) -> bool:
        """Whether there is nothing to append, not even again."""
        return not (self.batches or self._open)

    def head(self) -> Batch | None:
        """The next batch to append. None where nothing waits."""
        if not self.batches and self._open:
            self._seal()
        return self.batches.head()

    def done(self, now_s: float) -> bool:
        """The head is in the log. Returns whether for the first time."""
        batch = self.batches.head()
        first = self.batches.done(now_s)
        if first and batch is not None:
            self._sealed_bytes -= len(batch.payload)
            self.interactions -= batch.size
        return first

    def _seal(self) -> None:
        self._number += 1
        batch = Batch(self._number, len(self._open), pack(self._open), self._open_since_s)
        self.batches.put(batch)
        self._sealed_bytes += len(batch.payload)
        self._open = []
