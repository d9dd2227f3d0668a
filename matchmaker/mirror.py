"""The queue of one game as its owner knows it: read whole once, then what changed since.

Redis says which tickets changed (`queue_changes`) and what they are now, so what is told late, twice or out of order
ends up the same. Where it cannot say (a first look, an owner that fell too far behind, a fail-over that lost the end of
the stream) the queue is read again. What the owner itself takes out (a claim) it takes out of here too.

Bounded: at most `most` tickets are kept, the oldest; of a longer queue the rest are read when half of these are gone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from core.model import Waiting
from matchmaker.store import GameStore, Queued

CHANGES: Final = 1000  # read in one round trip: 0.5 MB, and 3 ms of Redis
WHOLE: Final = 1000  # tickets of a whole queue in one round trip


class Mirror(Mapping[str, Waiting]):
    """See the module. `came` and `went` are told of each ticket as it comes, changes (went, came) or goes."""

    def __init__(
        self, store: GameStore, most: int, came: Callable[[Waiting], object], went: Callable[[str], object]
    ) -> None:
        self._store, self._most, self._came, self._went = store, most, came, went
        self._place = ""
        self._tickets: dict[str, Waiting] = {}
        self._quiet: set[str] = set()  # of them, those whose players do not know yet that somebody searches
        self._ages: list[tuple[int, str]] = []  # a heap; entries of tickets that went, or changed, are passed over
        self._cut = False  # there are more than `most`
        self._asked: set[str] = set()  # matches whose request for players changed
        self._asked_anew = False  # ... or any may have

    def __len__(self) -> int:
        return len(self._tickets)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tickets)

    def __getitem__(self, ticket: str) -> Waiting:
        return self._tickets[ticket]

    @property
    def cut(self) -> bool:
        """Whether more tickets wait than are kept here."""
        return self._cut

    @property
    def unsearched(self) -> set[str]:
        """Tickets that are QUEUED still."""
        return self._quiet

    async def read(self) -> bool:
        """Catch up. Returns whether anything changed. Raises Unavailable; what was read until then is kept."""
        if self._cut and len(self._tickets) <= self._most // 2:
            self._place = ""
        changed = False
        more = True
        while more:
            changes = await self._store.queue_changes(self._place, CHANGES, self._most)
            if changes.whole is not None:
                await self._read_whole(changes.whole)
            changed = self._take_in(changes.found) or changes.whole is not None or changed
            self._asked.update(changes.asked)
            self._asked_anew = self._asked_anew or changes.whole is not None
            self._place, more = changes.place, changes.more
        return changed

    def take_asked(self) -> tuple[set[str], bool]:
        """Matches whose request for players changed since the last call, and whether any other may have, too."""
        taken = self._asked, self._asked_anew
        self._asked, self._asked_anew = set(), False
        return taken

    def oldest_ms(self) -> int | None:
        """Since when the oldest waits; None where nobody waits."""
        while self._ages:
            since_ms, ticket = self._ages[0]
            if (there := self._tickets.get(ticket)) is not None and there.since_ms == since_ms:
                return since_ms
            heapq.heappop(self._ages)
        return None

    def overdue(self, before_ms: int, most: int) -> list[str]:
        """At most so many tickets that wait since `before_ms` or longer."""
        found: list[str] = []
        while len(found) < most and (oldest := self.oldest_ms()) is not None and oldest <= before_ms:
            _, ticket = heapq.heappop(self._ages)
            found.append(ticket)
        for ticket in found:  # they stay until they are known to be gone
            heapq.heappush(self._ages, (self._tickets[ticket].since_ms, ticket))
        return found

    def drop(self, tickets: Iterable[str]) -> None:
        """These do not wait any more."""
        for ticket in tickets:
            if self._tickets.pop(ticket, None) is not None:
                self._quiet.discard(ticket)
                self._went(ticket)

    def searched(self, tickets: Iterable[str]) -> None:
        """The players of these have been told."""
        self._quiet.difference_update(tickets)

    async def _read_whole(self, ids: Sequence[str]) -> None:
        self._cut = len(ids) >= self._most
        self.drop(self._tickets.keys() - set(ids))
        for i in range(0, len(ids), WHOLE):
            self._take_in(await self._store.waiting(ids[i : i + WHOLE]))

    def _take_in(self, found: Sequence[Queued | str]) -> bool:
        changed = False
        for item in found:
            if isinstance(item, str):
                changed = changed or item in self._tickets
                self.drop([item])
                continue
            ticket = item.ticket
            known = self._tickets.get(ticket.id)
            if known is None and len(self._tickets) >= self._most:
                self._cut = True
                continue
            (self._quiet.discard if item.searched else self._quiet.add)(ticket.id)
            if known is not None and known.since_ms == ticket.since_ms:
                continue  # its players never change
            if known is not None:
                self._went(ticket.id)
            self._tickets[ticket.id] = ticket
            heapq.heappush(self._ages, (ticket.since_ms, ticket.id))
            self._came(ticket)
            changed = True
        return changed
