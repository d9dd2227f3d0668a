"""What a flusher counts, for the metrics."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from msgspec import Struct, field

# Bounds of the histogram: close together around what is promised, 50 ms.
ACK_S: Final = (0.005, 0.01, 0.02, 0.03, 0.035, 0.04, 0.045, 0.05, 0.06, 0.07, 0.08, 0.1, 0.15, 0.25, 1.0, 10.0)


class FlushStats(Struct):
    """Counters since the start."""

    batches: int = 0  # acknowledged by the log
    written: int = 0  # interactions in them
    failures: int = 0  # calls that failed and were, or will be, repeated
    again: int = 0  # batches and counts that Redis had acknowledged, and lost
    unread: int = 0  # batches that the log let go before a registered reader had read them
    readers_dropped: int = 0  # readers of the log that were silent for too long
    away_since_s: float | None = None  # monotonic; None while Redis answers
    acks: list[int] = field(default_factory=lambda: [0] * (len(ACK_S) + 1))  # batches by the age of their oldest
    ack_s: float = 0.0  # sum of those ages

    def appended(self, size: int, age_s: float) -> None:
        """A batch is in the log, `age_s` after the first of its interactions came."""
        self.batches += 1
        self.written += size
        self.acks[bisect_left(ACK_S, age_s)] += 1
        self.ack_s += age_s
