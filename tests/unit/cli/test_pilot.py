"""How a bot numbers, resends and counts."""

from __future__ import annotations

import json
import random
from typing import Any

from core.cli.pilot import MAX_COMMANDS, Pilot


def message(**fields: Any) -> bytes:
    """A server's message."""
    return json.dumps(fields).encode()


def welcomed(*, resend: bool) -> Pilot:
    """A pilot in slot 3 with a target in slot 5."""
    pilot = Pilot(random.Random(1), resend=resend)
    pilot.heard(message(type="welcome", player="p-me", slot=3, ack=0, accepted=0))
    pilot.heard(
        message(type="snapshot", tick=1, ack=0, accepted=0, changed=[[3, 0, 0, 0, 0, 100], [5, 0, 0, 0, 0, 100]])
    )
    return pilot


def test_commands_are_numbered_without_gaps() -> None:
    """On a stream each input starts where the one before it ended, and is sent once."""
    pilot = welcomed(resend=False)
    expected = 1
    for _ in range(50):
        sent = json.loads(pilot.input())
        assert sent["seq"] == expected
        expected += len(sent["commands"])
        assert all(command.get("target", 5) == 5 for command in sent["commands"])


def test_unacknowledged_commands_are_sent_again() -> None:
    """Over UDP an input carries everything that is not acknowledged, in order, up to the protocol's bound."""
    pilot = welcomed(resend=True)
    first, second = json.loads(pilot.input()), json.loads(pilot.input())
    assert second["seq"] == first["seq"] == 1
    assert second["commands"][: len(first["commands"])] == first["commands"]
    pilot.heard(message(type="snapshot", tick=2, ack=len(second["commands"]), accepted=2))
    assert json.loads(pilot.input())["seq"] == len(second["commands"]) + 1
    for _ in range(40):
        assert len(json.loads(pilot.input())["commands"]) <= MAX_COMMANDS


def test_numbers_go_on_after_a_second_welcome() -> None:
    """Who joins again counts on from what the server has taken."""
    pilot = welcomed(resend=False)
    pilot.heard(message(type="welcome", player="p-me", slot=3, ack=70, accepted=60))
    assert json.loads(pilot.input())["seq"] == 71
    assert pilot.accepted == 60


def test_targets_are_tanks_that_live() -> None:
    """Destroyed and removed tanks are not shot at."""
    pilot = welcomed(resend=False)
    pilot.heard(message(type="snapshot", tick=2, ack=0, accepted=0, changed=[[5, 0, 0, 0, 0, 0], [6, 0, 0, 0, 0, 9]]))
    pilot.heard(message(type="snapshot", tick=3, ack=0, accepted=0, removed=[6]))
    inputs = [json.loads(pilot.input()) for _ in range(50)]
    assert {command["type"] for sent in inputs for command in sent["commands"]} == {"move"}


def test_result_has_the_last_word_on_what_was_accepted() -> None:
    """The last tick may accept what no snapshot tells of; the result's figure for us counts then."""
    pilot = welcomed(resend=False)
    pilot.heard(message(type="snapshot", tick=2, ack=4, accepted=4))
    players = [{"player": "p-you", "interactions": 99}, {"player": "p-me", "interactions": 6}]
    assert pilot.heard(message(type="over", result={"players": players})) == "over"
    assert pilot.over
    assert pilot.accepted == 6


def test_errors_are_kept_for_the_tale() -> None:
    """What the server refuses is remembered with its code."""
    pilot = welcomed(resend=False)
    pilot.heard(message(type="error", code="rate-limited", detail="slower"))
    assert pilot.errors == ["rate-limited: slower"]
