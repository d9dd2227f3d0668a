"""How a match moves ratings: by openskill, and never against who won."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openskill.models import PlackettLuce

from core.model import Match, MatchPlayer, Server, Timers
from core.rating import BETA, NEWCOMER, TAU, Rating
from core.report import Side, Standings
from matchmaker.rating import Result, Unrated, rate, result_of

SMALLEST = 0.001  # step of a stored rating

ratings = st.builds(
    lambda mu, sigma: Rating(round(mu, 3), round(sigma, 3), 5), st.floats(-500, 4000), st.floats(20, 500)
)


@st.composite
def matches(draw: st.DrawFn) -> tuple[Standings, dict[str, Rating]]:
    """A match of some teams, its draws and leavers, and who is not a newcomer."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=6))
    places = sorted(draw(st.lists(st.integers(0, 3), min_size=len(sizes), max_size=len(sizes))))
    dense = {place: i for i, place in enumerate(sorted(set(places)))}
    names = [[f"p{i}-{j}" for j in range(size)] for i, size in enumerate(sizes)]
    sides = tuple(Side(dense[place], tuple(team)) for place, team in zip(places, names, strict=True))
    everybody = [player for team in names for player in team]
    left = frozenset(draw(st.sets(st.sampled_from(everybody))))
    known = draw(st.dictionaries(st.sampled_from(everybody), ratings))
    return Standings(sides, left), known


def duel(place_of_bob: int = 1, left: frozenset[str] = frozenset()) -> Standings:
    return Standings((Side(0, ("ann",)), Side(place_of_bob, ("bob",))), left)


def test_it_is_openskill() -> None:
    """A match of two teams and newcomers gives the numbers that openskill gives."""
    model = PlackettLuce(mu=1500, sigma=500, beta=BETA, tau=TAU, limit_sigma=True)
    ann, bob, cid = model.rating(mu=1700, sigma=90), model.rating(), model.rating(mu=1400, sigma=200)
    found = Standings((Side(0, ("ann", "bob")), Side(1, ("cid",))), frozenset())
    after = rate(found, {"ann": Rating(1700, 90, 9), "cid": Rating(1400, 200, 2)})
    (ann2, bob2), (cid2,) = model.rate([[ann, bob], [cid]], ranks=[1, 2])
    for player, expected, matches_ in (("ann", ann2, 10), ("bob", bob2, 1), ("cid", cid2, 3)):
        assert after[player] == Rating(round(expected.mu, 3), round(expected.sigma, 3), matches_)


def test_the_scale_is_openskills_usual_one_times_60() -> None:
    """A duel of newcomers moves them by 60 times what it moves them on the usual scale."""
    usual = PlackettLuce(limit_sigma=True)
    (won,), (lost,) = usual.rate([[usual.rating()], [usual.rating()]])
    after = rate(duel(), {})
    assert after["ann"].mu == pytest.approx(60 * won.mu, abs=SMALLEST)
    assert after["bob"].mu == pytest.approx(60 * lost.mu, abs=SMALLEST)
    assert after["ann"].sigma == pytest.approx(60 * won.sigma, abs=SMALLEST)


@given(matches())
def test_the_winner_never_falls_and_the_loser_never_rises(case: tuple[Standings, dict[str, Rating]]) -> None:
    """The only first does not lose, on a ticket or on the board; the only last does not gain; nobody is less known."""
    found, before = case
    after = rate(found, before)
    places = [side.place for side in found.sides]
    for side in found.sides:
        alone = places.count(side.place) == 1
        for player in side.players:
            was, now = before.get(player, NEWCOMER), after[player]
            assert now.sigma <= was.sigma
            assert now.matches == was.matches + 1
            if alone and side.place == 0 and player not in found.left:
                assert now.mu >= was.mu
                assert now.board_score >= was.board_score
            if alone and side.place == max(places) > 0:
                assert now.mu <= was.mu


@given(matches())
def test_who_left_gains_nothing(case: tuple[Standings, dict[str, Rating]]) -> None:
    """Whoever left has no higher rating after the match, even if his team won."""
    found, before = case
    after = rate(found, before)
    assert all(after[player].mu <= before.get(player, NEWCOMER).mu for player in found.left)


