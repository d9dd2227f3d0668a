"""What an embedded arena tells its sidecar, and what it keeps while that does not answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from core.interactions import Action, Attack, Move
from core.model import Match, MatchPlayer, Server, Timers
from core.report import read_report, standings
from gamepod.embed import BATCH, WAITING, Outbox, Refused, Side, given_ports, report_of, row_of
from gamepod.outcome import Outcome
from gamepod.roster import Roster

SEATS = [MatchPlayer(player, "", "red", "t") for player in ("a", "b", "c")]
MATCH = Match("m-1", "hill", 1, 0, SEATS, Server(arena={}), Timers(), 0, 0)


class Answers(Side):
    """A sidecar that takes, refuses (by its status) or is away."""

    def __init__(self, *what: int) -> None:
        super().__init__(0)
        self.what, self.rows = list(what), 0

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        status = self.what.pop(0) if self.what else 200
        if status == 0:
            raise OSError("away")
        if status != 200:
            raise Refused(status, "no")
        self.rows += len(body["interactions"])


def moves(count: int) -> list[Move]:
    return [Move(f"i-{i}", 1000 + i, "a", 48.0, 16.0) for i in range(count)]


def test_rows_are_the_sidecars() -> None:
    """An attack has a target, a move a place; what a trade is nobody could tell."""
    assert row_of(Attack("i", 2500, "a", "b", 3.0)) == {"player": "a", "target": "b", "damage": 3.0, "at_s": 2.5}
    assert row_of(Move("i", 2500, "a", 1.0, 2.0)) == {"player": "a", "position": [1.0, 2.0], "at_s": 2.5}
    with pytest.raises(ValueError, match="Action"):
        row_of(Action("i", 1, "a", "jump"))


def test_every_seat_is_in_the_report() -> None:
    """Who stayed has his score, who left or never came has left, and strangers are nobody: as ratings want it."""
    roster = Roster(MATCH)
    roster.went("b")
    told = report_of(Outcome("finish", "finished", b"", {"a": 5.0, "b": 9.0, "z": 1.0}), roster)
    assert told == {"players": [{"player": "a", "score": 5.0}], "left": ["b", "c"]}
    assert standings(SEATS, read_report(orjson.dumps(told))).left == {"b", "c"}


async def test_what_the_sidecar_cannot_take_waits() -> None:
    """Away or too much at once: it waits, in its order; refused for what it is: lost and counted; bounded in all."""
    side = Answers(0, 429, 200, 400)
    box = Outbox(side)
    box.add(moves(3 * BATCH))
    await box.tell()
    await box.tell()
    assert (side.rows, box.lost) == (0, 0)
    await box.tell()
    assert (side.rows, box.lost) == (2 * BATCH, BATCH)
    box.add(moves(WAITING + 7))
    assert box.lost == BATCH + 7


def test_ports_are_those_of_the_registration() -> None:
    """By their names; a registration with none of them is told so."""
    found = given_ports({"MUSTER_PORT_ARENA": "7001", "MUSTER_PORT_UDP": "7000"})
    assert [(port.name, port.protocol, port.listen) for port in found] == [("udp", "udp", 7000), ("arena", "ws", 7001)]
    with pytest.raises(SystemExit, match="named udp, tcp, arena"):
        given_ports({"PORT": "1"})
