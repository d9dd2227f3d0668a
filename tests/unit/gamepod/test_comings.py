"""Who came and left, as a game tells its sidecar."""

from __future__ import annotations

from collections.abc import Sequence

from core.interactions import MATCH_OVER, PLAYER_JOINED, PLAYER_LEFT, Happening, Interaction
from core.model import Match, MatchPlayer, Server, Timers
from gamepod.comings import Comings
from gamepod.roster import Roster
from gamepod.sdk.tallies import Players

Told = list[tuple[str, str, str]]


class Kept:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.events: Told = []

    def add(self, interactions: Sequence[Interaction], events: Sequence[Happening] = ()) -> None:
        assert not interactions
        self.events += [(it.name, it.player, it.more.get("reason", it.more.get("team"))) for it in events]


def stage() -> tuple[Players, Roster, Kept, Comings]:
    """A match of ann (red) and bob (blue)."""
    seats = [MatchPlayer("ann", "Ann", "red", "t1"), MatchPlayer("bob", "Bob", "blue", "t2")]
    players, kept = Players(2), Kept()
    roster = Roster(Match("m", "g", 1, 0, seats, Server(arena={}), Timers(), 3, 30))
    return players, roster, kept, Comings(players, kept, clock=lambda: 5)


def test_nothing_is_told_before_the_match_and_after_it() -> None:
    """Who connected before Ready came when it began; who stayed has left when it is over, once."""
    players, roster, kept, comings = stage()
    players.ids["ann"] = None
    comings.follow()
    assert kept.events == []
    comings.begin(roster, resumed=False)
    comings.end()
    players.ids["bob"] = None
    comings.follow()
    comings.end()
    assert kept.events == [(PLAYER_JOINED, "ann", "red"), (PLAYER_LEFT, "ann", MATCH_OVER)]


def test_each_change_is_told_once_and_of_seats_only() -> None:
    """A repeat tells nothing; who has no seat is nobody of ours; left for good is another thing than lost."""
    players, roster, kept, comings = stage()
    comings.begin(roster, resumed=False)
    for ids in (["ann", "eve"], ["ann", "eve"], ["ann", "bob"], ["bob"]):
        players.ids = dict.fromkeys(ids)
        comings.follow()
    roster.went("bob")
    players.ids = {}
    comings.follow()
    assert kept.events == [
        (PLAYER_JOINED, "ann", "red"),
        (PLAYER_JOINED, "bob", "blue"),
        (PLAYER_LEFT, "ann", "disconnected"),
        (PLAYER_LEFT, "bob", "left"),
    ]


def test_who_was_told_by_an_earlier_life_is_not_told_again() -> None:
    """Only what changes after it."""
    players, roster, kept, comings = stage()
    players.ids = {"ann": None}
    comings.begin(roster, resumed=True)
    players.ids = {"bob": None}
    comings.follow()
    assert kept.events == [(PLAYER_LEFT, "ann", "disconnected"), (PLAYER_JOINED, "bob", "blue")]
