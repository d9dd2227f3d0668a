"""How a game ends, and the face that both kinds of game (the arena, a child) show to the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

import orjson

from core.errors import MusterError
from core.model import Connection
from gamepod.metrics import Metric

TAKES_NONE: Final = "takes-no-commands this game takes no commands from outside"  # the answer to one (`Game.command`)


class Outcome(NamedTuple):
    """What the match is told at its end. `reason` is one of core.lifecycle's, `result` JSON or empty."""

    event: Literal["finish", "fail"]
    reason: str
    result: bytes = b""
    scores: Mapping[str, float] = {}  # player -> score, for the board

    def words(self) -> str:
        """Why the game failed, and what it said last, in one line; '' where it did not."""
        kept = orjson.loads(self.result) if self.event == "fail" else {}
        return ": ".join([kept.get("detail", ""), *kept.get("output", [])[-1:]])


class GameFailed(MusterError):
    """No playable game came of it, or it was lost; `code` is the match's reason, `detail` is for its developer."""

    def __init__(
        self, reason: str, detail: str, last_lines: list[str] | None = None, exit_code: int | None = None
    ) -> None:
        """`exit_code` of a game that ended; minus a signal's number where that ended it."""
        super().__init__(detail, code=reason)
        self.last_lines, self.exit_code = last_lines or [], exit_code


def failed(error: GameFailed) -> Outcome:
    """What the match is told of it."""
    kept: dict[str, Any] = {"detail": error.detail, "output": error.last_lines}
    if error.exit_code is not None:
        kept["exit_code"] = error.exit_code
    return Outcome("fail", error.code, orjson.dumps(kept))


class Game(Protocol):
    """A game of one match. `start`, `until_ready` and `play` are called once each, in this order."""

    async def start(self) -> Connection:
        """Open its ports. Raises GameFailed."""

    async def until_ready(self) -> None:
        """Return when it is playable. Raises GameFailed."""

    @property
    def alone(self) -> bool:
        """Whether it starts without knowing its match, which it is told later."""

    async def idle(self) -> None:
        """Wait while it has no match. Never returns; raises GameFailed where it ends, or is lost."""

    async def play(self) -> Outcome:
        """Return when the game is over by itself. Raises GameFailed."""

    async def stop(self, reason: str, drain_s: float) -> Outcome:
        """End it now, for `reason`, taking `drain_s` at most; returns what there is of a result."""

    async def close(self) -> None:
        """Release everything. The last call, also after a failed start."""

    def figures(self) -> dict[str, Any]:
        """What the operator page shows of it."""

    def metrics(self) -> list[Metric]:
        """What Prometheus is told of it."""

    def command(self, text: str) -> str | None:
        """Execute a command from outside (`gamepod.arena.outside`). None: its player may do no more now; ask again."""

    def reseat(self, out: Sequence[str]) -> None:
        """The match's seats have changed; `out` have none any more."""

    @property
    def present(self) -> Sequence[str] | None:
        """Players who are connected now; None where the game is another's program, which may tell its sidecar."""

    @property
    def asks(self) -> bool:
        """Whether it asks by itself for players in place of those who left."""
