"""A simulated day under each example rule set: how long tickets wait, and how good their matches are.

Arrivals follow the hours, with parties, skills, four regions and roles. The same arrivals are also matched first come,
first served: the same teams, no other rule. Passes are 5 simulated seconds apart, of the two dearest sets 30. The
curve, waiting time against the spread of skill within a match, is drawn into docs/images/quality.svg.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from bench.harness import ROOT, Report, percentile, say
from bench.quality_figure import Panel, draw
from core.model import TicketPlayer, Waiting
from core.rules import RuleSet, Stage, parse
from core.rules.model import Algorithm
from matchmaker.rules import Pool, form

DAY_S: Final = 86_400
REGIONS: Final = ("eu", "us", "asia", "sa")
FIGURE: Final = Path("docs/images/quality.svg")
Dice = np.random.Generator


@dataclass(frozen=True)
class World:
    """Who comes under a rule set: tickets a day, the largest party, and what a player brings beside latencies."""

    rules: str
    tickets: int
    party: int
    player: Callable[[Dice, float], dict[str, str | float | list[str] | dict[str, float]]]
    measure: str = "skill"  # what the spread is of
    step_s: int = 5  # between two passes


def _skilled(_: Dice, skill: float) -> dict[str, str | float | list[str] | dict[str, float]]:
    return {"skill": skill}


def _mission(dice: Dice, skill: float) -> dict[str, str | float | list[str] | dict[str, float]]:
    missions = [f"mission{n}" for n in dice.choice(6, int(dice.integers(1, 5)), replace=False)]
    return {
        "difficulty": str(dice.choice(["easy", "normal", "hard"], p=[0.3, 0.5, 0.2])),
        "missions": missions,
        "preference": {mission: float(dice.integers(1, 10)) for mission in missions},
        "level": float(np.clip(skill / 50, 1, 60)),
    }


def _role(dice: Dice, skill: float) -> dict[str, str | float | list[str] | dict[str, float]]:
    """Somewhat more tanks than the fifth that teams need: with fewer, they decide how long all others wait."""
    role = str(dice.choice(["tank", "healer", "damage"], p=[0.23, 0.3, 0.47]))
    return {"role": role, "skill": skill, "mode": str(dice.choice(["casual", "ranked"]))}


WORLDS: Final = (
    World("duel", 12_000, 1, _skilled),
    World("5v5", 20_000, 5, _skilled),
    World("battle-royale-100", 25_000, 4, _skilled, step_s=30),
    World("co-op-4", 12_000, 3, _mission, "level"),
    World("roles", 6_000, 2, _role, step_s=30),
)


@dataclass
class Outcome:
    """Of each match: its tickets' wait (s), its players' spread, the worst latency in its best region (ms)."""

    waits: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    per_ticket: list[float] = field(default_factory=list)


def arrivals(world: World, seed: int) -> list[Waiting]:
    """The day's tickets in order of their coming. An evening has five times the players of a night."""
    dice = np.random.default_rng(seed)
    share = 1 + (2 / 3) * np.sin(2 * math.pi * (np.arange(24) / 24 - 0.5))
    hours = dice.choice(24, world.tickets, p=share / share.sum())
    seconds = np.sort(hours * 3600 + dice.uniform(0, 3600, world.tickets))
    return [_ticket(world, dice, number, int(at * 1000)) for number, at in enumerate(seconds)]


def _ticket(world: World, dice: Dice, number: int, since_ms: int) -> Waiting:
    sizes = np.arange(1, world.party + 1)
    size = int(dice.choice(sizes, p=(1 / sizes) / (1 / sizes).sum()))
    home, skill, ping = int(dice.integers(len(REGIONS))), float(dice.normal(1500, 350)), float(dice.uniform(15, 60))
    away = {region: ping + 40 + 50 * ((i - home) % len(REGIONS)) for i, region in enumerate(REGIONS)}
    latencies = away | {REGIONS[home]: ping}
    shared = world.player(dice, skill)
    players = []
    for k in range(size):
        own = world.player(dice, float(skill + dice.normal(0, 80)))
        # A party queues for one thing; its players differ in skill and role.
        keep = {name: value for name, value in shared.items() if name not in ("skill", "role", "level")}
        if own.get("role") == "tank" and any(player.attributes.get("role") == "tank" for player in players):
            own["role"] = "damage"  # a team has one tank, so friends agree on who it is
        players.append(TicketPlayer(f"{number}-{k}", "", own | keep, latencies))
    return Waiting(f"t{number}", since_ms, players)


