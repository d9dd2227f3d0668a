"""Why a ticket has no match yet: the rule that most often stood in its way in a pass, and what changes next."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from matchmaker.rules.evaluate import wanted
from matchmaker.rules.facts import Cap, Range, Same, Shared, Window, Word
from matchmaker.rules.run import Run


@dataclass(frozen=True, slots=True)
class Why:
    """An answer to "why not yet".

    `rule` is "teams" where too few players, or none of a fitting party size, were left. `times` counts candidate
    matches it kept the ticket from. `own` and `other` are the values seen last: the ticket's, and what it met (of a
    latency: its best, and the worst the match would have had where it was tried).
    `next_expansion_ms` is how long until the next expansion step opens for this ticket; None after the last.
    """

    rule: str
    wanted: str
    times: int
    own: float | str | None
    other: float | str | None
    next_expansion_ms: int | None


def explain_ticket(run: Run, row: int) -> Why:
    """The answer for the free ticket in `row`."""
    waited = run.now_ms - int(run.pool.since[row])
    opening = run.rules.next_opening_ms(waited)
    until = None if opening is None else opening - waited
    counted = {run.facts[i].rule: int(n) for i, n in enumerate(run.rejected[row, :-1]) if n}
    for rule, times in run.failures.get(row, {}).items():
        counted[rule] = counted.get(rule, 0) + times
    counted.setdefault("teams", 0)
    counted["teams"] += int(run.rejected[row, -1])
    # A rule that left too few to fill the teams comes before the teams.
    rule = max(counted, key=lambda name: (counted[name], name != "teams", name))
    stage = run.rules.stages[int(run.stage[row])]
    asked = next((wanted(each) for each in stage.rules if each.name == rule), _bounds(run, row))
    index = next((i for i, fact in enumerate(run.facts) if fact.rule == rule and run.rejected[row, i]), None)
    own, other = (None, None) if index is None else _seen(run, index, row)
    return Why(rule, asked, counted[rule], own, other, until)


def _bounds(run: Run, row: int) -> str:
    teams = Counter((t.definition, t.least, t.most) for t in run.rules.stages[int(run.stage[row])].teams)
    return ", ".join(
        f"{f'{many} x ' if many > 1 else ''}{name} of {_players(least, most)}"
        for (name, least, most), many in teams.items()
    )


def _players(least: int, most: int) -> str:
    return f"{f'{least} to ' if least < most else ''}{most} player{'s' if most > 1 else ''}"


def _seen(run: Run, index: int, row: int) -> tuple[float | str | None, float | str | None]:
    """(the ticket's value, the value held against it) of a fact."""
    shape, number = run.facts[index].shape, float(run.other[row, index])
    other = number if math.isfinite(number) else None
    match shape:
        case Window() | Range():
            return float(run.column(index)[row]), other
        case Cap():
            best = float(run.latencies(index)[row].min(initial=math.inf))
            return best if math.isfinite(best) else None, other
        case Same(attribute) | Word(attribute):
            values = {str(player.attributes[attribute]) for player in run.pool.party(row).players}
            return ", ".join(sorted(values)), None
        case Shared(attribute, how):
            return ", ".join(run.pool.party(row).strings(attribute, how)), other
        case _:
            return None, None
