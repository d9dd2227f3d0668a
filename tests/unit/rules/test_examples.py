"""The rule sets under examples/ are ready to be pasted: they load, warn of nothing, and make legal matches."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from core.model import TicketPlayer, Waiting
from core.rules import parse
from matchmaker.rules import Pool, form
from tests.unit.rules.checker import broken

FOLDER = Path(__file__).parents[3] / "examples" / "rulesets"
FILES = sorted(FOLDER.glob("*.json"))
NOW_MS = 100_000


def crowd(rules_of: Any, number: int, seed: int) -> list[Waiting]:
    """Tickets of all ages with plausible attributes for any of the examples."""
    dice = random.Random(seed)
    made = []
    for i in range(number):
        home, ping, skill = dice.randrange(3), dice.uniform(15, 60), dice.gauss(1500, 200)
        latencies = {f"r{r}": ping + 50 * ((r - home) % 3) for r in range(3)}
        players = [
            TicketPlayer(
                f"p{i}-{k}",
                "",
                {
                    "skill": skill + dice.gauss(0, 20),
                    "role": dice.choice(["tank", "healer", "damage", "damage", "damage"]),
                    "mode": dice.choice(["casual", "ranked"]),
                    "level": float(dice.randrange(50)),
                    "difficulty": dice.choice(["easy", "hard"]),
                    "missions": dice.sample(["a", "b", "c"], 2),
                    "preference": {dice.choice("abc"): dice.random()},
                },
                latencies,
            )
            for k in range(dice.randint(1, min(3, rules_of.largest_party)))
        ]
        made.append(Waiting(f"t{i}", NOW_MS - dice.randrange(70_000), players))
    return made


def test_there_are_five_and_all_are_described() -> None:
    """Each example has its paragraph in the README."""
    readme = (FOLDER / "README.md").read_text()
    assert [file.stem for file in FILES] == ["5v5", "battle-royale-100", "co-op-4", "duel", "roles"]
    assert all(f"`{file.name}`" in readme for file in FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("number", [100, 600])
def test_an_example_makes_legal_matches(file: Path, number: int) -> None:
    """It loads without warnings and every match it makes of a mixed crowd satisfies the independent checker."""
    tree = json.loads(file.read_text())
    rules = parse(tree)
    assert rules.warnings == ()
    waiting = {ticket.id: ticket for ticket in crowd(rules, number, 1)}
    result = form(Pool.of(rules, waiting.values()), rules, NOW_MS, 7)
    assert result.proposals or (number == 100 and rules.large)
    assert result.waiting + sum(len(p.tickets) for p in result.proposals) == number
    for proposal in result.proposals:
        assert broken(tree, {n: [waiting[i] for i in ids] for n, ids in proposal.teams.items()}, NOW_MS) == set()
