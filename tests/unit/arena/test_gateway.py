"""The gateway: joins, replacements, rates and time-outs, on links that only remember."""

from __future__ import annotations

import pytest

from core.interactions import PLAYER_LEFT
from gamepod.arena import ArenaSettings
from gamepod.transport.auth_types import JoinRefused
from gamepod.transport.gateway import OVER_REPEAT_TICKS, Gateway
from gamepod.transport.limits import TransportLimits
from tests.unit.arena.kit import MATCH, OPEN_FIELD, Clock, FakeLink, authenticate, message, one_session, token


class House:
    """A gateway with one session and a clock."""

    def __init__(self, settings: ArenaSettings = OPEN_FIELD, limits: TransportLimits | None = None) -> None:
        self.clock = Clock()
        self.manager, self.session = one_session(settings)
        self.gateway = Gateway(self.manager, authenticate, self.clock, limits)

    def joined(self, player: str, *, datagram: bool = False) -> FakeLink:
        """A link that has joined and read its welcome."""
        link = FakeLink(datagram=datagram)
        self.gateway.join(link, token(player))
        link.take()
        return link

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.gateway.broadcast(self.manager.step(self.clock.ms))


def test_a_join_is_welcomed_with_everything() -> None:
    """A good join answers with the welcome and then a full snapshot."""
    house, link = House(), FakeLink()
    house.gateway.received(link, message("join", token=token("ann")))
    welcome, snapshot = link.take()
    assert (welcome["type"], welcome["player"], welcome["name"], welcome["ack"]) == ("welcome", "ann", "Ann", 0)
    assert welcome["world"]["width_m"] == OPEN_FIELD.width_m
    assert (snapshot["type"], snapshot["full"]) == ("snapshot", True)
    assert snapshot["players"] == [[0, "ann", "Ann", "", 0, 0, 0]]
    assert house.gateway.connected(MATCH) == ("ann",)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("garbage", "bad-token"),
        ("ann:other-match", "unknown-match"),
        (f"ann:{MATCH}::5", "token-expired"),
    ],
)
def test_a_bad_join_is_refused_by_code(text: str, code: str) -> None:
    """A forged token, one of another match and an expired one are each refused, counted and change nothing."""
    house, link = House(), FakeLink()
    house.gateway.received(link, message("join", token=text))
    assert [error["code"] for error in link.take()] == [code]
    assert house.gateway.stats.joins_refused == {code: 1}
    assert house.session.present == ()
    assert not link.closed


def test_a_stranger_may_say_little() -> None:
    """A stream that sends other things than a good join is told so, and closed after a few."""
    house, link = House(), FakeLink()
    for _ in range(house.gateway.limits.early_messages):
        assert not link.closed
        house.gateway.received(link, message("ping", t=1))
    assert {error["code"] for error in link.take()} == {"not-joined"}
    assert link.closed


def test_the_welcome_says_how_long_the_match_is_played() -> None:
    """Who joins later hears how much of the time limit is gone; for the first one it begins."""
    house = House()
    house.clock.ms += 5_000
    first, second = FakeLink(), FakeLink()
    house.gateway.received(first, message("join", token=token("ann")))
    house.clock.ms += 2_000
    house.gateway.received(second, message("join", token=token("bob")))
    assert [link.take()[0]["played_ms"] for link in (first, second)] == [0, 2_000]


def test_inputs_reach_the_session_and_are_acknowledged() -> None:
    """A batch of commands shows in the next snapshot as acknowledged and accepted."""
    house = House()
    link = house.joined("ann")
    commands = [{"type": "move", "throttle": 1}, {"type": "move", "throttle": 9}]
    house.gateway.received(link, message("input", seq=1, commands=commands))
    house.tick()
    (snapshot,) = link.take("snapshot")
    assert (snapshot["tick"], snapshot["ack"], snapshot["accepted"]) == (1, 2, 1)
    assert (snapshot["you"]["refused"], snapshot["you"]["last_refusal"]) == (1, "too-fast")


def test_a_ping_is_answered() -> None:
    """A ping comes back with its own time and the server's."""
    house = House()
    link = house.joined("ann")
    house.gateway.received(link, message("ping", t=12.5))
    assert link.take() == [{"type": "pong", "t": 12.5, "server_ms": house.clock.ms}]


def test_leave_gives_the_tank_up_at_once() -> None:
    """A client that leaves is closed and its tank is gone, without a grace."""
    house = House()
    link = house.joined("ann")
    house.gateway.received(link, message("leave"))
    assert link.closed
    assert house.session.present == ()
    assert house.gateway.clients == 0


