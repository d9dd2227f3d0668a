"""Who follows what, and who wakes them: a ring of the doorbell. A follower that misses one looks by itself, later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

from core.errors import TooMany, Unavailable
from webapi.waking import Waker


class Follower(Waker):
    """One that is woken for each of its topics: feeds of games, players, tickets."""

    __slots__ = ("topics",)

    def __init__(self) -> None:
        super().__init__()
        self.topics: set[str] = set()


class Followers:
    """All of one kind in this replica; `most` in all, and `most_each` of one asker."""

    def __init__(self, most: int, most_each: int, shown: Gauge) -> None:
        self._most, self._most_each, self._open = most, most_each, shown
        self._by_topic: dict[str, set[Follower]] = {}
        self._by_asker: Counter[str] = Counter()
        self._count = 0
        self.closing = False

    @contextmanager
    def follow(self, topics: Iterable[str], asker: str) -> Iterator[Follower]:
        """A follower for the length of the block. Raises Unavailable, TooMany at the bounds."""
        if self.closing or self._count >= self._most:
            raise Unavailable("this replica has no room for another stream", code="busy")
        if self._by_asker[asker] >= self._most_each:
            raise TooMany(f"you have {self._most_each} streams open", code="too-many-streams")
        follower = Follower()
        self.turn_to(follower, topics)
        self._count += 1
        self._by_asker[asker] += 1
        self._open.inc()
        try:
            yield follower
        finally:
            self.turn_to(follower, ())
            self._count -= 1
            self._by_asker[asker] -= 1
            if not self._by_asker[asker]:
                del self._by_asker[asker]
            self._open.dec()

    def turn_to(self, follower: Follower, topics: Iterable[str]) -> None:
        """Have it woken for these, and for no others."""
        wanted = set(topics)
        for topic in follower.topics - wanted:
            self._by_topic[topic].discard(follower)
            if not self._by_topic[topic]:
                del self._by_topic[topic]
        for topic in wanted - follower.topics:
            self._by_topic.setdefault(topic, set()).add(follower)
        follower.topics = wanted

    def heard(self, topics: Iterable[str]) -> None:
        """A ring for these."""
        for topic in topics:
            for follower in self._by_topic.get(topic, ()):
                follower.wake()

    def close(self) -> None:
        """Wake everybody to say goodbye; nobody new is let in."""
        self.closing = True
        self.heard(list(self._by_topic))
