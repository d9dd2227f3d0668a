"""Works the queue of one game: reads it, ends what waited too long, groups the rest, claims matches.

One pass costs one read and one pipelined write. Rings that come while it runs are one further pass. A match is made
only where Redis takes all its tickets at once; whoever was taken meanwhile (cancelled, by a webapi) is left out of
the next pass, which follows at once. Killed after the claim and before the launch, the match is among the live ones
without a server, and whoever takes the game over starts it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from core import log
from core.clock import new_id, now_ms
from core.errors import MusterError
from core.model import Game, Match, MatchPlayer, Waiting, teams_of
from matchmaker.grouping import Proposal, group
from matchmaker.shared import Shared
from matchmaker.store import Claimed, GameStore, Queued

REGISTRATION_S: Final = 1.0  # how late a change of a registration may be noticed
# A pass over a long queue that found nothing is followed by as long a rest, so that a hopeless queue takes half a core
# at most; short passes are not held up.
REST_FROM_S: Final = 0.005
LONGEST_REST_S: Final = 0.05


class Matching:
    """See the module. `step` is run by one task only.

    `launch` is called for every match made, `doubt` with the ids of matches that may have been made: Redis did not
    say before it was gone.
    """

    def __init__(
        self,
        shared: Shared,
        store: GameStore,
        launch: Callable[[Match], None],
        doubt: Callable[[list[str]], None],
    ) -> None:
        self._shared, self._store, self._launch, self._doubt = shared, store, launch, doubt
        self._name = shared.metrics.name(store.game)
        self._log = log.get("matchmaker.matching").bind(game=store.game)
        self._game: Game | None = None
        self._read_at = float("-inf")
        self._broken = ""
        self._live_most = 0  # by the game's limit and its developer's
        self._full_until = float("-inf")  # the game has as many servers as it may, by its own limit

    def room_again(self) -> None:
        """A match of this game changed: there may be room for another."""
        self._full_until = float("-inf")

    async def step(self) -> float:
        """One pass. Returns the seconds until the next is due if nobody rings. Raises Unavailable, Fenced."""
        start = time.perf_counter()
        await self._read_registration()
        now = now_ms()
        queued = await self._store.queue(self._shared.settings.pool_tickets)
        self._shared.metrics.oldest.labels(self._name).set((now - queued[0].ticket.since_ms) / 1000 if queued else 0)
        game = self._game
        if game is None or not queued:
            return self._shared.settings.poll_s
        queued = await self._end_overdue(queued, game, now)
        claimed = await self._make_matches(queued, game, now)
        spent = time.perf_counter() - start
        self._shared.metrics.passes.labels(self._name).observe(spent)
        if any(claim.taken for claim in claimed) or len(claimed) == self._shared.settings.claims:
            return 0.0
        if spent > REST_FROM_S:
            await asyncio.sleep(min(spent, LONGEST_REST_S))
        return self._next_due_s(queued, game, now)

    async def _read_registration(self) -> None:
        """Read the registration if it is due.

        While it is broken no match is made: an older one is not what was asked for.
        """
        if time.monotonic() - self._read_at < REGISTRATION_S:
            return
        try:
            self._game = await self._store.registration()
            self._broken = ""
            if self._game is not None:
                self._live_most = await self._bound(self._game)
        except msgspec.DecodeError as error:
            if self._broken != str(error):
                self._broken = str(error)
                self._log.error("the registration cannot be read; its queue waits", error=self._broken)
            self._game = None
        self._read_at = time.monotonic()

    async def _bound(self, game: Game) -> int:
        """Live matches that this game may have now."""
        most, developers = game.spec.limits.servers, self._shared.settings.developer_servers
        if not developers:
            return most
        return min(most, developers - await self._store.developer_live(game.owner, now_ms()))

    async def _end_overdue(self, queued: list[Queued], game: Game, now: int) -> list[Queued]:
        before = now - int(game.spec.ticket_timeout_s * 1000)
        overdue = {item.ticket.id for item in queued if item.ticket.since_ms <= before}
        if not overdue:
            return queued
        ended = await self._store.time_out(sorted(overdue), now)
        self._shared.bell.ring("ticket", ended)
        self._shared.metrics.ended_tickets.labels("timed_out").inc(len(ended))
        return [item for item in queued if item.ticket.id not in overdue]

    async def _make_matches(self, queued: Sequence[Queued], game: Game, now: int) -> list[Claimed]:
        proposals = self._propose([item.ticket for item in queued], game, now)
        matches = [match_of(proposal, game, new_id("match"), now) for proposal in proposals]
        placed = {ticket for match in matches for ticket in match.tickets}
        searched = [q.ticket.id for q in queued if not q.searched and q.ticket.id not in placed]
        if not matches and not searched:
            return []
        try:
            claimed, changed = await self._store.claim(matches, searched, now_ms=now, live_most=self._live_most)
        except MusterError:
            self._doubt([match.id for match in matches])
            raise
        for claim, proposal in zip(claimed, proposals, strict=True):
            self._take_in(claim, proposal, now)
        self._shared.bell.ring("ticket", changed)
        return claimed

    def _propose(self, waiting: Sequence[Waiting], game: Game, now: int) -> list[Proposal]:
        most = min(self._shared.settings.claims, self._shared.launcher.room())
        if most <= 0 or time.monotonic() < self._full_until:
            return []
        return group(waiting, teams_of(game.spec), fill_wait_s=game.spec.fill_wait_s, now_ms=now, most=most)

    def _take_in(self, claim: Claimed, proposal: Proposal, now: int) -> None:
        metrics = self._shared.metrics
        if not claim.made:
            metrics.refused.labels(self._name, "full" if claim.full else "taken").inc()
            if claim.full:
                self._full_until = time.monotonic() + self._shared.settings.poll_s
            return
        self._launch(claim.match)
        self._shared.bell.ring("ticket", claim.match.tickets)
        metrics.matches.labels(self._name).inc()
        for seat in proposal.seats:
            metrics.to_match.labels(self._name).observe((now - seat.ticket.since_ms) / 1000)

    def _next_due_s(self, queued: Sequence[Queued], game: Game, now: int) -> float:
        """Until the oldest ticket that still waits for a full match may have a smaller one, at most the poll."""
        wait_ms = game.spec.fill_wait_s * 1000
        for item in queued:
            if (left := item.ticket.since_ms + wait_ms - now) > 0:
                return min(self._shared.settings.poll_s, left / 1000 + 0.001)
        return self._shared.settings.poll_s


def match_of(proposal: Proposal, game: Game, match: str, now: int) -> Match:
    """The document of a match that is fixed from now on, whatever happens to the registration."""
    return Match(
        id=match,
        game=game.id,
        game_version=game.version,
        created_ms=now,
        players=[
            MatchPlayer(player.id, player.name, seat.team, seat.ticket.id)
            for seat in proposal.seats
            for player in seat.ticket.players
        ],
        server=game.spec.server,
        timers=game.spec.timers,
        tries=game.spec.limits.tries,
        move_ttl_s=game.spec.move_ttl_s,
        owner=game.owner,
    )
