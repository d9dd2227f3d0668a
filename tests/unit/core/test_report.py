"""What a server reports of its players, and who thereby stood where."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.errors import Invalid
from core.model import MatchPlayer
from core.report import Report, Side, read_report, standings

DUEL = {"players": ["ann", "bob"]}
TEAMS = {"red": ["ann", "bob"], "blue": ["cid", "dan"]}


def seats(teams: dict[str, list[str]]) -> list[MatchPlayer]:
    """Seats of a match."""
    return [MatchPlayer(player, "", team, f"t-{player}") for team, players in teams.items() for player in players]


def told(**fields: Any) -> Report:
    """A report as it comes."""
    return read_report(msgspec.json.encode(fields))


def places(of: dict[str, list[str]], /, **fields: Any) -> dict[str, int]:
    """Player -> place."""
    found = standings(seats(of), told(**fields))
    return {player: side.place for side in found.sides for player in side.players}


def scores(**of: float) -> list[dict[str, Any]]:
    return [{"player": player, "score": score} for player, score in of.items()]


def ranks(**of: int) -> list[dict[str, Any]]:
    return [{"player": player, "rank": rank} for player, rank in of.items()]


def test_one_team_is_all_against_all() -> None:
    """By score the highest is first, by rank the lowest; a rank goes before a score."""
    assert places(DUEL, players=scores(ann=1, bob=2)) == {"bob": 0, "ann": 1}
    assert places(DUEL, players=ranks(ann=1, bob=7)) == {"ann": 0, "bob": 1}
    both = [{"player": "ann", "rank": 2, "score": 9}, {"player": "bob", "rank": 1, "score": 1}]
    assert places(DUEL, players=both) == {"bob": 0, "ann": 1}


def test_equals_draw() -> None:
    """Equal scores or ranks share a place, players' and teams'."""
    assert places(DUEL, players=scores(ann=3, bob=3)) == {"ann": 0, "bob": 0}
    assert set(places(TEAMS, players=scores(ann=1, bob=2, cid=3, dan=0)).values()) == {0}


def test_teams_win_together() -> None:
    """A team's place is the one told of it, else the best rank of its players, else the sum of their scores."""
    blue_won = {"ann": 1, "bob": 1, "cid": 0, "dan": 0}
    four = scores(ann=9, bob=9, cid=0, dan=0)
    assert places(TEAMS, players=four, teams=[{"team": "red", "rank": 2}, {"team": "blue", "rank": 1}]) == blue_won
    assert places(TEAMS, players=four, teams=[{"team": "red", "score": 0}, {"team": "blue", "score": 1}]) == blue_won
    assert places(TEAMS, players=ranks(ann=2, bob=3, cid=1, dan=4)) == blue_won
    assert places(TEAMS, players=scores(ann=5, bob=0, cid=3, dan=3)) == blue_won
    found = standings(seats(TEAMS), told(players=four))
    assert found.sides == (Side(0, ("ann", "bob")), Side(1, ("cid", "dan")))


def test_who_left_is_last() -> None:
    """Without teams whoever left is behind all who stayed, whatever his score; he may be named among the players."""
    three = {"players": ["ann", "bob", "cid"]}
    assert places(three, players=scores(ann=1, bob=2), left=["cid"]) == {"bob": 0, "ann": 1, "cid": 2}
    assert places(three, players=scores(ann=1, bob=2, cid=9), left=["cid"]) == {"bob": 0, "ann": 1, "cid": 2}
    assert standings(seats(three), told(players=scores(ann=1, bob=2), left=["cid"])).left == {"cid"}


def test_who_left_shares_the_place_of_his_team() -> None:
    """A team is placed by those who stayed, and one that left as a whole is last."""
    assert places(TEAMS, players=scores(ann=1, cid=2, dan=2), left=["bob"])["bob"] == 1
    assert places(TEAMS, players=scores(ann=-1, bob=-1), left=["cid", "dan"]) == {
        "ann": 0,
        "bob": 0,
        "cid": 1,
        "dan": 1,
    }
    teams = [{"team": "red", "rank": 1}]
    assert places(TEAMS, players=scores(ann=0, bob=0), teams=teams, left=["cid", "dan"])["cid"] == 1


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"players": scores(ann=1)}, "/players"),  # bob is missing
        ({"players": scores(ann=1, bob=1, eve=1)}, "/players"),
        ({"players": scores(ann=1, bob=1), "left": ["eve"]}, "/players"),
        ({"players": [*scores(ann=1), *ranks(bob=1)]}, "/players"),  # not comparable
        ({"players": [*scores(ann=1, bob=1), *scores(ann=2)]}, "/players"),
        ({"players": [{"player": "ann"}, {"player": "bob"}]}, "/players"),
        ({"players": [], "left": ["ann", "bob"]}, "/left"),
    ],
)
def test_nothing_is_guessed(fields: dict[str, Any], pointer: str) -> None:
    """A report that leaves something open, or names a stranger or somebody twice, is refused."""
    with pytest.raises(Invalid) as caught:
        standings(seats(DUEL), told(**fields))
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    "teams",
    [
        [{"team": "red", "rank": 1}],
        [{"team": "red", "rank": 1}, {"team": "blue", "score": 1}],
        [{"team": "red", "rank": 1}, {"team": "green", "rank": 2}],
        [{"team": "red", "rank": 1}, {"team": "red", "rank": 2}, {"team": "blue", "rank": 2}],
    ],
)
def test_no_team_is_guessed(teams: list[dict[str, Any]]) -> None:
    """Where teams are told of, each is told of once and in one way."""
    with pytest.raises(Invalid) as caught:
        standings(seats(TEAMS), told(players=scores(ann=1, bob=1, cid=1, dan=1), teams=teams))
    assert caught.value.pointer == "/teams"


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"{}", b'{"players": 1}', b'{"players": [{"player": 1}]}', b'{"exit_code": 0}',
        b'{"players": [{"player": "ann", "rank": 0}]}', b'{"players": [{"player": "ann", "score": 1e400}]}',
        b'{"players": [{"player": "ann", "score": 1e300}]}', b'{"players": [{"player": "ann", "score": NaN}]}',
        b'{"players": [], "teams": {}}', b'{"players"', b"\xff", b"[" * 10_000,
    ],
)  # fmt: skip
def test_what_is_no_report(text: bytes) -> None:
    """Anything but a report is refused, not half read."""
    with pytest.raises(Invalid):
        read_report(text)


def test_a_game_says_more() -> None:
    """Fields of the game's own are passed over."""
    report = told(players=[{"player": "ann", "score": 1, "kills": 3}], map="mars", winner="ann")
    assert report.players[0].player == "ann"