def test_the_newest_connection_replaces_the_older() -> None:
    """A second join of a player closes the first connection and keeps tank, numbers and place."""
    house = House()
    old = house.joined("ann")
    house.gateway.received(old, message("input", seq=1, commands=[{"type": "move", "throttle": 0}]))
    house.tick()
    new = FakeLink()
    house.gateway.join(new, token("ann"))
    assert old.take("error")[0]["code"] == "replaced"
    assert old.closed
    assert new.take("welcome")[0]["ack"] == 1
    house.gateway.closed(old)
    house.clock.pass_s(60)
    house.gateway.read(new, message("ping", t=1))
    house.tick()
    assert house.session.present == ("ann",)
    house.gateway.received(old, message("input", seq=2, commands=[{"type": "move", "throttle": 0}]))
    assert old.take()[-1]["code"] == "not-joined"


def test_a_lost_connection_has_a_grace() -> None:
    """The tank of a lost connection waits for its player, and is given up when nobody comes."""
    house = House()
    house.gateway.closed(house.joined("ann"))
    house.gateway.closed(house.joined("bob"))
    house.clock.pass_s(house.gateway.limits.reconnect_grace_s - 1)
    house.tick()
    assert house.session.present == ("ann", "bob")
    house.joined("ann")
    house.clock.pass_s(2)
    house.tick()
    assert house.session.present == ("ann",)
    left = [event for event in house.manager.drain_events() if event.name == "player_left_session"]
    assert [(event.player, event.data["reason"]) for event in left] == [("bob", "disconnected")]


def test_a_silent_client_is_dropped() -> None:
    """A client that sends nothing is told, dropped, and after the grace its tank is gone; UDP is sooner."""
    house = House()
    stream, datagram = house.joined("ann"), house.joined("bob", datagram=True)
    house.clock.pass_s(house.gateway.limits.datagram_idle_timeout_s + 1)
    house.tick()
    assert (stream.closed, datagram.closed) == (False, True)
    assert datagram.take("error")[0]["code"] == "idle"
    house.clock.pass_s(house.gateway.limits.idle_timeout_s)
    house.tick()
    assert stream.closed
    house.clock.pass_s(house.gateway.limits.reconnect_grace_s)
    house.tick()
    assert house.session.present == ()


def test_too_many_messages_close_a_stream_but_only_thin_out_datagrams() -> None:
    """Over its rate a stream is closed; datagrams over the rate are dropped without an answer."""
    limits = TransportLimits(messages_per_second=1.0, message_burst=2.0)
    house = House(limits=limits)
    stream, datagram = house.joined("ann"), house.joined("bob", datagram=True)
    for link in (stream, datagram):
        for _ in range(3):
            if not link.closed:
                house.gateway.received(link, message("ping", t=1))
    assert [m["type"] for m in stream.take()] == ["pong", "pong", "error"]
    assert stream.closed
    assert [m["type"] for m in datagram.take()] == ["pong", "pong"]
    assert house.gateway.stats.rate_limited == 2


def test_joining_anew_gives_nobody_more_messages() -> None:
    """A player has one allowance: another connection goes on with what the last one left."""
    house = House(limits=TransportLimits(messages_per_second=1.0, message_burst=2.0))
    for _ in range(2):
        house.gateway.received(house.joined("ann"), message("ping", t=1))
    spent, bob = house.joined("ann"), house.joined("bob")
    for link in (spent, bob):
        house.gateway.received(link, message("ping", t=1))
    assert [m["code"] for m in spent.take()] == ["rate-limited"]
    assert [m["type"] for m in bob.take()] == ["pong"]
    house.clock.pass_s(1.0)
    house.gateway.received(again := house.joined("ann"), message("ping", t=1))
    assert [m["type"] for m in again.take()] == ["pong"]


def test_a_player_who_joins_again_and_again_is_told_to_wait() -> None:
    """Each join is answered with the whole world: over the rate it is refused, and who is in stays in."""
    house = House(limits=TransportLimits(player_joins_per_second=1.0, player_join_burst=2.0))
    house.joined("ann")
    link = house.joined("ann")
    with pytest.raises(JoinRefused) as caught:
        house.joined("ann")
    assert caught.value.code == "too-many-joins"
    assert house.gateway.joined(link)
    house.joined("bob")
    house.clock.pass_s(1.0)
    house.joined("ann")
    assert link.closed


def test_malformed_messages_are_told_and_then_end_it() -> None:
    """Each malformed message is answered with an error; after a number of them the client is dropped."""
    house = House(limits=TransportLimits(bad_messages=3))
    link = house.joined("ann")
    for _ in range(3):
        house.gateway.received(link, b"nonsense")
    assert [m["code"] for m in link.take()] == ["bad-message"] * 3
    assert link.closed
    assert house.gateway.stats.bad_messages == {"no-json": 3, "no-message": 0}


