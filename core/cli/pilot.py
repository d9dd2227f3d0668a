"""How a bot plays: it drives about and shoots at whoever it sees. Not clever, but it keeps a server busy.

No sockets and no clock here: messages go in, the next input comes out. Commands are numbered; over UDP, where they
may be lost, those that are not acknowledged are sent again with the next ones.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import msgspec

MAX_COMMANDS: Final = 32  # of one input (docs/protocol.md)
TURN_CHANCE: Final = 0.15  # of choosing a new course at an input
SHOTS: Final = 0.5  # share of inputs with a shot


class Heard(msgspec.Struct):
    """The parts of a server's message that a bot looks at."""

    type: str
    tick: int = 0
    ack: int = 0
    accepted: int = 0
    slot: int = -1
    player: str = ""
    changed: list[list[int]] = []
    removed: list[int] = []
    code: str = ""
    detail: str = ""
    result: dict[str, Any] | None = None


_decode: Final = msgspec.json.Decoder(Heard).decode


class Pilot:
    """One player's view of a match and of what is acknowledged of it."""

    def __init__(self, chance: random.Random, *, resend: bool) -> None:
        self.player = ""
        self.accepted = 0  # interactions of ours that the server took, as it last said
        self.snapshots = 0
        self.result: Mapping[str, Any] | None = None
        self.errors: list[str] = []
        self._chance = chance
        self._resend = resend
        self._slot = -1
        self._next = 1
        self._sent: deque[tuple[int, dict[str, Any]]] = deque()  # not acknowledged, by number
        self._others: set[int] = set()
        self._course = (1.0, 0.0)

    @property
    def over(self) -> bool:
        return self.result is not None

    def heard(self, message: bytes) -> str:
        """Take in a message; returns its type."""
        said = _decode(message)
        if said.type == "welcome":
            self._slot, self.player = said.slot, said.player
            self._others.clear()
            self._acknowledged(said)
            self._next = max(self._next, said.ack + 1)
        elif said.type == "snapshot":
            self.snapshots += 1
            self._others.update(row[0] for row in said.changed if row[5] > 0)
            self._others.difference_update(said.removed, (row[0] for row in said.changed if row[5] == 0))
            self._acknowledged(said)
        elif said.type == "over":
            self.result = said.result or {}
            mine = [row for row in self.result.get("players", ()) if row["player"] == self.player]
            # The last tick may have taken some that no snapshot told of.
            self.accepted = max([self.accepted, *(row["interactions"] for row in mine)])
        elif said.type == "error":
            self.errors.append(f"{said.code}: {said.detail}")
        return said.type

    def _acknowledged(self, said: Heard) -> None:
        self.accepted = max(self.accepted, said.accepted)
        while self._sent and self._sent[0][0] <= said.ack:
            self._sent.popleft()

    def input(self) -> bytes:
        """The next input, as bytes to send."""
        fresh = self._commands()
        first = self._next
        self._next += len(fresh)
        if self._resend:
            self._sent.extend(zip(range(first, self._next), fresh, strict=True))
            while len(self._sent) > MAX_COMMANDS:  # given up: the server has moved on
                self._sent.popleft()
            first, fresh = self._sent[0][0], [command for _, command in self._sent]
        return msgspec.json.encode({"type": "input", "seq": first, "commands": fresh})

    def _commands(self) -> list[dict[str, Any]]:
        chance = self._chance
        if chance.random() < TURN_CHANCE:
            self._course = (chance.choice((1.0, 1.0, 0.6, -0.5)), chance.uniform(-1.0, 1.0))
        throttle, turn = self._course
        commands: list[dict[str, Any]] = [{"type": "move", "throttle": throttle, "turn": round(turn, 2)}]
        targets = sorted(self._others - {self._slot})
        if targets and chance.random() < SHOTS:
            commands.append({"type": "shoot", "target": chance.choice(targets)})
        return commands
