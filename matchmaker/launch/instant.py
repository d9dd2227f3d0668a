"""A launcher without servers: each match is playable at once, at an address where nobody listens, and over soon after.

For benches of the control plane: what is left of a match's start when its server costs nothing. It says to Redis
exactly what a server would, with the same functions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import msgspec

from core import keys
from core.clock import new_id, now_ms
from core.doorbell import Doorbell
from core.errors import MusterError, Unavailable
from core.ids import is_id
from core.model import Connection, Match, OpenPort
from core.redis.batch import Batch
from core.redis.client import Database, function_call
from matchmaker.launch.base import LaunchRefused, LaunchRetryable, Seen

PLAY_S: Final = 5.0  # a match is over after: a flood is through by then, and what ends cost can be told apart
TICK_S: Final = 0.01  # those that are over within it end together, so that the bench does not measure this file
MOST: Final = 10_000
CONNECTION: Final = msgspec.json.encode(Connection("127.0.0.1", [OpenPort("game", "tcp", 9)])).decode()


@dataclass(frozen=True, slots=True)
class _Played:
    """A match that is played until `due_s`, by the monotonic clock."""

    match: Match
    server: str
    due_s: float


class InstantLauncher:
    """See the module."""

    host = "instant"
    blind = False

    def __init__(self, db: Database, bell: Doorbell) -> None:
        self._batch, self._bell = Batch(db), bell
        self._playing: dict[str, _Played] = {}  # in the order in which they end
        self._ending: asyncio.Task[None] | None = None

    def room(self) -> int:
        return MOST - len(self._playing)

    async def start(self, match: Match) -> None:
        if is_id("standby", match.id):
            raise LaunchRefused("these servers take no time to start, and none starts before its match")
        if match.id in self._playing:
            return
        base, server, now = keys.game(match.game), new_id("server"), now_ms()
        look_at = now + 60_000
        try:
            _, reply = await self._batch.do_many(
                [
                    function_call("server_attach", base, match.id, server, now, "{}"),
                    function_call("match_step", base, match.id, "ready", now, server, "", CONNECTION, look_at, 0),
                ]
            )
        except Unavailable as error:
            raise LaunchRetryable(error.detail) from error
        if reply[0] == "ok":
            self._bell.ring("ticket", reply[2:])
            self._bell.ring("match", [match.game])
            self._playing[match.id] = _Played(match, server, time.monotonic() + PLAY_S)
            if self._ending is None or self._ending.done():
                self._ending = asyncio.create_task(self._end())

    def settled(self, match: str) -> None:
        return

    async def stop(self, match: str, grace_s: float) -> None:
        self._playing.pop(match, None)

    async def seen(self) -> Mapping[str, Seen]:
        return {}

    async def tail(self, match: str) -> list[str]:
        return []

    async def output(self, match: str) -> str:
        return ""

    async def close(self, *, stop_servers: bool) -> None:
        self._playing.clear()
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)

    def _over(self, now_s: float) -> list[_Played]:
        """Those that were played long enough; they are not played any more."""
        over = list(takewhile(lambda it: it.due_s <= now_s, self._playing.values()))
        for it in over:
            del self._playing[it.match.id]
        return over

    async def _end(self) -> None:
        """End the matches that were played long enough, until there are none."""
        while self._playing:
            first = next(iter(self._playing.values()))
            await asyncio.sleep(max(TICK_S, first.due_s - time.monotonic()))
            now, over = now_ms(), self._over(time.monotonic())
            with suppress(MusterError):
                await self._batch.do_many(
                    [
                        function_call(
                            "match_step", keys.game(it.match.game), it.match.id, "finish", now, it.server, "finished",
                            "", 0, 0,
                        )
                        for it in over
                    ]
                )  # fmt: skip
            self._bell.ring("match", {it.match.game for it in over})
