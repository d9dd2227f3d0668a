"""Ratings as they are stored, and what a ticket is given of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.model import GameSpec, RatingSpec, Server, TicketPlayer
from core.rating import NEWCOMER, Rating, match_mode, mode_of, read_rating, with_ratings
from core.registration import check_game
from tests.unit.rules.samples import tree

MODES = RatingSpec(modes=["duel", "squad"])


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e4), st.integers(0, 10**9))
def test_a_rating_is_read_as_it_was_written(mu: float, sigma: float, matches: int) -> None:
    """What is stored is read again to the digit, so a computation can be repeated."""
    stored = Rating(round(mu, 3), round(sigma, 3), matches)
    assert read_rating(stored.text()) == stored
    assert read_rating(stored.text()).text() == stored.text()


@pytest.mark.parametrize("text", [None, "", "1500", "a b c", "1 2 3", "1 2 3 4 5"])
def test_nothing_stored_is_a_newcomer(text: str | None) -> None:
    """Without a readable rating a player is a newcomer, who is average, and at the bottom of the board."""
    assert read_rating(text) == NEWCOMER
    assert (NEWCOMER.attribute, NEWCOMER.board_score) == (1500, 0)


def test_a_ticket_gets_its_players_ratings() -> None:
    """The stored rating stands whatever was sent; what else was sent stays."""
    sent = [TicketPlayer("ann", attributes={"skill": 9000, "tank": "heavy"}), TicketPlayer("bob")]
    ann, bob = with_ratings(RatingSpec(), "", sent, ["1612.344 120.5 7 1", None])
    assert ann.attributes == {"skill": 1612.34, "tank": "heavy"}
    assert bob.attributes == {"skill": 1500}


def test_a_ticket_has_one_mode() -> None:
    """All players of a ticket have the mode of who asks; without one it is the first."""
    assert mode_of(MODES, {"mode": "squad"}) == "squad"
    assert mode_of(MODES, {}) == "duel"
    assert mode_of(RatingSpec(), {"mode": 7}) == ""
    players = [TicketPlayer("ann"), TicketPlayer("bob", attributes={"mode": "duel"})]
    assert [it.attributes["mode"] for it in with_ratings(MODES, "squad", players, [None, None])] == ["squad", "squad"]


@pytest.mark.parametrize("mode", ["", "chess", 1.0, ["duel"]])
def test_a_mode_that_there_is_not(mode: Any) -> None:
    """Only the modes of the registration have ratings."""
    with pytest.raises(Invalid) as caught:
        mode_of(MODES, {"mode": mode}, "/players/0")
    assert caught.value.pointer == "/players/0/attributes/mode"


def test_no_more_attributes_than_a_ticket_holds() -> None:
    """A ticket full of attributes has no room for a rating: it is refused, for the matchmaker could not read it."""
    full = TicketPlayer("ann", attributes={f"a{i}": 1.0 for i in range(50)})
    with pytest.raises(Invalid) as caught:
        with_ratings(RatingSpec(), "", [full], [None])
    assert caught.value.pointer == "/players/0/attributes"
    having_it = TicketPlayer("ann", attributes={**{f"a{i}": 1.0 for i in range(49)}, "skill": 1.0})
    assert len(with_ratings(RatingSpec(), "", [having_it], [None])[0].attributes) == 50


def test_a_match_of_one_mode_is_rated_in_it() -> None:
    """Where modes differ, or are none of the registration's, nobody's rating moves."""
    duel, squad = TicketPlayer("ann", attributes={"mode": "duel"}), TicketPlayer("bob", attributes={"mode": "squad"})
    assert match_mode(MODES, [duel, duel]) == "duel"
    assert match_mode(MODES, [duel, squad]) is None
    assert match_mode(MODES, [TicketPlayer("ann", attributes={"mode": "chess"})]) is None
    assert match_mode(RatingSpec(), [duel, squad]) == ""
    assert match_mode(None, [duel]) is None


def _registered(rating: RatingSpec, rules: dict[str, Any] | None) -> GameSpec:
    players = 2 if rules is None else None
    spec = GameSpec(server=Server(arena={}), players_per_match=players, rules=rules, rating=rating)
    return check_game("duel", spec, commands_allowed=False)


def test_a_registration_with_ratings() -> None:
    """Ratings go with plain teams, with a rule set that declares the attribute, and modes with one that knows them."""
    number, text = {"name": "skill", "type": "number"}, {"name": "mode", "type": "string"}
    _registered(RatingSpec(), None)
    _registered(RatingSpec(), tree(playerAttributes=[number]))
    _registered(MODES, tree(playerAttributes=[number, text]))


@pytest.mark.parametrize(
    ("rating", "attributes", "pointer"),
    [
        (RatingSpec(), [], "/rating/attribute"),
        (RatingSpec(), [{"name": "skill", "type": "string"}], "/rating/attribute"),
        (MODES, [{"name": "skill", "type": "number"}], "/rating/mode_attribute"),
        (MODES, None, "/rating/modes"),
        (RatingSpec(modes=["a", "a"]), None, "/rating/modes"),
        (RatingSpec(attribute="x", mode_attribute="x", modes=["a"]), [], "/rating/mode_attribute"),
    ],
)
def test_ratings_that_do_not_fit_the_rules(rating: RatingSpec, attributes: list[Any] | None, pointer: str) -> None:
    """A rating that no rule could see, or modes that nothing keeps apart, are refused with the place."""
    rules = None if attributes is None else tree(playerAttributes=attributes)
    with pytest.raises(Invalid) as caught:
        _registered(rating, rules)
    assert caught.value.pointer == pointer
