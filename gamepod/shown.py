"""Views of one match, written after its log: coalesced, a bounded piece at a time, each shard by itself.

What is taken in waits until the beat; then the newest of each key is written, by shard of the player. In a cluster some
shards may be away while others answer. A shard that fails has a task of its own that tries again with a growing pause,
and holds what is meant for it, coalesced; nobody else waits for it. Writing a view twice is writing it once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from core.errors import MusterError
from core.near import near_calls
from core.views import Call, Views, by_shard, round_trips, shard_calls
from gamepod.trouble import Pause, Trouble

VIEWS_A_BEAT: Final = 1_000  # views of each kind written in one beat; the others wait, coalesced, for the next
HELD_A_TRY: Final = 30  # of each kind, when a shard that was away is asked again


class Asked(Protocol):
    """What writing views needs of a Redis client: an error takes the place of the reply of a call that failed."""

    async def call_many(self, calls: Sequence[tuple[str, str, Sequence[str | bytes | int | float]]]) -> list[Any]: ...


class Shown:
    """Takes views in by `follow`, writes them by `write`. `near`: positions go into the index of who is near, too."""

    def __init__(self, redis: Asked, game: str, trouble: Trouble, *, move_ttl_s: int, near: bool) -> None:
        self._redis, self._game, self._trouble = redis, game, trouble
        self._move_ttl_s, self._near = move_ttl_s, near
        self._views = Views()
        self._staged: dict[str, Views] = {}  # of this beat, by shard
        self._calls: deque[Sequence[Call]] = deque()  # round trips of this beat that are still to be made
        self._held: dict[str, Views] = {}  # of shards that are away
        self._retries: dict[str, asyncio.Task[None]] = {}

    @property
    def empty(self) -> bool:
        """Whether all that was taken in is written."""
        return not (self._views or self._calls or self._retries)

    @property
    def mid_beat(self) -> bool:
        """Whether round trips of the last beat are still to be made."""
        return bool(self._calls)

    @property
    def retries(self) -> list[asyncio.Task[None]]:
        """Tasks of the shards that are away."""
        return list(self._retries.values())

    def follow(self, newer: Views) -> None:
        """Take in what a batch that is in the log means."""
        self._views.follow(newer)

    def stage(self) -> None:
        """Begin a beat: what waits is to be written by `write`."""
        self._staged = by_shard(self._game, self._views.take(VIEWS_A_BEAT))
        for base in self._held.keys() & self._staged:
            self._held[base].follow(self._staged.pop(base))
        calls = [call for base, part in self._staged.items() for call in self._calls_of(base, part)]
        self._calls.extend(round_trips(calls))

    async def write(self, time_left: Callable[[], bool]) -> None:
        """Make round trips of this beat while there is time, at least one."""
        while self._calls:
            trip = self._calls.popleft()
            calls = [("views_write", base, args) for base, args in trip if base in self._staged]
            if self._near and not self._calls:  # behind all the views that it points to
                moves = [move for part in self._staged.values() for move in part.moves.values()]
                found = near_calls(self._game, moves, ttl_s=self._move_ttl_s)
                calls += [("near_add", base, args) for base, args in found]
            await self._send(calls)
            if not time_left():
                break

    async def _send(self, calls: list[tuple[str, str, tuple[str | int, ...]]]) -> None:
        try:
            replies = await self._redis.call_many(calls)
        except MusterError as error:
            replies = [error] * len(calls)
        for (_, base, _), reply in zip(calls, replies, strict=True):
            if isinstance(reply, MusterError) and base in self._staged:
                self._held[base] = self._staged.pop(base)
                self._trouble.failed(base, reply)
                self._retries[base] = asyncio.create_task(self._retry(base))

    async def _retry(self, base: str) -> None:
        """Write what is held for a shard, as soon as it answers."""
        held, pause = self._held[base], Pause()
        pause.failed(time.monotonic())
        while held:
            await asyncio.sleep(max(0.0, pause.until_s - time.monotonic()))
            part = held.take(HELD_A_TRY)
            calls = [("views_write", at, args) for at, args in self._calls_of(base, part)]
            if self._near:
                found = near_calls(self._game, part.moves.values(), ttl_s=self._move_ttl_s)
                calls += [("near_add", at, args) for at, args in found]
            try:
                replies = await self._redis.call_many(calls)
            except MusterError as error:
                replies = [error]
            failed = next((reply for reply in replies if isinstance(reply, MusterError)), None)
            if failed is None:
                pause.answered()
            else:
                held.put_back(part)
                pause.failed(time.monotonic())
                self._trouble.failed(base, failed)
        del self._held[base], self._retries[base]
        self._trouble.answered(base)

    def _calls_of(self, base: str, part: Views) -> list[Call]:
        return list(shard_calls(base, part, move_ttl_ms=self._move_ttl_s * 1000))
