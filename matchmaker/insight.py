"""What the matchmaker knows of a queue beside its matches: the last pass, kept to be asked why, and how it goes.

All of it is in memory and gone with its owner: the next one has its own after its first pass. A pass adds its counts,
a match its quality; whatever costs more (explaining a ticket, percentiles) is done when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Counter

from core.insight import Figures, HeldUp, WhyNot
from core.model import Match
from matchmaker.figures import Recent, stage_name
from matchmaker.metrics import Metrics
from matchmaker.mirror import Mirror
from matchmaker.rules import Pass, Pool, quality


class Insight:
    """See the module. `held_up` says why no match can be made whoever waits, and `detail` the particulars of it."""

    def __init__(self, metrics: Metrics, name: str, mirror: Mirror) -> None:
        """`name` is the game's label value."""
        self._metrics, self._name, self._mirror = metrics, name, mirror
        self._pool: Pool | None = None
        self._last: Pass | None = None
        self._looked_ms = 0
        self._recent = Recent()
        self._passes = metrics.passes.labels(name)
        self._matches, self._to_match = metrics.matches.labels(name), metrics.to_match.labels(name)
        self._stages: dict[int, Counter] = {}
        self.held_up: HeldUp = ""
        self.detail = ""

    def follow(self, pool: Pool | None) -> None:
        """The queue is grouped by the rules of this pool from now on; None while it is not."""
        self._pool, self._last = pool, None
        self._metrics.forget_rules(self._name)

    def looked(self, found: Pass, now_ms: int) -> None:
        """A pass looked at the whole pool."""
        self._last, self._looked_ms = found, now_ms
        self._recent.rejected(now_ms, found.tally.rejections)
        for rule, times in found.tally.rejections.items():
            self._metrics.rejections.labels(self._name, self._metrics.rule(self._name, rule)).inc(times)

    def spent(self, seconds: float, now_ms: int) -> None:
        """A pass took so long, from reading to claiming."""
        self._passes.observe(seconds)
        self._recent.passed(now_ms, seconds)

    def made(self, match: Match, now_ms: int) -> None:
        """A match was made of tickets that are in the mirror and in the pool still."""
        self._matches.inc()
        waits_s = [(now_ms - self._mirror[ticket].since_ms) / 1000 for ticket in match.tickets]
        for wait_s in waits_s:
            self._to_match.observe(wait_s)
        if self._pool is None:
            return
        seen = quality(self._pool, match.tickets, match.region, now_ms)
        self._recent.made(now_ms, seen, waits_s)
        if (stage := self._stages.get(seen.stage)) is None:
            stage = self._stages[seen.stage] = self._metrics.stages.labels(self._name, stage_name(seen.stage))
        stage.inc()
        if seen.spread is not None:
            self._metrics.spread.labels(self._name).observe(seen.spread)
        if seen.worst_latency_ms is not None:
            self._metrics.worst.labels(self._name).observe(seen.worst_latency_ms / 1000)

    @property
    def waiting(self) -> int:
        """Tickets that are known to wait."""
        return len(self._mirror)

    def idle(self, now_ms: int) -> bool:
        """Whether nobody waits, and nothing is to be told of the last minutes."""
        return not self._mirror and self._recent.is_empty(now_ms)

    def figures(self, now_ms: int) -> Figures:
        """How the queue goes."""
        lately = self._recent.lately(now_ms)
        return Figures(now_ms, len(self._mirror), self._players(), lately, self.held_up, self.detail)

    def why(self, tickets: Sequence[str], most: int, now_ms: int) -> dict[str, WhyNot]:
        """Why these wait still; of at most so many. One that no pass has looked at yet is left out."""
        players = self._players()
        found: dict[str, WhyNot] = {}
        for ticket in tickets:
            if len(found) == most:
                break
            if (why := self._why(ticket, players, now_ms)) is not None:
                found[ticket] = why
        return found

    def _why(self, ticket: str, players: int, now_ms: int) -> WhyNot | None:
        waiting = len(self._mirror)
        if self.held_up:
            return WhyNot(
                self.held_up, now_ms, waiting, players, wanted="" if self.held_up == "broken" else self.detail
            )
        if ticket not in self._mirror:
            # It came a moment ago, or it waits behind all that are looked at.
            return WhyNot("behind", now_ms, waiting, players) if self._mirror.cut else None
        why = None if self._last is None else self._last.why(ticket)
        if why is None:
            return None
        opens_in = why.next_expansion_ms
        return WhyNot(
            reason="teams" if why.rule == "teams" else "rule",
            at_ms=self._looked_ms,
            tickets=waiting,
            players=players,
            rule=why.rule,
            wanted=why.wanted,
            own=why.own,
            met=why.other,
            times=why.times,
            opens_ms=None if opens_in is None else self._looked_ms + opens_in,
        )

    def _players(self) -> int:
        return (
            sum(len(waiting.players) for waiting in self._mirror.values()) if self._pool is None else self._pool.players
        )
