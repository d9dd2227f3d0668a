"""Who waits for which ticket (or which player's packs), and who wakes them.

A ring of the doorbell wakes the waiters of the tickets it names; each then reads its ticket, and all those reads
share a round trip. A ring may be lost, so once a second one sweep asks Redis for the seq of every watched ticket and
wakes whoever was missed. The same loop tells Redis, every few seconds, that somebody waits for these tickets, and asks
whether the sessions of those who wait still live: a stream ends soon after its logout.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from core.beats import Beats
from core.clock import now_ms
from core.errors import MusterError, TooMany, Unavailable
from core.log import get
from webapi.metrics import Metrics
from webapi.settings import Settings
from webapi.store.sessions import Sessions
from webapi.store.tickets import Address
from webapi.waking import Waker

log = get("streams")

SWEEP_S: Final = 1.0  # how late a lost ring is made good
REVOKED_EVERY_SWEEPS: Final = 2  # how long a stream may outlive its session, beside a sweep
SEEN_EVERY_SWEEPS: Final = 5  # a ticket is given up after 60 s without a sign of life: eleven may fail
BEAT_S: Final = 20.0  # how often who waits counts as heard, at most
READS_KEPT: Final = 50_000  # signs of life of plain reads between two tellings; further ones are forgotten


class Watched(Protocol):
    """What can be watched: each thing counts its changes."""

    async def seqs(self, addresses: Sequence[Address]) -> list[int]:
        """How often each has changed. Raises Unavailable."""

    async def seen(self, addresses: Iterable[Address], now_ms: int) -> None:
        """Somebody waits for these. Raises Unavailable."""


@dataclass(slots=True, eq=False)
class Watcher:
    """One that waits for a ticket to change, or `asks` about it.

    `seq` is what it has seen; `ended`: its session is over.
    """

    address: Address
    player: str
    seq: int
    asks: bool = False
    session: str = ""
    ended: bool = False
    waker: Waker = field(default_factory=Waker)


class Streams:
    """All watchers of this replica. `run` is its loop."""

    def __init__(
        self,
        watched: Watched,
        sessions: Sessions,
        settings: Settings,
        metrics: Metrics,
        beats: Beats,
        kind: str = "ticket",
    ) -> None:
        self._watched, self._sessions, self._beats = watched, sessions, beats
        self._settings = settings
        self._open = metrics.streams.labels(kind)
        self._watchers: dict[str, set[Watcher]] = {}
        self._count = 0
        self._by_player: Counter[str] = Counter()
        self._read: set[Address] = set()
        self.closing = False

    @contextmanager
    def watch(
        self, address: Address, player: str, seq: int, *, asks: bool = False, session: str = ""
    ) -> Iterator[Watcher]:
        """A watcher for the length of the block. Raises TooMany, Unavailable at the bounds."""
        if self.closing or self._count >= self._settings.streams:
            raise Unavailable("this replica has no room for another stream", code="busy")
        if self._by_player[player] >= self._settings.streams_per_player:
            raise TooMany(f"you have {self._settings.streams_per_player} streams open", code="too-many-streams")
        watcher = Watcher(address, player, seq, asks, session)
        self._watchers.setdefault(address[1], set()).add(watcher)
        self._count += 1
        self._by_player[player] += 1
        self._open.inc()
        try:
            yield watcher
        finally:
            self._leave(watcher, player)

    def _leave(self, watcher: Watcher, player: str) -> None:
        ticket = watcher.address[1]
        self._watchers[ticket].discard(watcher)
        if not self._watchers[ticket]:
            del self._watchers[ticket]
        self._count -= 1
        self._by_player[player] -= 1
        if not self._by_player[player]:
            del self._by_player[player]
        self._open.dec()

    def heard(self, topic: str, ids: list[str]) -> None:
        """A ring: wake whoever waits for these tickets; that a question was answered concerns those who ask."""
        for ticket in ids:
            for watcher in self._watchers.get(ticket, ()):
                if topic != "told" or watcher.asks:
                    watcher.waker.wake()

    def was_read(self, address: Address) -> None:
        """A plain read is a sign of life too."""
        if len(self._read) < READS_KEPT:
            self._read.add(address)

    def close(self) -> None:
        """Wake everybody to say goodbye; nobody new is let in."""
        self.closing = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.waker.wake()

    async def run(self) -> None:
        """Sweep for ever. What fails is tried again at the next turn."""
        turn = 0
        beat_every = max(1, int(min(BEAT_S, self._settings.presence_interval_s / 2) / SWEEP_S))
        while True:
            await asyncio.sleep(SWEEP_S)
            turn += 1
            if turn % beat_every == 0:
                self.beat()
            try:
                await self.sweep()
                if turn % REVOKED_EVERY_SWEEPS == 0:
                    await self.end_revoked()
                if turn % SEEN_EVERY_SWEEPS == 0:
                    await self.tell_seen(now_ms())
            except MusterError as error:
                log.warning("sweep failed", error=error.detail)

    async def sweep(self) -> None:
        """Wake those whose ticket has changed without a ring. Raises Unavailable."""
        addresses = sorted({watcher.address for watchers in self._watchers.values() for watcher in watchers})
        for address, seq in zip(addresses, await self._watched.seqs(addresses), strict=True):
            for watcher in self._watchers.get(address[1], ()):
                if watcher.seq != seq:
                    watcher.waker.wake()

    async def end_revoked(self) -> None:
        """End the streams of sessions that are over. Raises Unavailable."""
        watchers = [it for watchers in self._watchers.values() for it in watchers if it.session]
        sessions = sorted({watcher.session for watcher in watchers})
        over = {it for it, gone in zip(sessions, await self._sessions.revoked(sessions), strict=True) if gone}
        for watcher in watchers:
            if watcher.session in over:
                watcher.ended = True
                watcher.waker.wake()

    def beat(self) -> None:
        """Whoever waits for a ticket is there."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                if not watcher.asks:  # who asks need not be its player
                    self._beats.sign(watcher.address[0], watcher.player)

    async def tell_seen(self, now: int) -> None:
        """Tell Redis which tickets are waited for. Raises Unavailable."""
        watchers = (watcher for watchers in self._watchers.values() for watcher in watchers)
        addresses = {watcher.address for watcher in watchers if not watcher.asks}  # who asks need not be its player
        await self._watched.seen(addresses | self._read, now)
        self._read.clear()
