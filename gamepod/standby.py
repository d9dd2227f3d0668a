"""A server that is started before it has a match: it takes its place, tells that it is ready, and waits.

    attach -> beats -> ready -> beats, and waits -> its match

The match is pushed to a list of its own in the step that allocates it, on which this server blocks: it wakes at once,
and where that is lost the next beat tells the same. `NotOurs` means that nobody needs this server any more.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import orjson

from core import keys
from core.clock import now_ms
from core.errors import Unavailable
from core.model import Match
from core.redis.lean import LeanRedis
from core.stored import Stored
from gamepod.store import PAUSE_S, Caller, NotOurs

ALONE_S: Final = 120.0  # without Redis; then whoever started us has others, or needs none
WAIT_MOST_S: Final = 7200.0  # a matchmaker replaces us after an hour (matchmaker.supply): nobody works our game
BLOCK_S: Final = 1.0  # Redis answers by then; longer silence on a connection is taken for its end

_stored_match: Final = Stored(Match)


class Standby:
    """The place of one server without a match. Calls raise Unavailable, and NotOurs where the place is another's."""

    def __init__(self, redis: Caller, game: str, name: str, server: str) -> None:
        self._redis = redis
        self._base = keys.game(game)
        self._name, self._server = name, server
        self._bell = f"{self._base}:bell:{name}"
        self.match = ""  # once it is known

    async def attach(self, where: dict[str, Any]) -> tuple[Match, bool]:
        """Take the place; returns what to start, a match without players, and whether we were ready before."""
        args = (self._name, self._server, now_ms(), orjson.dumps(where))
        reply = await self._redis.call("standby_attach", self._base, *args)
        if reply[0] != "ok":
            raise NotOurs(*reply[:2])
        self.match = reply[3]
        return _stored_match.decode(reply[2]), bool(reply[4])

    async def beat(self, event: str = "") -> None:
        """Tell that we live, or (`ready`) that we can be given a match."""
        reply = await self._redis.call("standby_beat", self._base, self._name, self._server, now_ms(), event)
        if reply[0] != "ok":
            raise NotOurs(*reply[:2])
        self.match = reply[2]

    async def end(self, reason: str, detail: str) -> None:
        """Give the place up. It may be a match's by now: whoever sees our end tells that match."""
        await self._redis.call("standby_end", self._base, self._name, self._server, now_ms(), reason, detail)

    async def allocated(self, url: str) -> str:
        """Wait for a match and return its id. `url` of Redis: a call that waits needs a connection of its own."""
        waiting, began = LeanRedis(url), time.monotonic()
        heard = began
        try:
            while not self.match:
                try:
                    if (pushed := await waiting.do("BLPOP", self._bell, BLOCK_S)) is not None:
                        self.match = str(pushed[1])  # whose server we are is looked at when we take it
                    else:
                        await self.beat()
                    heard = time.monotonic()
                except Unavailable:
                    if time.monotonic() - heard >= ALONE_S:
                        raise NotOurs("of a Redis that is", "gone") from None
                    await asyncio.sleep(PAUSE_S)
                if time.monotonic() - began >= WAIT_MOST_S:
                    raise NotOurs("of a game that nobody works", "")
        finally:
            waiting.close()
        return self.match
