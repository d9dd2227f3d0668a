"""A launcher without servers: each match is playable at once, at an address where nobody listens, and over soon after.

For benches of the control plane: what is left of a match's start when its server costs nothing. It says to Redis
exactly what a server would, with the same functions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
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

PLAY_S: Final = 1.0  # a match is over after
MOST: Final = 10_000
CONNECTION: Final = msgspec.json.encode(Connection("127.0.0.1", [OpenPort("game", "tcp", 9)])).decode()


class InstantLauncher:
    """See the module."""

    host = "instant"
    blind = False

    def __init__(self, db: Database, bell: Doorbell) -> None:
        self._batch, self._bell = Batch(db), bell
        self._playing: dict[str, asyncio.Task[None]] = {}

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
            self._playing[match.id] = asyncio.create_task(self._play(match, server))

    def settled(self, match: str) -> None:
        return

    async def stop(self, match: str, grace_s: float) -> None:
        if (task := self._playing.get(match)) is not None:
            task.cancel()

    async def seen(self) -> Mapping[str, Seen]:
        return {}

    async def tail(self, match: str) -> list[str]:
        return []

    async def output(self, match: str) -> str:
        return ""

    async def close(self, *, stop_servers: bool) -> None:
        tasks = list(self._playing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _play(self, match: Match, server: str) -> None:
        try:
            await asyncio.sleep(PLAY_S)
            with suppress(MusterError):
                await self._batch.call(
                    "match_step", keys.game(match.game), match.id, "finish", now_ms(), server, "finished", "", 0, 0
                )
                self._bell.ring("match", [match.game])
        finally:
            self._playing.pop(match.id, None)
