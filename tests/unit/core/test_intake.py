"""What outside programs may say, how long anybody waits for a silent server, what an order comes to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from core.errors import Invalid, Misconfigured
from core.intake.lanes import BEHIND_S, WINDOW, Lane
from core.intake.matches import NotFit, digest_of, match_of
from core.intake.messages import REASONS, Order, read_command, read_order, reason_of
from core.intake.settings import IntakeSettings
from core.model import Game, GameSpec, Server, Team
from core.sinks.settings import Settings

GOOD: dict[str, Any] = {"game": "tanks", "match": "m-1", "player": "p-1", "command": {"type": "shoot", "aim": 90}}
ORDER: dict[str, Any] = {
    "event": "new_match_created", "id": "their-1", "game": "tanks", "at_ms": 1,
    "players": [{"id": "p-1", "team": "red"}, {"id": "p-2", "name": "Bob", "team": "blue", "rank": 3}],
}  # fmt: skip


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_a_command_has_two_forms() -> None:
    """An object as in the arena's protocol, or its type with its fields beside it; the property's id goes first."""
    nested = read_command(encoded(GOOD | {"id": "b"}), "a")
    flat = read_command(encoded(GOOD | {"command": "shoot", "aim": 90}), "a")
    assert nested == flat
    assert (nested.game, nested.match, nested.player, nested.id) == ("tanks", "m-1", "p-1", "a")
    assert nested.text == '{"player":"p-1","command":{"type":"shoot","aim":90}}'
    without = {name: value for name, value in GOOD.items() if name != "match"}
    assert read_command(encoded(without | {"id": "b"}), None)[1:4] == ("", "p-1", "b")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"no", b"\xff", b"[1]", b"[" * 100_000, b'"x"', encoded({"game": "tanks"}), encoded(GOOD | {"command": 1}),
        encoded(GOOD | {"player": ""}), encoded(GOOD | {"player": 7}), encoded(GOOD | {"game": "a}b"}),
        encoded(GOOD | {"mach": "m-1"}), encoded(GOOD | {"match": "m" * 200}), encoded(GOOD | {"pad": "x" * 20_000}),
    ],
)  # fmt: skip
def test_a_bad_command_is_told_what_is_wrong(body: bytes) -> None:
    """Whatever comes is a command or `bad-form`, and nothing else."""
    with pytest.raises(Invalid) as raised:
        read_command(body, "a")
    assert raised.value.code == "bad-form"
    assert raised.value.detail


@pytest.mark.parametrize(
    "change",
    [
        {"event": "match_failed"}, {"game": "No Game"}, {"players": []}, {"players": [{"team": "red"}]}, {"id": "a b"},
        {"players": [{"id": "p-1"}] * 2}, {"players": [{"id": f"p-{n}"} for n in range(300)]}, {"id": "ä"},
    ],
)  # fmt: skip
def test_a_bad_order_is_told_what_is_wrong(change: dict[str, Any]) -> None:
    """Another event, nobody to play, somebody twice, no id of one's own."""
    with pytest.raises(Invalid) as raised:
        read_order(encoded(ORDER | change), None)
    assert raised.value.code == "bad-form"


def test_an_order_needs_an_id() -> None:
    """Its own, or the message's; other fields are passed over, as of an event."""
    assert read_order(encoded(ORDER), "message").id == "their-1"
    bare = encoded({name: value for name, value in ORDER.items() if name != "id"})
    assert read_order(bare, "message").id == "message"
    with pytest.raises(Invalid, match="your own id"):
        read_order(bare, None)


def test_answers_of_servers_are_reasons_we_know() -> None:
    """Whatever else a game answers is its refusal, in its words: a metric's labels are bounded."""
    assert reason_of("not-in-match no tank") == ("not-in-match", "no tank")
    assert reason_of("nope at all") == ("refused", "nope at all")
    assert "refused" in REASONS


def test_a_lane_waits_for_its_server_and_no_longer() -> None:
    """A window of commands; behind, nothing more; overdue, closed for a while; an answer makes it live again."""
    lane: Lane[int] = Lane()
    lane.waiting.extend(range(100))
    assert lane.room() == list(range(WINDOW))
    lane.was_put(WINDOW, 10.0)
    assert (lane.room(), lane.refused(10.0 + BEHIND_S - 0.1), lane.overdue(15.0, 6.0)) == ([], [], False)
    assert lane.refused(10.0 + BEHIND_S) == list(range(WINDOW, 100))
    assert lane.overdue(16.0, 6.0)
    lane.put.clear()
    lane.close(16.0, 6.0)
    lane.waiting.append(100)
    assert lane.refused(21.9) == [100]
    assert lane.idle
    lane.waiting.append(101)
    assert (lane.refused(22.0), lane.room()) == ([], [101])
    lane.was_put(1, 22.0)
    lane.heard_s = 30.0
    assert not lane.overdue(35.0, 6.0)


