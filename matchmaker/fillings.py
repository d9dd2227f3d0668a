"""The groups of one queue that fill, as the supply planner sees them: sums by kind, kept as tickets come and go.

Tickets are of one kind when rules let them into one match as far as a glance tells: the same words where all must be
alike, the same cell of each number that must be near, the same nearest region. So a group is rather taken for smaller
than it is, and its server starts late rather than for nobody. Nothing here decides who plays with whom. PURE.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Final

import numpy as np

from core.model import Waiting
from core.rules.model import RuleSet
from matchmaker.arrivals import Arrivals, ArrivalsByKind
from matchmaker.rules import Pool
from matchmaker.rules.facts import Cap, Same, Window
from matchmaker.supply import Filling, Rate

FILLINGS_MOST: Final = 32  # groups looked at: those with the most tickets


class Fillings:
    """Told of each ticket that comes into the pool or leaves it. Owned by one task."""

    def __init__(self, since_ms: int) -> None:
        """Nobody looked before `since_ms`."""
        self._since_ms = since_ms
        self._kinds: dict[str, Hashable] = {}
        self._groups: dict[Hashable, dict[str, Waiting]] = {}
        self._arrivals = ArrivalsByKind(self._since_ms)
        self._all = Arrivals(self._since_ms)

    def came(self, pool: Pool, ticket: Waiting, *, new: bool = True) -> None:
        """The ticket is in the pool. Not `new`: it was there under other rules."""
        kind = kind_of(pool, pool.rows[ticket.id])
        self._kinds[ticket.id] = kind
        self._groups.setdefault(kind, {})[ticket.id] = ticket
        if new:
            self._arrivals.seen(kind, ticket.since_ms)
            self._all.seen(ticket.since_ms)

    def went(self, ticket: str) -> None:
        kind = self._kinds.pop(ticket, None)
        group = self._groups.get(kind)
        if group is not None and group.pop(ticket, None) is not None and not group:
            del self._groups[kind]

    def clear(self) -> None:
        """The rules are others now."""
        self._kinds.clear()
        self._groups.clear()
        self._arrivals = ArrivalsByKind(self._since_ms)

    def rate(self, now_ms: int) -> Rate:
        """Of all tickets."""
        return self._all.rate(now_ms)

    def now(self, rules: RuleSet | None, now_ms: int) -> list[Filling]:
        """The groups that fill; no pass found a match in any of them."""
        if rules is None:
            return []
        largest = sorted(self._groups.items(), key=lambda item: -len(item[1]))[:FILLINGS_MOST]
        return [
            _filling(rules, list(group.values()), self._arrivals.rate(kind, now_ms), now_ms) for kind, group in largest
        ]


def kind_of(pool: Pool, row: int) -> Hashable:
    """What sets this ticket apart from those it cannot be in a match with, as far as a glance tells."""
    kind: list[Hashable] = []
    for fact in pool.facts.facts:
        shape = fact.shape
        if isinstance(shape, Same) and shape.attribute in pool.words:
            kind.append(int(pool.words[shape.attribute][row]))
        elif isinstance(shape, Window) and (shape.attribute, shape.how) in pool.numbers:
            limit = float(fact.high[0])
            if 0 < limit < math.inf:
                kind.append(math.floor(float(pool.numbers[shape.attribute, shape.how][row]) / limit))
        elif isinstance(shape, Cap):
            latencies = pool.latencies[shape.how].values[row]
            kind.append(int(np.argmin(latencies)) if len(latencies) else -1)
    return tuple(kind)


def _filling(rules: RuleSet, group: list[Waiting], rate: Rate, now_ms: int) -> Filling:
    decides = group[0] if rules.stages[0].algorithm.age == "oldest" else group[-1]
    waited_ms, a_ticket = now_ms - decides.since_ms, sum(len(it.players) for it in group) / len(group)

    def tickets(stage: int) -> int:
        return max(1, math.ceil(sum(team.least for team in rules.stages[stage].teams) / a_ticket))

    stage = rules.stage_at(waited_ms)
    needs = [(0.0, tickets(stage))]
    for later in range(stage, len(rules.opens_ms)):
        opens_s, least = (rules.opens_ms[later] - waited_ms) / 1000, tickets(later + 1)
        if least < needs[-1][1]:
            needs.append((opens_s, least))
    # As many as suffice have no match: somebody else must come.
    return Filling(min(len(group), needs[0][1] - 1), tuple(needs), tickets(0), rate)
