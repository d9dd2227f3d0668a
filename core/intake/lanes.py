"""What waits for one match's server, and how long anybody waits for it. PURE: time is an argument, in seconds.

A match may have WINDOW commands in its server's inbox, in their order. A server that answered nothing for BEHIND_S
while some are there gets no more: what comes then is refused at once, so that a silent one holds up nobody but itself.
After `answer_s` what it has not taken is taken back, and for as long again all that comes for it is refused.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")

WINDOW: Final = 64
BEHIND_S: Final = 4.0  # a server that expects nothing looks every 2 s


@dataclass(slots=True)
class Lane(Generic[T]):
    """One match's commands: `waiting` are not yet in its inbox, `put` are, and are not answered."""

    waiting: deque[T] = field(default_factory=deque)
    put: list[T] = field(default_factory=list)
    heard_s: float = 0.0  # the last answer, or since when one is waited for
    closed_until_s: float = 0.0

    def room(self) -> list[T]:
        """What may be put now."""
        return [self.waiting[i] for i in range(min(len(self.waiting), WINDOW - len(self.put)))]

    def was_put(self, count: int, now_s: float) -> None:
        """The first `count` of `waiting` are in the inbox."""
        if count and not self.put:
            self.heard_s = now_s
        self.put += [self.waiting.popleft() for _ in range(count)]

    def refused(self, now_s: float) -> list[T]:
        """What need not wait any longer; it leaves the lane."""
        behind = bool(self.put) and now_s - self.heard_s >= BEHIND_S
        if not behind and now_s >= self.closed_until_s:
            return []
        found = list(self.waiting)
        self.waiting.clear()
        return found

    def overdue(self, now_s: float, answer_s: float) -> bool:
        """Whether nobody waits any longer for what is put."""
        return bool(self.put) and now_s - self.heard_s >= answer_s

    def close(self, now_s: float, answer_s: float) -> None:
        """Its server is silent: nothing is put for a while."""
        self.closed_until_s = now_s + answer_s

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.put
