"""Keeps the servers of one game that have no match: starts and ends them as `matchmaker.supply` plans.

Level-triggered, as the watch: a step reads which there are, compares them with what the launcher sees and with what is
planned, and acts. A server is written before it is started, so one whose start was cut off is found and started; and
it is ended in Redis, where no match can take it any more, before its process is. Whoever takes the game over goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from core import log
from core.clock import new_id, now_ms
from core.lifecycle import StandbyState
from core.model import EarlySpec, Game, SupplySpec
from core.supply import Told
from matchmaker.crowd import Yielding
from matchmaker.launch.base import Seen
from matchmaker.matching import Matching
from matchmaker.planner import OVER, Sight
from matchmaker.shared import Contact, Shared, pause_s
from matchmaker.standby_store import Spent, StandbyStore, standby_document
from matchmaker.store import GameStore
from matchmaker.supply import FIRST_START_S, Budget, Facts, Plan, Standby, plan
from matchmaker.watch import Watch

GAP_S: Final = 0.02  # between two steps, however often tickets come
TELL_S: Final = 1.0
STARTS_AT_ONCE: Final = 32  # of a step; the next one follows
FAILED_PAUSE_S: Final = 60.0  # the longest pause after servers without a match failed, one after another
FAILURES: Final = frozenset({"launch_failed", "died_early", "never_ready"})


class Supplier:
    """See the module. `step` is run by one task only, again as soon as `rung` is set."""

    def __init__(self, shared: Shared, store: GameStore, contact: Contact, matching: Matching, watch: Watch) -> None:
        self._shared, self._game_store, self._contact = shared, store, contact
        self._store: StandbyStore = store.standbys
        self._matching, self._watch = matching, watch
        self._log = log.get("matchmaker.supplier").bind(game=store.game)
        self._name = shared.metrics.name(store.game)
        self._budget = Budget()
        self._known: dict[str, Standby] = {}
        self._spent: Spent | None = None
        self._failures = 0  # one after another; of those that started together the first counts
        self._counted_ms = 0
        self._again_at = float("-inf")  # after failures
        self._yielding = Yielding(shared.crowd, store.game)
        self._detail = ""  # of the last failure
        self._tell_at = self._look_at = float("-inf")

    async def step(self) -> float:
        """One look. Returns the seconds until the next if nobody rings. Raises Unavailable, Fenced."""
        poll_s, game = self._shared.settings.poll_s, self._matching.game
        if game is None or not self._is_due(game, poll_s):
            return poll_s
        there = await self._store.all()
        await self._follow(there)
        if not (there or self._has_policy(game)):
            self._matching.waiting_servers = 0
            return poll_s
        self._spent = await self._count(self._spent)
        seen = await self._shared.launcher.seen()
        now = now_ms()
        give, crowded = await self._yielding.asked(self._shared.db, self._shared.launcher.host, game.owner)
        facts = self._facts(game, there, seen, now, give=give, crowded=crowded)
        wanted = plan(facts)
        await self._end(wanted, there, seen)
        await self._start(game, wanted, now)
        if not crowded:
            self._start_again(game, there, seen, wanted)
        await self._tell(facts, wanted)
        await asyncio.sleep(min(GAP_S, poll_s))
        return self._next_s(facts, poll_s)

    def _is_due(self, game: Game, poll_s: float) -> bool:
        """Whether to look: without a policy there may be what another one left, which is looked for now and then."""
        now = time.monotonic()
        if not (self._has_policy(game) or self._known) and now < self._look_at:
            return False
        self._look_at = now + poll_s
        return True

    async def _follow(self, there: Mapping[str, tuple[Standby, str]]) -> None:
        """What became of those that were known: how long starts take, and whether they fail."""
        gone = sorted(self._known.keys() - there.keys())
        for name, (reason, detail) in (await self._store.ended(gone)).items():
            self._ended(self._known[name], reason, detail)
            await self._shared.launcher.stop(name, self._drain_s())  # whatever is left of it
        for name in gone:
            self._shared.launcher.settled(name)
        for name, (it, _) in there.items():
            if it.ready_ms and (before := self._known.get(name)) is not None and not before.ready_ms:
                self._failures = 0
                self._watch.start_s.add((it.ready_ms - it.created_ms) / 1000)
                self._shared.launcher.settled(name)
        self._known = {name: it for name, (it, _) in there.items()}

    def _ended(self, it: Standby, reason: str, detail: str) -> None:
        self._shared.metrics.standbys_ended.labels(self._name, reason).inc()
        self._log.info("server without a match ended", standby=it.id, reason=reason, detail=detail)
        if reason in FAILURES:
            if it.created_ms > self._counted_ms:
                self._failures += 1
                self._counted_ms = max(it.created_ms, *(other.created_ms for other in self._known.values()), 0)
            self._detail = f"{reason}: {detail}" if detail else reason
            self._again_at = time.monotonic() + pause_s(self._failures, FAILED_PAUSE_S)

    def _facts(
        self,
        game: Game,
        there: Mapping[str, tuple[Standby, str]],
        seen: Mapping[str, Seen],
        now: int,
        *,
        give: int,
        crowded: bool,
    ) -> Facts:
        deadlines = self._contact.deadlines(self._shared.settings.beat_timeout_s)
        supply = SupplySpec() if self._matching.drain else game.spec.supply
        matching, early, spent = self._matching, supply.early, self._spent or Spent()
        if self._shared.launcher.blind or not deadlines.trusted(now):
            silent_ms = None
        else:
            silent_ms = now - deadlines.beat_timeout_ms
        standbys = [self._judged(it, seen.get(name)) for name, (it, _) in there.items()]
        return Facts(
            now_ms=now,
            version=game.version,
            supply=supply,
            timers=game.spec.timers,
            standbys=standbys,
            running=self._watch.live,
            room=max(0, self._shared.launcher.room() - len(self._shared.asked)),
            servers_most=matching.live_most,
            start_s=self._watch.start_s.median() or FIRST_START_S,
            fillings=matching.arrivals.now(matching.rules, now) if early is not None else (),
            asked=self._watch.asked,
            matches=matching.made.rate(now),
            budget_s=self._budget.turn(early or EarlySpec(), spent.matches, spent.idle_early_ms),
            silent_ms=silent_ms,
            starts=self._shared.settings.pool_starts,
            keys=self._shared.keys,
            give=give,
            crowded=crowded,
        )

    def _judged(self, it: Standby, server: Seen | None) -> Standby:
        sight = self._watch.starts.sight(it.id, server)
        dead = sight in OVER or sight is Sight.STUCK
        return replace(it, seen_dead=dead, refused=sight is Sight.REFUSED)

    async def _end(self, wanted: Plan, there: Mapping[str, tuple[Standby, str]], seen: Mapping[str, Seen]) -> None:
        for name, reason in wanted.end.items():
            detail = self._watch.starts.why(name) or (seen[name].detail if name in seen else "")
            if not await self._store.end(name, reason, detail, now_ms()):
                continue  # a match took it meanwhile, and judges it
            self._known.pop(name, None)
            self._ended(there[name][0], reason, detail)
            self._watch.starts.forget(name)
            await self._shared.launcher.stop(name, self._drain_s())

    async def _start(self, game: Game, wanted: Plan, now: int) -> None:
        if time.monotonic() < self._again_at:
            return
        for kind in wanted.start[:STARTS_AT_ONCE]:
            document = standby_document(game, new_id("standby"), now)
            if not await self._store.create(document, kind, game.spec.supply.idle_most, now, self._shared.keys):
                return
            # Known from now on: one that dies before the next look has failed, too.
            self._known[document.id] = Standby(document.id, StandbyState.STARTING, kind, game.version, now)
            self._watch.starts.begin(document)

    def _start_again(
        self, game: Game, there: Mapping[str, tuple[Standby, str]], seen: Mapping[str, Seen], wanted: Plan
    ) -> None:
        """Start those whose start was cut off, or put off."""
        for name, (it, process) in there.items():
            waits = it.state is StandbyState.STARTING and not process and name not in wanted.end
            if waits and self._watch.starts.sight(name, seen.get(name)) is Sight.NEVER:
                self._watch.starts.begin(standby_document(game, name, it.created_ms))

    async def _count(self, before: Spent | None) -> Spent:
        """Read what supply came to, and tell Prometheus what it came to since."""
        spent = await self._store.spent()
        if before is not None:
            metrics, name = self._shared.metrics, self._name
            for kind, was, now in (
                ("early", before.early, spent.early),
                ("warm", before.warm, spent.warm),
                ("cold", before.cold, spent.cold),
            ):
                metrics.allocations.labels(name, kind).inc(max(0, now - was))
            for kind, was, now in (
                ("early", before.idle_early_ms, spent.idle_early_ms),
                ("warm", before.idle_warm_ms, spent.idle_warm_ms),
            ):
                metrics.idle.labels(name, kind).inc(max(0, now - was) / 1000)
            metrics.wrong.labels(name).inc(max(0, spent.unused_early - before.unused_early))
        return spent

    async def _tell(self, facts: Facts, wanted: Plan) -> None:
        left = [it for it in facts.standbys if it.id not in wanted.end]
        ready = sum(it.state is StandbyState.READY for it in left)
        starting = len(left) - ready + len(wanted.start)
        self._matching.waiting_servers = sum(it.version == facts.version for it in left)
        gauge = self._shared.metrics.standbys
        gauge.labels(self._name, "ready").set(ready)
        gauge.labels(self._name, "starting").set(starting)
        if time.monotonic() < self._tell_at:
            return
        self._tell_at = time.monotonic() + TELL_S
        failing = time.monotonic() < self._again_at
        best, tickets = wanted.best, self._matching.arrivals.rate(facts.now_ms)
        told = Told(
            at_ms=facts.now_ms,
            want=wanted.want,
            ready=ready,
            starting=starting,
            warm=wanted.warm,
            early=wanted.early,
            start_s=round(facts.start_s, 3),
            tickets_per_min=round(60 * tickets.count / tickets.window_s, 2),
            matches_per_min=round(60 * facts.matches.count / facts.matches.window_s, 2),
            in_time=None if best is None else round(best.in_time, 3),
            used=None if best is None else round(best.used, 3),
            idle_s=None if best is None else round(best.idle_s, 3),
            budget_s=round(facts.budget_s, 1) if facts.supply.early else None,
            held="failing" if failing else wanted.held,
            detail=self._detail if self._failures else "",
        )
        await self._store.tell(told)

    def _next_s(self, facts: Facts, poll_s: float) -> float:
        """A group that fills is looked at again while it is worth less than a start yet: its chances move with time."""
        if facts.supply.early is None or not facts.fillings:
            return poll_s
        return min(poll_s, max(GAP_S, facts.start_s / 4))

    def _drain_s(self) -> float:
        game = self._matching.game
        return 5.0 if game is None else game.spec.timers.drain_s

    def _has_policy(self, game: Game) -> bool:
        """Whether servers are to stand ready: never where the game is drained."""
        supply = game.spec.supply
        return self._matching.drain is None and (supply.early is not None or supply.warm is not None)
