"""How good a match is: stage, spread of the number that counts, worst latency in its region."""

from __future__ import annotations

import pytest

from core.model import TicketPlayer, Waiting
from core.rules import parse
from matchmaker.rules import Pool, Quality, quality
from tests.unit.rules.worlds import NOW_MS

NEAR = {"name": "Near", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": 50}
RELAXED = {"target": "rules[Near].maxDistance", "steps": [{"waitTimeSeconds": 10, "value": 500}]}


def tree(*rules: dict[str, object], **more: object) -> dict[str, object]:
    teams = [{"name": "side", "minPlayers": 1, "maxPlayers": 1, "quantity": 2}]
    attributes = [{"name": "skill", "type": "number"}, {"name": "rank", "type": "number", "default": 0}]
    return {
        "ruleLanguageVersion": "1.0", "playerAttributes": attributes, "teams": teams, "rules": list(rules), **more,
    }  # fmt: skip


def at(name: str, skill: float, waited_s: int, **latencies: float) -> Waiting:
    return Waiting(name, NOW_MS - waited_s * 1000, [TicketPlayer(name, "", {"skill": skill}, latencies)])


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (tree(NEAR, expansions=[RELAXED]), Quality(1, 300, 80)),
        (tree(NEAR, algorithm={"expansionAgeSelection": "oldest"}, expansions=[RELAXED]), Quality(1, 300, 80)),
        (tree(), Quality(0, None, 80)),
    ],
    ids=["of its newest ticket", "of its oldest ticket", "no number is compared"],
)
def test_quality(rules: dict[str, object], expected: Quality) -> None:
    """The stage is the one its tickets had, the latency the highest in the region it is played in."""
    waiting = [at("a", 900, 40, eu=30, us=10), at("b", 1200, 12, eu=80, us=200)]
    assert quality(Pool.of(parse(rules), waiting), ["a", "b"], "eu", NOW_MS) == expected


def test_a_region_that_not_all_reported_has_no_latency() -> None:
    """Nor has a region nobody knows, or none."""
    pool = Pool.of(parse(tree(NEAR)), [at("a", 1, 0, eu=30), at("b", 2, 0)])
    for region in ("eu", "us", ""):
        assert quality(pool, ["a", "b"], region, NOW_MS).worst_latency_ms is None


def test_a_pool_that_grew_is_measured_by_its_new_columns() -> None:
    """Rows beyond the first allocation count, too."""
    pool = Pool.of(parse(tree(NEAR)), [at(f"t{i}", i, 0) for i in range(2000)])
    assert quality(pool, ["t0", "t1999"], "", NOW_MS).spread == 1999
