"""Who works which game: one lease a game, so that each queue has one matchmaker at a time.

A lease lasts `lease_s` and is renewed each third of it. Replicas share games fairly: with N live listeners of the
`queue` doorbell each keeps at most its N-th part, rounded up, and drops what is above. A replica that has its part
still takes a game that nobody else takes for `PATIENCE_S` (its owner was killed), so no game waits for long.

Every change of owner raises the game's fencing token, and Redis refuses whoever comes with an old one. So a stalled
owner does no harm: it wakes up, is told `Fenced`, and forgets the game. Time here is this process' monotonic clock and
Redis' own; clocks of hosts are never compared.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from core import keys
from core.clock import now_ms
from core.redis.client import Database

PATIENCE_S: Final = 0.4
SHORTEST_S: Final = 0.01  # between two turns
ATTEMPTS: Final = 256  # at foreign leases in one round trip


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work one game. `until_s` is monotonic and errs on the early side."""

    game: str
    token: int
    until_s: float


class Leases:
    """The leases of this replica."""

    def __init__(
        self,
        db: Database,
        owner: str,
        lease_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        base: Callable[[str], str] = keys.game,
    ) -> None:
        """`base` is where the lease of a name lies: of a game, or of something else that is shared likewise."""
        self._db, self._owner, self._lease_s, self._clock, self._base = db, owner, lease_s, clock, base
        self.held: dict[str, Lease] = {}
        self._renewed_at = float("-inf")
        self._ask_at: dict[str, float] = {}
        self._ends_at: dict[str, float] = {}  # of leases whose owner is late to renew them

    async def turn(self, games: Sequence[str]) -> None:
        """Renew, drop what is too much, take what is free. Call it several times a second; `held` is the outcome.

        Raises Unavailable.
        """
        now = self._clock()
        self.expire()
        for game in [held for held in self.held if held not in games]:
            await self.drop(game)
        if now - self._renewed_at >= self._lease_s / 3:
            await self._renew()
            self._renewed_at = now
        share = fair_share(len(games), await self._replicas())
        for game in sorted(self.held, key=self._liking)[share:]:
            await self.drop(game)
        await self._take(games, share)

    def expire(self) -> None:
        """Leases whose time ran out are not held any more, whether or not Redis can be asked."""
        now = self._clock()
        self.held = {game: lease for game, lease in self.held.items() if lease.until_s > now}

    def due_s(self) -> float:
        """Until a foreign lease that was not renewed in time runs out: a killed owner's, most likely."""
        return max(SHORTEST_S, min(self._ends_at.values(), default=math.inf) - self._clock())

    def forget(self, game: str) -> None:
        """Another has this game by now."""
        self.held.pop(game, None)

    async def drop(self, game: str) -> None:
        """Give a lease back, for others to take at once. Raises Unavailable: then it runs out by itself."""
        if self.held.pop(game, None):
            await self._db.call("lease_drop", self._base(game), self._owner)

    async def close(self) -> None:
        """Give all leases back. Raises Unavailable: then they run out by themselves."""
        games = list(self.held)
        self.held.clear()
        await self._db.call_many([("lease_drop", self._base(game), [self._owner]) for game in games])

    def _liking(self, game: str) -> int:
        # Replicas prefer different games, so that they rarely want the same one.
        return crc32(f"{self._owner} {game}".encode())

    async def _replicas(self) -> int:
        found: dict[str, str] = await self._db.do("HGETALL", keys.DOORBELLS)
        entries = [json.loads(text) for text in found.values()]
        return sum("queue" in entry["topics"] and entry["until_ms"] > now_ms() for entry in entries)

    async def _renew(self) -> None:
        await self._ask(list(self.held), patience_s=0.0)

    async def _take(self, games: Sequence[str], share: int) -> None:
        now = self._clock()
        wanted = [g for g in games if g not in self.held and self._ask_at.get(g, now) <= now]
        wanted = sorted(wanted, key=self._liking)[:ATTEMPTS]
        below = max(0, share - len(self.held))
        await self._ask(wanted[:below], patience_s=0.0)
        await self._ask(wanted[below:], patience_s=PATIENCE_S)
        self._ask_at = {game: at for game, at in self._ask_at.items() if game in games}
        self._ends_at = {game: at for game, at in self._ends_at.items() if game in games}

    async def _ask(self, games: Sequence[str], *, patience_s: float) -> None:
        before = self._clock()
        args: list[str | int] = [self._owner, int(self._lease_s * 1000), int(patience_s * 1000)]
        replies = await self._db.call_many([("lease_take", self._base(game), tuple(args)) for game in games])
        for game, (token, left_ms, _) in zip(games, replies, strict=True):
            self._ends_at.pop(game, None)
            if token:
                self.held[game] = Lease(game, token, before + self._lease_s)
            else:
                self.held.pop(game, None)
                # A lease may be dropped at any time, so ask again well before it ends.
                self._ask_at[game] = before + min(left_ms / 1000, self._lease_s / 3)
                if left_ms / 1000 < self._lease_s / 3:
                    self._ends_at[game] = self._ask_at[game]


def fair_share(games: int, replicas: int) -> int:
    """How many games one of `replicas` keeps: all have the same, or one less."""
    return -(-games // max(1, replicas))
