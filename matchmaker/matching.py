"""Works the queue of one game: mirrors it, ends what waited too long, groups the rest, claims matches.

One pass costs one read of what changed, one look at the pool in memory, and one pipelined write. Rings that come while
it runs are one further pass; without news, and before any rule relaxes, there is nothing to look at. A match is made
only where Redis takes all its tickets at once; whoever was taken meanwhile (cancelled, by a webapi) is left out of
the next pass, which follows at once. Killed after the claim and before the launch, the match is among the live ones
without a server, and whoever takes the game over starts it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

import msgspec

from core import log
from core.clock import new_id, now_ms
from core.drain import Drain
from core.errors import Invalid, MusterError
from core.insight import HeldUp
from core.model import Game, Match, Waiting
from core.rules import RuleSet, rule_set
from matchmaker.arrivals import Arrivals
from matchmaker.backfills import Backfills
from matchmaker.canary import CanaryWatch
from matchmaker.crowd import Lack
from matchmaker.fillings import Fillings
from matchmaker.insight import Insight
from matchmaker.matches import match_of, told, traces_of
from matchmaker.mirror import Mirror
from matchmaker.rules import SMALL, Pool, Proposal, form
from matchmaker.shared import Shared
from matchmaker.store import Claimed, GameStore

REGISTRATION_S: Final = 1.0  # how late a change of a registration may be noticed
ENDED_AT_ONCE: Final = 256  # tickets that waited too long, in one pass
DRAINED_AT_ONCE: Final = 4096  # of a queue that is to end, in one pass
# A search is followed by as long a rest, so that a hopeless queue takes half a core at most. A short pass is followed
# by a short rest, for those who come meanwhile share the next one's cost. Who comes to a quiet queue waits for neither.
GATHER_S: Final = 0.02
LONGEST_REST_S: Final = 0.05
TELL_S: Final = 0.1  # until those who wait are told again that somebody searches: most have a match by then
UNFIT_REASON: Final = 200  # characters
match_made, players_seated = (log.Stage("matchmaker.matching", it) for it in ("match made", "players seated"))


class Matching:
    """See the module. `step` is run by one task only.

    `made` is called for every match made, `doubt` with the ids of matches that may have been made: Redis did not
    say before it was gone. `looked` after each pass that looked at the pool.
    """

    def __init__(
        self,
        shared: Shared,
        store: GameStore,
        made: Callable[[Claimed], None],
        doubt: Callable[[list[str]], None],
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        self._shared, self._store, self._made, self._doubt, self._looked = shared, store, made, doubt, looked
        self._name = shared.metrics.name(store.game)
        self._log = log.get("matchmaker.matching").bind(game=store.game)
        self._mirror = Mirror(store, shared.settings.pool_tickets, self._came, self._went)
        self.insight = Insight(shared.metrics, self._name, self._mirror)
        self._backfills = Backfills(store.backfills, store.game)
        self.game: Game | None = None  # as it is worked now
        self.waiting_servers = 0  # started without a match: so many matches need no room
        self.made = Arrivals(now_ms())  # matches
        self.arrivals = Fillings(now_ms())
        self._canary = CanaryWatch(store)
        self._lack = Lack(shared.db, shared.launcher, store.game, own=False)
        self.rules: RuleSet | None = None
        self._pool: Pool | None = None
        self._unfit: dict[str, str] = {}  # tickets that the rules do not admit, and why
        self._read_at = self._told_at = float("-inf")
        self._broken = ""
        self.live_most = 0  # by the game's limit and its developer's
        self._full_until = float("-inf")  # the game has as many servers as it may, by its own limit
        self._had_room = True  # for another server, at the last pass
        self._reading = self._stale = (
            True  # tickets that come have just come; the last pass did not see all that is new
        )
        self._looked_ms, self._searched_s = 0, 0.0  # at the pool; CPU time of the latest search
        self._relaxes_ms: int | None = None  # when a rule relaxes for somebody who waits

    @property
    def drain(self) -> Drain | None:
        """Why no match is to be made now, of an operator's will."""
        return self._shared.drains.of(self._store.game)

    def room_again(self) -> None:
        """A match of this game changed: there may be room for another."""
        self._full_until = float("-inf")

    async def step(self) -> float:
        """One pass. Returns the seconds until the next is due if nobody rings. Raises Unavailable, Fenced."""
        start = time.perf_counter()
        await self._read_registration()
        self._stale = await self._mirror.read() or self._stale
        asked, every = self._mirror.take_asked()
        self._backfills.mark(asked, every=every)
        self._stale = await self._backfills.read() or self._stale
        self._searched_s = 0.0
        now = now_ms()
        oldest_ms = self._mirror.oldest_ms()
        self._shared.metrics.oldest.labels(self._name).set(0 if oldest_ms is None else (now - oldest_ms) / 1000)
        game, pool = self.game, self._pool
        if game is None or pool is None or not len(self._mirror):
            if not self._broken:
                self._hold_up("draining" if self.drain else "")
            return self._shared.settings.poll_s
        await self._end_overdue(game, now)
        claimed = await self._make_matches(pool, game, now)
        if self._looked_ms == now:
            self._looked()
        spent = time.perf_counter() - start
        self.insight.spent(spent, now)
        if claimed and self._stale:
            return 0.0
        await asyncio.sleep(min(max(self._searched_s, min(2 * spent, GATHER_S)), LONGEST_REST_S))
        return self._next_due_s(now)

    def _came(self, ticket: Waiting) -> None:
        if self._pool is None:
            return
        try:
            self._pool.add(ticket)
            self.arrivals.came(self._pool, ticket, new=self._reading)
        except Invalid as error:
            self._unfit[ticket.id] = f"{error.pointer}: {error.detail}"[:UNFIT_REASON]

    def _went(self, ticket: str) -> None:
        self._unfit.pop(ticket, None)
        self.arrivals.went(ticket)
        if self._pool is not None:
            self._pool.remove(ticket)

    async def _read_registration(self) -> None:
        """Read the registration if it is due.

        While it is broken no match is made: an older one is not what was asked for.
        """
        if time.monotonic() - self._read_at < REGISTRATION_S:
            return
        try:
            game = await self._store.registration()
            self._use(game)
            self._broken = ""
            await self._canary.look(game)
            if game is not None:
                self.live_most = await self._bound(game)
        except (msgspec.DecodeError, Invalid) as error:
            if self._broken != str(error):
                self._broken = str(error)
                self._log.error("the registration cannot be read; its queue waits", error=self._broken)
            self.game = self._pool = self.rules = None
            self.insight.follow(None)
            self.insight.held_up, self.insight.detail = "broken", self._broken
        self._read_at = time.monotonic()

    def _use(self, game: Game | None) -> None:
        """Work by this registration from now on. Raises Invalid."""
        before, self.game = self.game, game
        if game is None:
            self._pool = self.rules = None
            self.insight.follow(None)
            self._backfills.use(None)
            return
        if before is not None and self.rules is not None and before.spec == game.spec:
            return
        self.rules = rule_set(game.spec)
        self._pool = Pool(self.rules)
        self.insight.follow(self._pool)
        self._unfit.clear()
        self.arrivals.clear()
        self._stale = True
        self._reading = False
        for ticket in self._mirror.values():
            self._came(ticket)
        self._reading = True
        self._backfills.use(self._pool)

    async def _bound(self, game: Game) -> int:
        """Live matches that this game may have now."""
        most, developers = game.spec.limits.servers, self._shared.settings.developer_servers
        if not developers:
            return most
        return min(most, developers - await self._store.developer_live(game.owner, now_ms()))

    async def _end_overdue(self, game: Game, now: int) -> None:
        """Whoever waited too long leaves, and so does whom changed rules do not admit, or an operator sends away."""
        before = now - int(game.spec.ticket_timeout_s * 1000)
        if overdue := self._mirror.overdue(before, ENDED_AT_ONCE):
            self._ended("timed_out", overdue, await self._store.time_out(overdue, now))
        if unfit := dict(self._unfit):
            self._ended("unfit", list(unfit), await self._store.give_up(unfit, now))
        if (drain := self.drain) is not None and drain.queue == "end":
            waiting = list(islice(self._mirror, DRAINED_AT_ONCE))
            for i in range(0, len(waiting), ENDED_AT_ONCE):
                part = waiting[i : i + ENDED_AT_ONCE]
                self._ended("drained", part, await self._store.drain(part, now))

    def _ended(self, why: str, tickets: list[str], ended: list[str]) -> None:
        if ended:
            self._log.info("tickets ended", why=why, tickets=ended, traces=traces_of(ended, self._mirror))
        self._mirror.drop(tickets)
        self._shared.bell.ring("ticket", ended)
        self._shared.metrics.ended_tickets.labels(why).inc(len(ended))

    async def _make_matches(self, pool: Pool, game: Game, now: int) -> bool:
        """Claim what can be made, tell the others that they are searched for; returns whether anything was tried."""
        proposals = self._propose(pool, now)
        await self._lack.tell()
        placed = {ticket for proposal in proposals for ticket in proposal.tickets}
        searched: list[str] = []
        if time.monotonic() - self._told_at >= TELL_S:
            searched = sorted(self._mirror.unsearched - placed)
        joins = [proposal for proposal in proposals if proposal.backfill is not None]
        if joins:
            await self._join(joins, now)
            proposals = [proposal for proposal in proposals if proposal.backfill is None]
        claimed, size = list[Claimed](), self._shared.settings.claims
        for i in range(0, max(1, len(proposals)), size):
            part = [self._new(it, game, now) for it in proposals[i : i + size]]
            claimed += await self._claim(part, searched if i == 0 else [], now)
            if any(claim.full for claim in claimed):
                break
        return bool(claimed or joins)

    def _new(self, proposal: Proposal, game: Game, now: int) -> Match:
        match = new_id("match")
        return match_of(proposal, self._mirror, self._canary.game_of(match, game), match, now)

    def _propose(self, pool: Pool, now: int) -> Sequence[Proposal]:
        if self.drain is not None:
            self._hold_up("draining")
            self._stale = True  # all of it is looked at once the drain is over
            return []
        most = max(0, self._shared.launcher.room() + self.waiting_servers - len(self._shared.asked))
        full = time.monotonic() < self._full_until
        self._hold_up("no_room" if most <= 0 else "full" if full else "")
        if full:
            most = 0
        elif not most:
            self._lack.look(pool, now)
        self._stale, self._had_room = self._stale or (most > 0 and not self._had_room), most > 0
        if not (most or pool.running) or not self._is_due(now):
            return []
        # A match that runs needs no server, so it is filled where there is no room for another.
        start = time.thread_time()  # of a busy machine's clock no rest should be made
        found = form(pool, pool.rules, now, seed=now, starts=most > 0)
        self._searched_s = time.thread_time() - start
        self.insight.looked(found, now)
        joins = [it for it in found.proposals if it.backfill is not None]
        starts = [it for it in found.proposals if it.backfill is None]
        if len(starts) > most > 0:
            self._hold_up("no_room")
            self._lack.matches = len(starts) - most
        # A pass over many is no search of all there is: what it left may still go together.
        self._stale = bool(found.proposals) and (len(pool) > SMALL or len(starts) > most)
        self._looked_ms, self._relaxes_ms = now, pool.relaxes_ms(now)
        return [*joins, *starts[:most]]

    def _hold_up(self, why: HeldUp) -> None:
        """What keeps every match of this game from being made, whoever waits."""
        drain = self.drain
        self.insight.held_up = why
        self.insight.detail = f"at most {self.live_most} servers at once" if why == "full" else ""
        if why == "draining" and drain is not None:
            self.insight.detail = drain.note

    def _is_due(self, now: int) -> bool:
        relaxed = self._relaxes_ms is not None and now >= self._relaxes_ms
        return self._stale or relaxed or now - self._looked_ms >= self._shared.settings.poll_s * 1000

    async def _claim(self, matches: Sequence[Match], searched: Sequence[str], now: int) -> list[Claimed]:
        if not matches and not searched:
            return []
        try:
            claimed, changed = await self._store.claim(matches, searched, now_ms=now, live_most=self.live_most)
        except MusterError:
            self._stale = True
            self._doubt([match.id for match in matches])
            raise
        if searched:
            self._told_at = time.monotonic()
            self._mirror.searched(searched)
        for claim in claimed:
            self._take_in(claim, now)
        self._shared.bell.ring("ticket", changed)
        return claimed

    async def _join(self, joins: Sequence[Proposal], now: int) -> None:
        """Seat players in running matches that asked for them. Those that were not seated are looked at again."""
        metrics = self._shared.metrics
        try:
            joined = await self._backfills.fill(joins, self._mirror, now)
        except MusterError:
            self._stale = True
            raise
        for one in joined:
            if one.made:
                metrics.joined.labels(self._name).inc()
                players_seated(now, told(one.join.match, one.join.tickets, self._mirror))
                for ticket in one.join.tickets:
                    metrics.to_match.labels(self._name).observe((now - self._mirror[ticket].since_ms) / 1000)
                self._shared.bell.ring("ticket", one.join.tickets)
                self._mirror.drop(one.join.tickets)
            else:
                self._stale = True
                self._mirror.drop(one.taken)
                metrics.refused.labels(self._name, "taken" if one.taken else "stale").inc()

    def _take_in(self, claim: Claimed, now: int) -> None:
        metrics = self._shared.metrics
        if not claim.made:
            self._stale = True
            self._mirror.drop(claim.taken)
            metrics.refused.labels(self._name, "full" if claim.full else "taken").inc()
            if claim.full:
                self._lack.refused(self.game, self.live_most)
                self._full_until = time.monotonic() + self._shared.settings.poll_s
                self._hold_up("full")
            return
        match_made(now, told(claim.match, claim.match.tickets, self._mirror))
        self._made(claim)
        self.waiting_servers -= bool(claim.standby)
        self.made.seen(now)
        # Of a server that starts they can only wait to hear more; asked, they are to answer.
        ring = self._shared.bell.ring_later if claim.match.acceptance_timeout_s is None else self._shared.bell.ring
        ring("ticket", claim.match.tickets)
        self.insight.made(claim.match, now)
        self._mirror.drop(claim.match.tickets)

    def _next_due_s(self, now: int) -> float:
        """Until a rule relaxes for somebody, or is to be told that he is searched for; at most the poll."""
        due_s = self._shared.settings.poll_s
        if self._relaxes_ms is not None:
            due_s = min(due_s, max(1, self._relaxes_ms - now + 1) / 1000)
        if self._mirror.unsearched:
            due_s = min(due_s, max(0.001, self._told_at + TELL_S - time.monotonic()))
        return due_s
