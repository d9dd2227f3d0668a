"""Starts of one game's servers, in the background: those of matches, and those that have none yet.

A start is by the server's name and may be asked for again. What fails for now is remembered, for the developer, and
asked for again by whoever wants the server; what the launcher refuses stays refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core import log, trace
from core.clock import now_ms
from core.ids import is_id
from core.model import Match
from matchmaker.launch.base import EXIT_TURNED_AWAY, LaunchRefused, LaunchRetryable, Seen
from matchmaker.planner import Sight
from matchmaker.shared import Shared

server_started = log.Stage("matchmaker.starts", "server started")


class Starts:
    """See the module. `refused` is called with the name of a server that cannot be started."""

    def __init__(self, shared: Shared, game: str, refused: Callable[[str], None]) -> None:
        self._shared, self._refused_one = shared, refused
        self._game = game
        self._log = log.get("matchmaker.starts")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._refused: dict[str, str] = {}  # that this launcher cannot start, and why
        self._postponed: dict[str, str] = {}  # could not start so far, and why

    def begin(self, document: Match) -> None:
        """Start the server of that name, unless that is being done."""
        if document.id in self._tasks:
            return
        task = self._tasks[document.id] = asyncio.create_task(self._start(document))
        task.add_done_callback(lambda _: self._tasks.pop(document.id, None))

    def under_way(self, name: str) -> bool:
        return name in self._tasks

    def refused(self, name: str) -> bool:
        return name in self._refused

    def postponed(self, name: str) -> bool:
        return name in self._postponed

    def why(self, name: str) -> str:
        """Why it did not start; '' where nothing is known."""
        return self._refused.get(name) or self._postponed.get(name, "")

    def forget(self, name: str) -> None:
        """Nobody needs this server to be started any more, or it has started."""
        self._refused.pop(name, None)
        self._postponed.pop(name, None)
        self._shared.launcher.settled(name)
        if (task := self._tasks.get(name)) is not None:
            task.cancel()

    def sight(self, name: str, server: Seen | None) -> Sight:
        """What is known of the server of that name; `server` as the launcher sees it."""
        if name in self._tasks:
            return Sight.STARTING
        if name in self._refused:
            return Sight.REFUSED
        if server is None:
            return Sight.NEVER
        if not server.ended:
            return Sight.STUCK if server.stuck else Sight.RUNS
        if server.tells or server.exit_code is None:
            return Sight.TURNED_AWAY if server.exit_code == EXIT_TURNED_AWAY else Sight.ENDED
        return Sight.CRASHED if server.exit_code else Sight.EXITED

    async def close(self) -> None:
        """Drop starts under way; a server that is wanted is found by the game's next owner."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _start(self, document: Match) -> None:
        """Start the server once. What fails for now is planned again at a later step, until the start timer is over."""
        outcome, name = self._shared.metrics.launches, document.id
        try:
            await self._shared.launcher.start(document)
            outcome.labels("started").inc()
            server_started(now_ms(), self._told(document))
            self._postponed.pop(name, None)
        except LaunchRetryable as error:
            outcome.labels("postponed").inc()
            self._postponed[name] = error.detail
            self._log.warning("launch postponed", error=error.detail, **self._told(document))
        except LaunchRefused as error:
            outcome.labels("refused").inc()
            self._log.error("launch refused", error=error.detail, **self._told(document))
            self._refused[name] = error.detail
            self._refused_one(name)
        except Exception:
            outcome.labels("error").inc()
            self._log.exception("launch failed", **self._told(document))

    def _told(self, document: Match) -> dict[str, str]:
        told = {"game": self._game, "server": document.id, "trace": trace.of(document.id, document.trace)}
        return told if is_id("standby", document.id) else {**told, "match": document.id}
