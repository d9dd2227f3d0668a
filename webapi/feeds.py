"""Who follows the feeds of games, and who wakes them: a ring, and a look once a second that makes good a lost one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import Unavailable
from webapi.metrics import Metrics
from webapi.waking import Waker


class Feeds:
    """All followers of this replica."""

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most = most
        self._open = metrics.streams.labels("feed")
        self._followers: dict[str, set[Waker]] = {}
        self._count = 0
        self.closing = False

    @contextmanager
    def follow(self, game: str) -> Iterator[Waker]:
        """A follower for the length of the block. Raises Unavailable at the bound."""
        if self.closing or self._count >= self._most:
            raise Unavailable("this replica has no room for another stream", code="busy")
        waker = Waker()
        self._followers.setdefault(game, set()).add(waker)
        self._count += 1
        self._open.inc()
        try:
            yield waker
        finally:
            self._followers[game].discard(waker)
            if not self._followers[game]:
                del self._followers[game]
            self._count -= 1
            self._open.dec()

    def heard(self, games: list[str]) -> None:
        """A ring: something is new in these feeds."""
        for game in games:
            for waker in self._followers.get(game, ()):
                waker.wake()

    def close(self) -> None:
        """Wake everybody to say goodbye; nobody new is let in."""
        self.closing = True
        self.heard(list(self._followers))
