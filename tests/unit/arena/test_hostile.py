"""Hostile input at the simulation: refused, counted by its reason, never an interaction."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import NotFound
from gamepod.arena import Interaction, MoveCommand, Refusal
from gamepod.arena.commands import Command, ShootCommand
from gamepod.transport.gateway import Gateway
from tests.unit.arena.kit import Clock, FakeLink, authenticate, message, one_session, token

NAN, INFINITE = b"NaN", b"1e999"
MOVE: dict[str, Any] = {"type": "move", "throttle": 1.0}


class House:
    """Two joined players, ann (slot 0) and bob (slot 1)."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.manager, self.session = one_session()
        self.gateway = Gateway(self.manager, authenticate, self.clock)
        self.ann = FakeLink()
        for link, player in ((self.ann, "ann"), (FakeLink(), "bob")):
            self.gateway.join(link, token(player))
        self.ann.take()

    def play(self) -> list[Interaction]:
        """What a tick brings into the log."""
        (output,) = self.manager.step(self.clock.ms)
        return output.interactions

    def refused(self) -> dict[str, int]:
        return {reason: count for reason, count in self.session.refused_by_reason.items() if count}


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"type": "shoot", "target": 0}, Refusal.SELF_TARGET),
        ({"type": "shoot", "target": 99}, Refusal.UNKNOWN_TARGET),
        ({"type": "shoot", "target": -1}, Refusal.UNKNOWN_TARGET),
        ({"type": "shoot", "target": 2**70}, Refusal.UNKNOWN_TARGET),
        ({"type": "shoot", "target": 1, "aim": 0}, Refusal.BAD_VALUE),
        ({"type": "shoot", "aim": 1e300}, Refusal.BAD_VALUE),
        ({"type": "move", "throttle": 1e300}, Refusal.TOO_FAST),
        ({"type": "move", "throttle": -1.0001}, Refusal.TOO_FAST),
        ({"type": "move", "throttle": 0, "turn": 2}, Refusal.TOO_FAST),
        ({"type": "move", "throttle": 0, "aim": -1e12}, Refusal.BAD_VALUE),
    ],
)
def test_an_impossible_command_is_counted_by_its_reason(command: dict[str, Any], reason: Refusal) -> None:
    """A command that is well formed and cannot be is refused for its reason, and nothing is written."""
    house = House()
    house.gateway.received(house.ann, message("input", seq=1, commands=[command]))
    assert house.play() == []
    assert house.refused() == {reason.value: 1}
    assert house.session.present == ("ann", "bob")


@pytest.mark.parametrize(
    "command",
    [
        {"type": "shoot", "target": 1, "damage": 1e9},
        {"type": "shoot", "target": 1, "damage": -20},
        {"type": "shoot", "attacker": "bob", "target": 0},
        {"type": "shoot", "target": "bob"},
        {"type": "shoot", "target": 1.5},
        {**MOVE, "x": 1e9, "y": -5},
        {**MOVE, "lat": 91, "lon": 0},
        {**MOVE, "at_ms": 2**52},
        {**MOVE, "id": "m-1-1"},
        {**MOVE, "player": "bob"},
        {"type": "move", "throttle": "1"},
        {"type": "move", "throttle": None},
        {"type": "exist"},
    ],
)
def test_what_a_client_does_not_decide_is_no_command(command: dict[str, Any]) -> None:
    """Damage, attacker, place, time and id are the server's: a message that names them is refused whole and counted."""
    house = House()
    house.gateway.received(house.ann, message("input", seq=1, commands=[MOVE, command]))
    assert house.play() == []
    assert house.gateway.stats.bad_messages == {"no-json": 0, "no-message": 1}
    assert house.ann.take()[0]["code"] == "bad-message"


@pytest.mark.parametrize("number", [NAN, b"Infinity", b"-Infinity", INFINITE])
@pytest.mark.parametrize("field", [b"throttle", b"turn", b"aim"])
def test_numbers_that_are_none_do_not_come_in(field: bytes, number: bytes) -> None:
    """NaN and infinity end at the decoder, in whichever field, and are counted there."""
    house = House()
    fields = b"".join(
        b',"%b":%b' % (name, number if name == field else b"0") for name in (b"throttle", b"turn", b"aim")
    )
    house.gateway.received(house.ann, b'{"type":"input","seq":1,"commands":[{"type":"move"%b}]}' % fields)
    assert house.play() == []
    assert sum(house.gateway.stats.bad_messages.values()) == 1


@pytest.mark.parametrize("seq", [0, -1, 2**53, 1.5, "1", None])
def test_a_number_that_is_none_is_no_input(seq: Any) -> None:
    """Sequence numbers are whole, from 1 to what JavaScript counts exactly."""
    house = House()
    house.gateway.received(house.ann, message("input", seq=seq, commands=[MOVE]))
    assert house.play() == []
    assert house.gateway.stats.bad_messages["no-message"] == 1


def test_a_replayed_input_is_taken_once() -> None:
    """An input that is sent again, whole or in part, adds nothing to the log; what comes again is counted."""
    house = House()
    data = message("input", seq=1, commands=[MOVE, MOVE])
    for _ in range(3):
        house.gateway.received(house.ann, data)
    assert len(house.play()) == 2
    house.gateway.received(house.ann, data)
    house.gateway.received(house.ann, message("input", seq=2, commands=[MOVE, MOVE]))
    written = house.play()
    assert [one.id for one in written] == ["run-3"]
    assert house.session.repeated == 7
    assert house.refused() == {}


def test_a_number_from_the_future_is_refused_and_forgotten() -> None:
    """A jump beyond the window is counted, and does not lock the player's own numbers out."""
    house = House()
    house.gateway.received(house.ann, message("input", seq=2**53 - 1, commands=[MOVE]))
    assert house.play() == []
    assert house.refused() == {"out-of-window": 1}
    house.gateway.received(house.ann, message("input", seq=1, commands=[MOVE]))
    assert len(house.play()) == 1


@pytest.mark.parametrize("commands", [[MoveCommand(1.0)], [ShootCommand(target=1)] * 3])
def test_an_unknown_player_s_commands_are_counted(commands: list[Command]) -> None:
    """Commands for somebody who has no tank here, by whatever way, raise, are counted and leave nothing."""
    house = House()
    with pytest.raises(NotFound):
        house.session.input("eve", 1, commands)
    with pytest.raises(NotFound):
        house.session.command("eve", commands)
    assert house.play() == []
    assert house.refused() == {"not-in-match": 2 * len(commands)}


def test_a_target_that_left_is_unknown() -> None:
    """A shot at somebody who has left the match hits nobody and writes nothing."""
    house = House()
    house.manager.leave("match-1", "bob", "left", 0)
    house.gateway.received(house.ann, message("input", seq=1, commands=[{"type": "shoot", "target": 1}]))
    assert house.play() == []
    assert house.refused() == {"unknown-target": 1}