@given(ratings, ratings)
def test_a_draw_brings_together(one: Rating, other: Rating) -> None:
    """After a draw two players are not further apart than before, and two equals are where they were."""
    after = rate(duel(0), {"ann": one, "bob": other})
    assert abs(after["ann"].mu - after["bob"].mu) <= max(abs(one.mu - other.mu), 2 * SMALLEST) + SMALLEST
    equals = rate(duel(0), {"ann": one, "bob": one})
    assert equals["ann"].mu == equals["bob"].mu == one.mu


@given(matches(), matches())
def test_matches_of_different_players_may_come_in_any_order(
    one: tuple[Standings, dict[str, Rating]], other: tuple[Standings, dict[str, Rating]]
) -> None:
    """A match looks at its own players only, so who else was rated before changes nothing."""
    found, before = one
    strangers = {f"x{player}": rating for player, rating in rate(*other).items()}
    assert rate(found, before | strangers) == rate(found, before)


def _row(report: Any, *, teams: int = 2, reason: str = "finished", state: str = "ENDED", **more: Any) -> list[Any]:
    seats = [MatchPlayer(f"p{i}", "", f"team{i % teams}", f"t{i}") for i in range(4)]
    match = Match("m1", "duel", 1, 1, seats, Server(arena={}), Timers(), 3, 30, **{"rating_mode": "", **more})
    return [state, msgspec.json.encode(match).decode(), reason, json.dumps(report), None]


FOUR = {"players": [{"player": f"p{i}", "score": i} for i in range(4)]}


def test_the_order_of_a_report_makes_no_difference() -> None:
    """However a report orders its players, every digit of the ratings is the same."""
    turned = {"players": FOUR["players"][::-1]}
    found = [result_of("m1", _row(report)) for report in (FOUR, turned)]
    assert all(isinstance(it, Result) for it in found)
    one, other = (rate(it.standings, {}) for it in found if isinstance(it, Result))
    assert one == other


def test_what_the_game_told_goes_before_what_its_server_said() -> None:
    """A report of the game's own is the result, also where the server adds its exit code."""
    row = _row({"exit_code": 0})
    assert isinstance(result_of("m1", row), Unrated)
    row[-1] = json.dumps(FOUR)
    found = result_of("m1", row)
    assert isinstance(found, Result)
    assert found.players == ["p1", "p3", "p0", "p2"]


@pytest.mark.parametrize(
    ("row", "faulty"),
    [
        (_row({}), True),
        (_row({"players": FOUR["players"][:3]}), True),
        (_row("nonsense"), True),
        (_row(FOUR, reason="stopped"), False),
        (_row(FOUR, reason="no_show"), False),
        (_row(FOUR, reason="empty"), False),
        (_row(FOUR, state="FAILED"), False),
        ([None] * 5, False),
        (["ENDED", "{", "finished", "{}", None], True),
        (["ENDED", _row(FOUR)[1], "finished", None, None], False),
    ],
)
def test_what_moves_no_rating(row: list[Any], faulty: bool) -> None:
    """A match that did not come to its end, or of which nothing usable was told, is said why, and whose fault it is."""
    found = result_of("m1", row)
    assert isinstance(found, Unrated)
    assert found.why
    assert found.faulty == faulty


def test_one_player_alone_has_nobody_to_be_compared_with() -> None:
    """A match of one side moves nothing."""
    seat = MatchPlayer("p1", "", "players", "t1")
    match = Match("m1", "duel", 1, 1, [seat], Server(arena={}), Timers(), 3, 30, rating_mode="")
    report = json.dumps({"players": [{"player": "p1", "score": 1}]})
    found = result_of("m1", ["ENDED", msgspec.json.encode(match).decode(), "finished", report, None])
    assert isinstance(found, Unrated)


def test_two_hundred_players() -> None:
    """The largest match there is moves everybody, the first up and the last down."""
    found = Standings(tuple(Side(i, (f"p{i}",)) for i in range(200)), frozenset())
    after = rate(found, {})
    assert len(after) == 200
    assert after["p0"].mu > 1500 > after["p199"].mu
