"""Which matches a candidate gets, and when it is stopped."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import new_id
from core.errors import Invalid
from core.model import GameSpec, Server, Timers
from core.versions import Outcomes, chance_of, check_candidate, is_candidates, outcomes, verdict


def of(judged: int, faults: int, **other: int) -> Outcomes:
    """A version that was judged by so many matches."""
    return Outcomes(judged, judged, {"finished": judged - faults}, {"crashed": faults, **other})


def test_the_share_is_the_match_ids() -> None:
    """The same match has the same answer; about so many percent; all and none are that; more takes none away."""
    matches = [new_id("match") for _ in range(4000)]
    chosen = {match for match in matches if is_candidates(match, 10)}
    assert chosen == {match for match in matches if is_candidates(match, 10)}
    assert 280 < len(chosen) < 520  # 400 expected, six deviations
    assert chosen <= {match for match in matches if is_candidates(match, 25)}
    assert all(is_candidates(match, 100) for match in matches)
    assert not any(is_candidates(match, 0) for match in matches)


@pytest.mark.parametrize(
    ("candidate", "current", "stops"),
    [
        (of(4, 4), of(1000, 0), False),  # too few to tell
        (of(5, 5), of(1000, 0), True),
        (of(50, 50), of(0, 0), False),  # the host may be broken for all
        (of(20, 20), of(4, 0), True),
        (of(400, 6), of(4000, 0), False),  # clearly more, and still hardly ever
        (of(100, 5), of(1000, 10), False),  # one in a hundred fails anyway; five may be chance
        (of(100, 12), of(1000, 10), True),
        (of(100, 60), of(100, 55), False),  # both are bad
        (of(1000, 40), of(1000, 10), True),
        (of(10, 0, rejected=90), of(100, 0), False),  # what players turn down tells nothing of the server
    ],
)
def test_a_candidate_is_stopped_where_it_fails_clearly_more(
    candidate: Outcomes, current: Outcomes, stops: bool
) -> None:
    """By the rule, and it says why in figures."""
    why = verdict(candidate, current)
    assert bool(why) is stops
    if stops:
        assert f"{candidate.faults} of its {candidate.judged}" in why
        assert "crashed" in why


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.2])
def test_a_candidate_that_is_as_good_is_hardly_ever_stopped(rate: float) -> None:
    """Looked at after each of 500 matches beside as many of a current version of which nothing was known before."""
    chance, stopped = random.Random(7), 0
    for _ in range(60):
        candidate, current = [0, 0], [0, 0]
        for _ in range(500):
            for it in (candidate, current):
                it[0] += 1
                it[1] += chance.random() < rate
            if candidate[1] >= 5 and verdict(of(*candidate), of(*current)):
                stopped += 1
                break
    assert stopped <= 1


def test_a_bad_candidate_is_stopped_soon() -> None:
    """Half of its matches fail, beside one in fifty: within forty matches it is over, in each of a hundred runs."""
    chance = random.Random(7)
    for _ in range(100):
        candidate, current = [0, 0], [200, 4]
        while not verdict(of(*candidate), of(*current)):
            candidate[0] += 1
            candidate[1] += chance.random() < 0.5
            assert candidate[0] < 40


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_the_chance_is_that_of_all_ways_to_deal_failures(faults: int, well: int, others: int, others_well: int) -> None:
    """Term by term as counted exactly, where it says anything: up to its share it is one."""
    judged, other_judged = faults + well, others + others_well
    every, failed = judged + other_judged, faults + others
    found = chance_of(faults, judged, others, other_judged)
    ways = sum(
        math.comb(failed, k) * math.comb(every - failed, judged - k) for k in range(faults, min(failed, judged) + 1)
    )
    exact = ways / math.comb(every, judged)
    assert found == (1.0 if faults * every <= failed * judged else pytest.approx(exact, rel=1e-6, abs=1e-12))


def test_outcomes_are_read_by_version() -> None:
    """From the hash as it is stored; what was before the canary is left out, and never below nothing."""
    stored = {"1:created": "10", "1:ready": "9", "1:finish:exited": "7", "1:fail:crashed": "2", "2:fail:rejected": "1"}
    found = outcomes(stored, {"1:created": 4, "1:finish:exited": 5, "1:ready": 20})
    assert found[1] == Outcomes(6, 0, {"exited": 2}, {"crashed": 2})
    assert (found[1].judged, found[1].faults) == (4, 2)
    assert (found[2].judged, found[2].failed) == (0, {"rejected": 1})


def test_a_candidate_differs_in_what_runs_only() -> None:
    """Players were matched by the current rules: another size of a match is refused, with the place."""
    current = GameSpec(server=Server(image="x:1"), players_per_match=2)
    check_candidate(current, GameSpec(server=Server(image="x:2"), players_per_match=2, timers=Timers(join_s=9)), 1)
    with pytest.raises(Invalid, match="version 1 makes") as caught:
        check_candidate(current, GameSpec(server=Server(image="x:2"), players_per_match=3), 1)
    assert caught.value.pointer == "/spec/players_per_match"