def most_by_roles(tickets: Sequence[Waiting]) -> float:
    """The share of players that could be matched if nothing counted but mode and tanks, and nobody had to wait for it.

    Of each mode all who come on that day: as many matches as there are pairs of tanks, and tens of players, of whom
    eight are no tanks.
    """
    matched, players = 0, 0
    for mode in ("casual", "ranked"):
        came = [p.attributes["role"] for t in tickets for p in t.players if t.players[0].attributes["mode"] == mode]
        tanks = came.count("tank")
        matched += 10 * min(tanks // 2, (len(came) - tanks) // 8)
        players += len(came)
    return matched / players


def first_come(rules: RuleSet) -> RuleSet:
    """The same teams and nothing else to satisfy."""
    stages = tuple(Stage(stage.teams, (), Algorithm(age="oldest"), frozenset()) for stage in rules.stages)
    return RuleSet("", {}, stages, rules.opens_ms)


def simulate(rules: RuleSet, tickets: Sequence[Waiting], world: World) -> Outcome:
    """Let the day pass."""
    pool, by_id, outcome, following = Pool(rules), {t.id: t for t in tickets}, Outcome(), 0
    due: int | None = None
    for now_ms in range(0, (DAY_S + 600) * 1000, world.step_s * 1000):
        came = following
        while following < len(tickets) and tickets[following].since_ms <= now_ms:
            pool.add(tickets[following])
            following += 1
        if came == following and (due is None or now_ms < due):
            continue
        for proposal in form(pool, rules, now_ms, seed=now_ms).proposals:
            _note(outcome, [by_id[name] for name in proposal.tickets], now_ms, world.measure)
            for name in proposal.tickets:
                pool.remove(name)
        due = pool.relaxes_ms(now_ms)
    return outcome


def _players(tickets: Sequence[Waiting]) -> int:
    return sum(len(ticket.players) for ticket in tickets)


def _note(outcome: Outcome, tickets: list[Waiting], now_ms: int, measure: str) -> None:
    players = [player for ticket in tickets for player in ticket.players]
    waits = [(now_ms - ticket.since_ms) / 1000 for ticket in tickets]
    outcome.per_ticket += waits
    outcome.waits.append(sum(waits) / len(waits))
    outcome.spreads.append(float(np.std([float(p.attributes[measure]) for p in players])))  # type: ignore[arg-type]
    outcome.latencies.append(min(max(p.latencies[region] for p in players) for region in REGIONS))


def curve(outcome: Outcome, bins: int = 8) -> list[tuple[float, float]]:
    """(mean wait, mean spread) of an eighth of the matches each, the shortest waits first."""
    order = np.argsort(outcome.waits, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    waits, spreads = np.array(outcome.waits), np.array(outcome.spreads)
    return [(float(waits[part].mean()), float(spreads[part].mean())) for part in parts]


def main(report: Report) -> None:
    panels = []
    for world in WORLDS:
        say(f"a day of {world.rules}")
        tickets = arrivals(world, seed=1)
        rules = parse(json.loads((ROOT / "examples" / "rulesets" / f"{world.rules}.json").read_text()))
        ours, plain = (simulate(which, tickets, world) for which in (rules, first_come(rules)))
        name = world.rules
        report.figure(f"{name}: share of tickets matched", len(ours.per_ticket) / len(tickets), "ratio")
        if name == "roles":
            report.figure("roles: share of players matched", 10 * len(ours.waits) / _players(tickets), "ratio")
            report.figure("... at most, counting roles of the whole day only", most_by_roles(tickets), "ratio")
        report.figure(f"{name}: wait of a ticket, p50", percentile(ours.per_ticket, 0.5), "s")
        report.figure(f"{name}: wait of a ticket, p90", percentile(ours.per_ticket, 0.9), "s")
        report.figure(f"{name}: wait, first come first served, p50", percentile(plain.per_ticket, 0.5), "s")
        report.figure(f"{name}: spread of {world.measure} in a match, mean", float(np.mean(ours.spreads)), "points")
        report.figure(f"{name}: ... first come first served", float(np.mean(plain.spreads)), "points")
        report.figure(f"{name}: worst latency of a match, p90", percentile(ours.latencies, 0.9), "ms")
        report.figure(f"{name}: ... first come first served, p90", percentile(plain.latencies, 0.9), "ms")
        panels.append(Panel(name, f"spread of {world.measure}", curve(ours), curve(plain)))
    (ROOT / FIGURE).write_text(draw(panels))
    say(f"drawn: {FIGURE}")
