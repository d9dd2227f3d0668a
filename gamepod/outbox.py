"""Numbered messages to Redis: sent in order until each is acknowledged, and kept for a while after that. PURE.

An acknowledgement is not the last word. A replica that takes over has not seen the last moments of its primary, and an
append-only file with `everysec` is written up to two seconds late while the disk is slow: a Redis that is killed then
has lost what it acknowledged. So what was acknowledged lately is kept, and sent again when Redis turns out not to have
it. Numbers tell: it refuses a message whose predecessor is missing, and recognises one that it has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

KEEP_S: Final = 10.0  # longer than any file is written late, and than a fail-over takes to be seen
KEEP_BYTES: Final = 1024 * 1024  # of one outbox; six seconds of 100 players at 60 Hz


class Numbered(Protocol):
    """A message; numbers go up by one."""

    @property
    def number(self) -> int: ...


T = TypeVar("T", bound=Numbered)


class Outbox(Generic[T]):
    """`weigh` gives the bytes that a message takes."""

    def __init__(self, weigh: Callable[[T], int]) -> None:
        self._weigh = weigh
        self._waiting: deque[T] = deque()  # never acknowledged
        self._again: deque[T] = deque()  # acknowledged once, and in doubt; older than all that wait
        self._kept: deque[tuple[float, T]] = deque()  # acknowledged when; older than those
        self._kept_bytes = 0

    def __len__(self) -> int:
        """Messages to send."""
        return len(self._again) + len(self._waiting)

    @property
    def oldest(self) -> T | None:
        """The first that was never acknowledged."""
        return self._waiting[0] if self._waiting else None

    def put(self, message: T) -> None:
        """Take a message in, behind the others."""
        self._waiting.append(message)

    def head(self) -> T | None:
        """The next message to send: the same one until `done`, or until those before it are in doubt."""
        return self._again[0] if self._again else self.oldest

    def done(self, now_s: float) -> bool:
        """The head is acknowledged. Returns whether for the first time."""
        first = not self._again
        message = (self._again or self._waiting).popleft()
        self._kept.append((now_s, message))
        self._kept_bytes += self._weigh(message)
        # The newest always stays: `doubt` asks by it.
        while len(self._kept) > 1 and (self._kept[0][0] < now_s - KEEP_S or self._kept_bytes > KEEP_BYTES):
            self._kept_bytes -= self._weigh(self._kept.popleft()[1])
        return first

    def rewind(self, last: int) -> int:
        """Redis has the messages up to `last` only: those after it that are kept go first. Returns how many."""
        count = 0
        while self._kept and self._kept[-1][1].number > last:
            _, message = self._kept.pop()
            self._kept_bytes -= self._weigh(message)
            self._again.appendleft(message)
            count += 1
        return count

    def doubt(self) -> None:
        """Redis may have lost something: the newest message that it acknowledged is sent again, and will tell."""
        if self._kept and not self._again:
            self.rewind(self._kept[-1][1].number - 1)
