"""The seats that a server knows: who may join, who has left, how many are free."""

from __future__ import annotations

from core.model import Match, MatchPlayer, Server, Timers
from gamepod.roster import Roster


def match(*players: str, tickets: str = "a") -> Match:
    """A match of these; the ticket of player p is p and a letter."""
    seats = [MatchPlayer(player, player, "all", f"{player}-{tickets}") for player in players]
    return Match("m-1", "tanks", 1, 0, seats, Server(arena={}), Timers(), 3, 30)


def test_who_leaves_frees_a_seat_until_he_is_back() -> None:
    """Leaving counts as a free seat; coming back takes it again."""
    roster = Roster(match("p1", "p2"))
    roster.went("p1")
    assert (roster.left, roster.free) == (["p1"], 1)
    roster.came("p1")
    assert (roster.left, roster.free) == ([], 0)
    roster.only_left(["p1", "p2"])
    assert (roster.left, roster.free) == (["p1", "p2"], 2)


def test_new_seats_replace_the_old() -> None:
    """Whose seat is another's may not join any more; somebody not heard of yet may, for a token proves his seat."""
    roster = Roster(match("p1", "p2"))
    roster.went("p1")
    assert all(roster.may_join(player) for player in ("p1", "p2", "p3"))
    assert roster.change(match("p2", "p3"), 1) == ["p1"]
    assert (roster.number, roster.left, roster.free) == (1, [], 0)
    assert [roster.may_join(player) for player in ("p1", "p2", "p3")] == [False, True, True]


def test_half_of_the_free_seats_are_still_free() -> None:
    """Two left and one came: one seat is free, against the most that there were."""
    roster = Roster(match("p1", "p2", "p3"))
    roster.only_left(["p1", "p2"])
    roster.change(match("p3", "p4"), 1)
    assert (roster.left, roster.free) == ([], 1)
    roster.change(match("p3", "p4", "p5", "p6"), 2)
    assert roster.free == 0
    roster.went("p6")
    assert roster.free == 1


def test_who_left_may_be_seated_again() -> None:
    """A player who left and queued again has a new seat, and is expected rather than gone."""
    roster = Roster(match("p1", "p2"))
    roster.went("p1")
    assert roster.change(match("p2", "p1", tickets="b"), 1) == []
    assert (roster.left, roster.may_join("p1"), roster.free) == ([], True, 0)


def test_who_left_before_his_seat_was_heard_of_has_left() -> None:
    """A newcomer who joins and leaves before the server hears of his seat counts as gone then."""
    roster = Roster(match("p1", "p2"))
    roster.went("p1")
    roster.went("p3")
    roster.change(match("p2", "p3"), 1)
    assert (roster.left, roster.free) == (["p3"], 1)
