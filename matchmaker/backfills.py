"""The running matches of one game that ask for players: read when they change, kept in the pool, filled by proposals.

A request is what Redis says it is: whoever hears that one changed reads it again, and a claim names what it was made by
(the request, who is there), so one that was overtaken seats nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from core import log
from core.errors import Invalid, MusterError
from core.model import MatchPlayer, Waiting
from matchmaker.backfill_store import Asked, BackfillStore, Join, Joined
from matchmaker.rules import Backfill, Pool, Proposal

READ_AT_ONCE: Final = 100  # requests in one round trip: each has the documents of a whole match


class Backfills:
    """See the module. Owned by the task that owns the pool."""

    def __init__(self, store: BackfillStore, game: str) -> None:
        self._store = store
        self._log = log.get("matchmaker.backfills").bind(game=game)
        self._asked: dict[str, Asked] = {}
        self._dirty: set[str] = set()
        self._all = False  # which matches ask is to be read anew
        self._pool: Pool | None = None

    def use(self, pool: Pool | None) -> None:
        """Keep the requests in this pool from now on."""
        self._pool = pool
        for asked in self._asked.values():
            self._offer(asked)

    def mark(self, matches: Iterable[str], *, every: bool = False) -> None:
        """These changed; with `every`, any may have."""
        self._dirty.update(matches)
        self._all = self._all or every

    async def read(self) -> bool:
        """Catch up. Returns whether anything may have changed. Raises Unavailable; the rest is read the next time."""
        if self._all:
            self._dirty.update(self._asked, await self._store.asking())
            self._all = False
        dirty = sorted(self._dirty)
        for i in range(0, len(dirty), READ_AT_ONCE):
            part = dirty[i : i + READ_AT_ONCE]
            found = await self._store.read(part)
            for match in part:
                self._take_in(match, found.get(match))
            self._dirty.difference_update(part)
        return bool(dirty)

    async def fill(self, proposals: Sequence[Proposal], waiting: Mapping[str, Waiting], now_ms: int) -> list[Joined]:
        """Seat what these propose. Raises Fenced, Unavailable."""
        joins = [_join(self._asked[it.backfill], it, waiting) for it in proposals if it.backfill is not None]
        # Filled or refused, none of them is what it was: the next look reads it again.
        self._dirty.update(join.match.id for join in joins)
        try:
            joined = await self._store.join(joins, now_ms)
        except MusterError:
            self._log.warning("players may have been seated or not; Redis tells", matches=[j.match.id for j in joins])
            raise
        for one in joined:
            if one.made:
                self._take_in(one.join.match.id, None)
        return joined

    def _take_in(self, match: str, asked: Asked | None) -> None:
        self._asked.pop(match, None)
        if self._pool is not None:
            self._pool.withdraw(match)
        if asked is not None:
            self._asked[match] = asked
            self._offer(asked)

    def _offer(self, asked: Asked) -> None:
        """Put it into the pool, unless those there do not fit the rules as they are now."""
        if self._pool is None:
            return
        known = {team.name for team in self._pool.rules.stages[0].teams}
        try:
            if unknown := asked.teams.keys() - known:
                raise Invalid(f"the rules have no team {sorted(unknown)[0]!r}", pointer="/teams")
            self._pool.backfill(Backfill(asked.match.id, asked.since_ms, asked.teams))
        except Invalid as error:
            self._log.warning(
                "a match asks for players, but those there do not fit the rules", match=asked.match.id,
                pointer=error.pointer, detail=error.detail,
            )  # fmt: skip


def _join(asked: Asked, proposal: Proposal, waiting: Mapping[str, Waiting]) -> Join:
    new = [
        MatchPlayer(player.id, player.name, team, ticket)
        for team, tickets in proposal.teams.items()
        for ticket in tickets
        for player in waiting[ticket].players
    ]
    match = msgspec.structs.replace(asked.match, players=[*asked.match.players, *new])
    return Join(asked, match, proposal.tickets)