def game(**spec: Any) -> Game:
    """A registration of two teams."""
    teams = [Team("red", 1, 1), Team("blue", 1, 2)]
    made = GameSpec(server=Server(arena={}), **({"teams": teams} | spec))
    return Game("tanks", "p-owner", 3, 0, len(spec), made)  # known by its time, too


def test_an_order_becomes_a_match() -> None:
    """With the names it says or those of the accounts, one ticket for all, and no second try."""
    order = read_order(encoded(ORDER), None)
    match = match_of(game(), order, {"p-1": "Ada", "p-2": "Robert"}, "m-1", "t-1", 5)
    assert [(p.id, p.name, p.team, p.ticket) for p in match.players] == [
        ("p-1", "Ada", "red", "t-1"), ("p-2", "Bob", "blue", "t-1")
    ]  # fmt: skip
    assert (match.game_version, match.tries, match.acceptance_timeout_s) == (3, 1, None)


def test_a_game_of_one_team_needs_no_teams() -> None:
    """They are all in it."""
    order = Order("new_match_created", "tanks", read_order(encoded(ORDER), None).players, "x")
    bare = read_order(encoded(ORDER | {"players": [{"id": "p-1"}, {"id": "p-2"}]}), None)
    one = game(teams=[], players_per_match=2)
    names = {"p-1": "Ada", "p-2": "Bob"}
    assert {p.team for p in match_of(one, bare, names, "m-1", "t-1", 5).players} == {"players"}
    with pytest.raises(NotFit, match="no team of the game"):
        match_of(one, order, names, "m-1", "t-1", 5)


@pytest.mark.parametrize(
    ("players", "words"),
    [
        ([("p-1", "red")], "blue 0"),
        ([("p-1", "red"), ("p-2", "red"), ("p-3", "blue")], "red 2"),
        ([("p-1", "green"), ("p-2", "red")], "'green' is no team"),
        ([("p-1", ""), ("p-2", "red")], "'' is no team"),
    ],
)
def test_teams_are_those_of_the_game(players: list[tuple[str, str]], words: str) -> None:
    """By name and size."""
    body = ORDER | {"players": [{"id": id_, "team": team} for id_, team in players]}
    with pytest.raises(NotFit, match=words) as raised:
        match_of(game(), read_order(encoded(body), None), dict(players), "m-1", "t-1", 5)
    assert raised.value.code == "wrong-teams"


def test_a_repeat_is_told_from_another_match() -> None:
    """By its players and teams, in any order; names and other fields do not matter."""
    order = read_order(encoded(ORDER), None)
    turned = read_order(encoded(ORDER | {"players": ORDER["players"][::-1], "at_ms": 2}), None)
    assert digest_of(order) == digest_of(turned)
    other: Callable[[dict[str, Any]], str] = lambda change: digest_of(read_order(encoded(ORDER | change), None))  # noqa: E731
    assert other({"players": ORDER["players"][:1]}) != digest_of(order)
    assert other({"game": "duel"}) != digest_of(order)


@pytest.mark.parametrize("wrong", [{"prefetch": 1}, {"prefetch": 9999}, {"answer_s": 1}, {"room_s": -1}])
def test_settings_out_of_bounds_are_named(wrong: dict[str, Any]) -> None:
    """With the variable that changes them."""
    with pytest.raises(Misconfigured, match="MUSTER_INTAKE_"):
        IntakeSettings(**wrong)


def test_a_broker_is_named_in_any_way() -> None:
    """Host, host and port, or a URL, whose own user and password go first."""
    url = lambda host: Settings(rabbitmq=host, rabbitmq_user="me", rabbitmq_password="p@ss").rabbitmq_url  # noqa: E731
    assert url("rabbit") == "amqp://me:p%40ss@rabbit/"
    assert url("amqps://rabbit:5671/games") == "amqps://me:p%40ss@rabbit:5671/games"
    assert url("amqp://you:x@rabbit/") == "amqp://you:x@rabbit/"