def test_a_second_join_on_a_stream_is_refused() -> None:
    """A stream keeps its player; another join on it is an error and changes nothing."""
    house = House()
    link = house.joined("ann")
    house.gateway.received(link, message("join", token=token("bob")))
    assert link.take()[0]["code"] == "already-joined"
    assert house.session.present == ("ann",)


def test_a_link_may_change_its_player() -> None:
    """Where a transport lets the same link join again (UDP), the player before waits out the grace."""
    house = House()
    link = house.joined("ann", datagram=True)
    house.gateway.join(link, token("bob"))
    assert house.gateway.connected(MATCH) == ("bob",)
    house.clock.pass_s(house.gateway.limits.reconnect_grace_s)
    house.gateway.read(link, message("ping", t=1))
    house.tick()
    assert house.session.present == ("bob",)


def test_clients_are_bounded() -> None:
    """At the bound a new player is refused, while a player who reconnects is not."""
    house = House(limits=TransportLimits(max_clients=1))
    house.joined("ann")
    with pytest.raises(JoinRefused) as caught:
        house.gateway.join(FakeLink(), token("bob"))
    assert caught.value.code == "server-full"
    house.joined("ann")
    assert house.gateway.clients == 1


def test_a_reader_that_is_behind_loses_snapshots_only() -> None:
    """A dropped snapshot is counted, the next is tried later, and the client stays."""
    house = House()
    link = house.joined("ann")
    link.behind = True
    house.tick(3)
    assert link.take() == []
    assert house.gateway.stats.snapshots_dropped == 2
    assert not link.closed


def test_the_result_is_told_once_to_streams_and_again_to_datagrams() -> None:
    """When the match is over clients get the result instead of snapshots; on UDP it is repeated."""
    house = House()
    stream, datagram = house.joined("ann"), house.joined("bob", datagram=True)
    house.session.end("operator")
    house.tick(1 + 2 * OVER_REPEAT_TICKS)
    (over,) = stream.take()
    assert (over["type"], over["result"]["reason"], over["result"]["match"]) == ("over", "operator", MATCH)
    assert [m["type"] for m in datagram.take()] == ["over"] * 3


def test_closing_a_match_disconnects_its_players() -> None:
    """When a match is closed its clients are told why, and nobody waits for anyone."""
    house = House()
    link = house.joined("ann")
    house.gateway.closed(house.joined("bob"))
    house.gateway.close_match(MATCH, "match-removed", "the match is gone")
    house.manager.remove(MATCH, house.clock.ms)
    assert link.take("error")[0]["code"] == "match-removed"
    assert (link.closed, house.gateway.clients, house.gateway.connected(MATCH)) == (True, 0, ())
    house.clock.pass_s(60)
    house.tick()


def test_a_player_removed_by_the_server_is_disconnected() -> None:
    """When the session lets a player go, the next tick or input disconnects them."""
    house = House()
    ann, bob = house.joined("ann"), house.joined("bob")
    house.manager.leave(MATCH, "ann", "kicked", 0)
    house.manager.leave(MATCH, "bob", "kicked", 0)
    house.gateway.received(bob, message("input", seq=1, commands=[{"type": "shoot"}]))
    house.tick()
    for link in (ann, bob):
        assert link.take("error")[0]["code"] == "not-in-match"
        assert link.closed


def test_a_player_whose_seat_is_another_s_is_turned_out() -> None:
    """Connected or away, the tank goes at once and no return is waited for."""
    house = House()
    link, other = house.joined("ann"), house.joined("bob")
    house.gateway.turn_out(MATCH, "ann", "not-in-roster", "gone")
    assert link.take()[-1]["code"] == "not-in-roster"
    assert link.closed
    house.gateway.closed(other)
    for player in ("bob", "nobody"):
        house.gateway.turn_out(MATCH, player, "not-in-roster", "gone")
    assert house.session.present == house.gateway.connected(MATCH) == ()
    house.clock.ms += 60_000
    house.tick()
    left = [event for event in house.manager.drain_events() if event.name == PLAYER_LEFT]
    assert [event.data["reason"] for event in left] == ["not-in-roster"] * 2


def test_the_server_says_goodbye() -> None:
    """Closing the gateway tells every client and closes it."""
    house = House()
    link = house.joined("ann")
    house.gateway.close()
    assert link.take("error")[0]["code"] == "server-closing"
    assert link.closed
