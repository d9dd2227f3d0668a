"""Watches the live matches of one game: starts servers that are missing, ends what is over time, puts players back.

Level-triggered. Each step reads which matches are live, looks at the ones that are due, rung for, or next in a slow
round over all, and does what `matchmaker.planner` says. The first step after taking a game looks at all of them:
whatever its last owner left half done, a match without a server above all, is done then. Every write names the facts
it was judged by, so a verdict that was overtaken (the server became ready meanwhile) changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from core import log, trace
from core.clock import now_ms
from core.lifecycle import MatchState
from core.model import Match
from matchmaker.arrivals import Durations
from matchmaker.crowd import Lack
from matchmaker.ends import Ends
from matchmaker.launch.base import Seen
from matchmaker.lines import LineLooks
from matchmaker.planner import Action, Deadlines, Facts, Fail, Finish, Postpone, Sight, Start, Stop, plan
from matchmaker.shared import Contact, Shared
from matchmaker.standby_store import named
from matchmaker.starts import Starts
from matchmaker.store import Claimed, GameStore

LOOKS: Final = 512  # matches in one round trip
# While the launcher is blind a silent server may be one that ended well. Its players lose nothing by the wait: no other
# server could be started for them meanwhile.
BLIND_S: Final = 120.0
ROUND: Final = 64  # looked at each poll without a reason: 10,000 live ones are gone round in under three minutes
# Rings of matches come in swarms, and the players need none of them. To read which of many are live takes 0.8 us for
# each, of Redis and of this process: so long a rest makes it a sixtieth of a core at most.
GAP_S: Final = 0.1
GAP_EACH_S: Final = 50e-6


def rest_s(live: int, poll_s: float) -> float:
    """Between two looks of a game with so many live matches, whoever rings."""
    return min(max(GAP_S, live * GAP_EACH_S), poll_s)


class Watch:
    """See the module. `step` is run by one task only, again as soon as `rung` is set."""

    def __init__(self, shared: Shared, store: GameStore, contact: Contact, rung: asyncio.Event) -> None:
        self._shared, self._store, self._contact, self._rung = shared, store, contact, rung
        self._name = shared.metrics.name(store.game)
        self._log = log.get("matchmaker.watch").bind(game=store.game)
        self._lines = LineLooks(shared.launcher, store)
        self._lack = Lack(shared.db, shared.launcher, store.game, own=True)
        self._placing: set[str] = set()  # claimed or started here, not yet seen playable
        self._standbys: dict[str, str] = {}  # match -> the server that it took, where it has another name
        self.starts = Starts(shared, store.game, self._mark_server)
        self.start_s = Durations()  # of matches whose servers were started for them
        self._asked: set[str] = set()  # its players are asked
        self._live: set[str] = set()  # at the last step
        self._dirty: set[str] = set()
        self._ends = Ends(store.game)
        self._round_at = -1  # place in the slow round; -1 before the first step
        self._round_due_ms = 0
        self._ended_at_ms: int | None = None  # the drain by whose deadline all were looked at

    @property
    def live(self) -> int:
        """Live matches, as of the last look and the claims since."""
        return len(self._live | self._placing | self._asked)

    @property
    def asked(self) -> int:
        """Matches whose players are asked."""
        return len(self._asked)

    def made(self, claim: Claimed) -> None:
        """A match was claimed: start its server, or keep room for it until its players have accepted."""
        match = claim.match
        self._ends.live(match.id, claim.standby or match.id, match.trace)
        if match.acceptance_timeout_s is not None:
            self._ask(match.id)
        elif claim.standby:
            self._took(match.id, claim.standby)
        else:
            self._launch(match)

    def _took(self, match: str, standby: str) -> None:
        self._placing.add(match)
        self._standbys[match] = standby

    def _launch(self, document: Match) -> None:
        self._placing.add(document.id)
        self.starts.begin(document)

    def mark(self, matches: Iterable[str]) -> None:
        """Look at these soon."""
        self._dirty.update(matches)
        self._rung.set()

    def ended(self, server: str) -> None:
        """The launcher saw this server end."""
        self._ends.server_ended(server)
        self._mark_server(server)

    def _mark_server(self, server: str) -> None:
        self.mark([server, *(match for match, standby in self._standbys.items() if standby == server)])

    async def close(self) -> None:
        """Drop launches under way; a match without a server is found by its next owner."""
        self._asked_no_more(set(self._asked))
        await self._lines.close()
        await self.starts.close()

    async def step(self) -> float:
        """One look. Returns the seconds until the next if nobody rings. Raises Unavailable, Fenced."""
        await self._end_vanished()
        # Before the reading: a match claimed during it is not among the live ones.
        placing, asked = set(self._placing), set(self._asked)
        live = await self._store.live()
        self._forget(placing.difference(live))
        self._asked_no_more(asked.difference(live))
        seen = await self._shared.launcher.seen()
        await self._end_over(self._live.difference(live), seen)
        self._ends.over({*self._live, *placing, *asked}.difference(live))
        self._live = set(live)
        self._measure(len(live), await self._store.queue_length())
        drain = self._shared.drains.of(self._store.game)
        until_ms = None if drain is None else drain.until_ms
        if until_ms is not None and self._ended_at_ms != until_ms <= now_ms():
            self._ended_at_ms, self._round_at = until_ms, -1  # all of them are looked at
        wanted = self._choose(live, seen)
        silence_s = self._shared.settings.beat_timeout_s + (BLIND_S if self._shared.launcher.blind else 0)
        for i in range(0, len(wanted), LOOKS):
            now = now_ms()  # before the reading, so that no silence looks longer than it is
            deadlines = self._contact.deadlines(silence_s, until_ms)
            for facts in await self._store.facts(wanted[i : i + LOOKS], live):
                await self._judge(facts, seen, deadlines, now)
        self._lack.matches = sum(it in live and self._is_homeless(it, seen) for it in self._placing)
        await self._lack.tell()
        await asyncio.sleep(rest_s(len(live), self._shared.settings.poll_s))
        return self._shared.settings.poll_s

    def _is_homeless(self, match: str, seen: Mapping[str, Seen]) -> bool:
        name = self._standbys.get(match, match)
        if (server := seen.get(name)) is not None:
            return server.homeless
        return self.starts.postponed(name) and self._shared.launcher.room() <= 0

    def _measure(self, live: int, queued: int) -> None:
        self._shared.metrics.live.labels(self._name).set(live)
        self._shared.metrics.queued.labels(self._name).set(queued)

    async def _end_vanished(self) -> None:
        settings, now = self._shared.settings, now_ms()
        # While Redis was away no sign of life could come: give everybody time for one.
        if not self._contact.deadlines(settings.vanished_s / 2).trusted(now):
            return
        before = now - int(settings.vanished_s * 1000)
        if silent := await self._store.silent(before):
            ended = await self._store.vanish(silent, now, before)
            self._shared.bell.ring("ticket", ended)
            self._shared.metrics.ended_tickets.labels("vanished").inc(len(ended))

    def _choose(self, live: Mapping[str, int], seen: Mapping[str, Seen]) -> list[str]:
        """Which live matches to look at now: all at first, then those with a reason and a few more in turn."""
        dirty, self._dirty = self._dirty, set()
        if self._round_at < 0:
            self._round_at = 0
            return sorted(live)
        now = now_ms()
        chosen = {match for match, look_at in live.items() if look_at <= now}
        chosen |= {match for match in dirty | self._placing if match in live}
        chosen |= {match for match, server in seen.items() if server.ended and match in live}
        chosen |= {match for match, its in self._standbys.items() if (there := seen.get(its)) and there.ended}
        if now >= self._round_due_ms:  # rings come many a second, and are no reason to go round faster
            self._round_due_ms = now + int(self._shared.settings.poll_s * 1000)
            chosen.update(self._next_in_round(live))
        return sorted(chosen)

    def _next_in_round(self, live: Mapping[str, int]) -> list[str]:
        order = sorted(live)
        if self._round_at >= len(order):
            self._round_at = 0
        start, self._round_at = self._round_at, self._round_at + ROUND
        return order[start : self._round_at]

    def _forget(self, over: Iterable[str]) -> None:
        """These are not live any more: whoever still starts a server for them need not."""
        for match in over:
            self._placing.discard(match)
            self.starts.forget(self._standbys.get(match, match))
            if match not in self._live:  # and never was, as far as a step saw
                self._standbys.pop(match, None)
            self._lines.forget(match)

    async def _end_over(self, over: Iterable[str], seen: Mapping[str, Seen]) -> None:
        """The servers of matches that were over since the last step end now; the reaper is the net for all others."""
        names = {match: self._standbys.pop(match, match) for match in over}
        left = [m for m, name in names.items() if (server := seen.get(name)) and (server.remains or not server.ended)]
        for facts in await self._store.facts(left, {}) if left else ():
            await self._shared.launcher.stop(facts.name, facts.timers.drain_s)

    def _ask(self, match: str) -> None:
        self._asked.add(match)
        self._shared.asked.add(match)

    def _asked_no_more(self, matches: Iterable[str]) -> None:
        self._asked.difference_update(matches)
        self._shared.asked.difference_update(matches)

    async def _judge(self, facts: Facts, seen: Mapping[str, Seen], deadlines: Deadlines, now: int) -> None:
        if facts.state is MatchState.RUNNING and facts.match in self._placing:
            self._placing.discard(facts.match)
            self._lines.forget(facts.match)
            self._shared.launcher.settled(facts.name)
            waited_s = max(0, facts.ready_ms - facts.placing_ms) / 1000
            self._shared.metrics.to_playable.labels(self._name).observe(waited_s)
            if not facts.standby:
                self.start_s.add(waited_s)
        if facts.state is MatchState.REQUIRES_ACCEPTANCE:
            self._ask(facts.match)
        elif facts.match in self._asked:
            self._asked_no_more({facts.match})
        if facts.standby:
            self._standbys[facts.match] = facts.standby
        self._ends.live(facts.match, facts.name, trace.of(facts.match, facts.trace))
        server = seen.get(facts.name)
        sight = self.starts.sight(facts.name, server)
        if facts.line and facts.state is MatchState.PLACING and sight is Sight.RUNS:
            self._lines.follow(facts.match, facts.line)
            self._placing.add(facts.match)
        for action in plan(facts, sight, deadlines, now):
            if not await self._apply(action, facts, server):
                break

    async def _apply(self, action: Action, facts: Facts, server: Seen | None) -> bool:
        """Do it. Returns whether the plan still stands."""
        match action:
            case Start():
                await self._start(facts)
                return True
            case Fail(reason):
                return await self._fail(facts, reason, server)
            case Finish(reason):
                result = b"" if server is None else msgspec.json.encode({"exit_code": server.exit_code})
                if await self._store.finish(facts, reason, result, now_ms()) is None:
                    return False
                self._log.warning("match ended", reason=reason, **_named(facts))
                self._shared.bell.ring("match", [self._store.game])
                return True
            case Stop(grace_s):
                await self._shared.launcher.stop(facts.name, grace_s)
                return True
            case Postpone(look_at_ms):
                await self._store.postpone(facts.match, look_at_ms)
                return True

    async def _start(self, facts: Facts) -> None:
        """Give the match a server: the one that it took, one that waits for a match, or one of its own."""
        standby = facts.standby or await self._store.standbys.allocate(facts.match, now_ms())
        if standby and not facts.standby:
            self._took(facts.match, standby)
            self.mark([facts.match])
        elif (document := await self._store.match(facts.match)) is not None:
            self._placing.add(facts.match)
            self.starts.begin(named(document, standby) if standby else document)

    async def _fail(self, facts: Facts, reason: str, server: Seen | None) -> bool:
        words = await self._shared.launcher.tail(facts.name)
        detail = self._why(facts.name, server)
        kept: dict[str, Any] = {"detail": detail, "output": words} if detail or words else {}
        if server is not None and server.ended and server.exit_code is not None and not server.tells:
            kept["exit_code"] = server.exit_code
        result = msgspec.json.encode(kept) if kept else b""
        moved = await self._store.fail(facts, reason, result, now_ms())
        if moved is None:
            return False
        self._shared.metrics.failed.labels(reason).inc()
        self._log.warning("match failed", reason=reason, detail=detail, last_words=words, **_named(facts))
        self._shared.bell.ring("ticket", moved)
        self._shared.bell.ring("queue", [self._store.game])
        self._shared.bell.ring("match", [self._store.game])
        return True

    def _why(self, name: str, server: Seen | None) -> str:
        """What is known of why a match fails, for its developer."""
        if server is None:
            return self.starts.why(name)
        if server.detail or not server.ended or server.exit_code is None:
            return server.detail
        return f"its server exited with code {server.exit_code}"


def _named(facts: Facts) -> dict[str, str]:
    """A match in a log line."""
    return {"match": facts.match, "trace": trace.of(facts.match, facts.trace)}
