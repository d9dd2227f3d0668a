"""Write-behind: interactions go to the log first, then, coalesced and less often, to views and boards.

One task does all writing, one call after another, so batches are in the log in their order. Each batch and each count
has a number, and is sent again with it until Redis acknowledges: whatever is lost on the way, it is there once. Views
and boards are made from acknowledged batches only, so they never show what the log does not have. What Redis has
acknowledged and then lost, in a crash or a fail-over, is written again (`gamepod.outbox`).

While Redis is away the backlog takes in what its bound allows (`gamepod.backlog`), and the calls are repeated with a
growing pause. What this gives up: a crash of this process loses the last flush (50 ms), and the counts of the last
quarter of a second are missing on the activity board, though they are in the log.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from core import keys
from core.clock import now_ms
from core.errors import MusterError
from core.interactions import Interaction, Views, count, state_fields, unpack, view_calls
from core.leaderboard import count_args, score_args
from gamepod.backlog import Backlog
from gamepod.outbox import Outbox
from gamepod.settings import Settings

log = logging.getLogger(__name__)

PAUSE_S: Final = 0.05  # before the first repeat of a failed call; doubled up to the next
MAX_PAUSE_S: Final = 1.0  # Redis is back for at most so long before it is noticed


class Caller(Protocol):
    """What writing needs of a Redis client."""

    async def call(self, function: str, base: str, *args: str | bytes | int | float) -> Any: ...


class BoardCall(NamedTuple):
    """One call of boards_add: its number and what follows it."""

    number: int
    args: tuple[str | int, ...]


BOARD_ARG_BYTES: Final = 70  # of memory, about


@dataclass(slots=True)
class FlushStats:
    """Counters since the start, for the metrics."""

    batches: int = 0  # acknowledged by the log
    written: int = 0  # interactions in them
    failures: int = 0  # calls that failed and were, or will be, repeated
    again: int = 0  # batches and counts that Redis had acknowledged, and lost
    away_since_s: float | None = None  # monotonic; None while Redis answers


class Flusher:
    """Writes one match's interactions. `run` is its task; `close` ends it."""

    def __init__(self, redis: Caller, settings: Settings, *, move_ttl_s: int) -> None:
        self.stats = FlushStats()
        self.backlog = Backlog(settings.buffer_interactions, settings.buffer_bytes)
        self._redis = redis
        self._settings = settings
        self._move_ttl_s = move_ttl_s
        self._log = keys.shard(settings.game, settings.match)
        self._boards = keys.boards(settings.game)
        self._views = Views()
        self._counts: dict[tuple[int, str], int] = {}
        self._board_calls = Outbox[BoardCall](lambda call: len(call.args) * BOARD_ARG_BYTES)
        self._board_number = 0
        self._views_due_s = 0.0
        self._pause_s = 0.0
        self._wake = asyncio.Event()
        self._closing = False
        self._checked = False  # at the end, whether Redis still has what it acknowledged

    @property
    def empty(self) -> bool:
        """Whether all that was taken in is written."""
        return self.backlog.empty and not (self._views or self._counts or self._board_calls)

    def lag_s(self) -> float:
        """Seconds that the oldest interaction has been waiting for its acknowledgement."""
        return self.backlog.lag_s(time.monotonic())

    def add(self, interactions: Sequence[Interaction]) -> None:
        """Take interactions in. Never waits; at the bound the newest are dropped and counted."""
        dropped = self.backlog.add(interactions, time.monotonic())
        if dropped and dropped == self.backlog.dropped:
            log.error(
                "the buffer is full: interactions are dropped until Redis is back",
                extra={"waiting": self.backlog.interactions, "bytes": self.backlog.bytes},
            )

    def add_states(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Take in the present states of players; the latest of each is written."""
        at_ms = now_ms()
        for player, state in states.items():
            self._views.states[player] = state_fields(state, self._settings.match, at_ms)

    def add_scores(self, scores: Mapping[str, float]) -> None:
        """Take in final scores by player; the board keeps each player's best."""
        self._freeze_counts()
        for args in score_args(scores.items(), now_ms()):
            self._number_board_call(args)

    async def run(self) -> None:
        """Write until `close` was called and all is written."""
        while True:
            await self._sleep(self._pause_s or (0.0 if self._closing else self._settings.flush_s))
            if self._closing and not self._checked:
                self._checked = True
                self._doubt()  # what was lost lately can be seen for the last time
            try:
                await self._append()
                if self._closing or time.monotonic() >= self._views_due_s:
                    await self._write_views()
                    await self._write_boards()
                    self._views_due_s = time.monotonic() + self._settings.views_s
            except MusterError as error:
                self._failed(error)
                continue
            self._answered()
            if self._closing and self.empty:
                return

    def close(self) -> None:
        """Write what is left, without waiting for the beat; `run` returns when all of it is written."""
        self._closing = True
        self._pause_s = 0.0
        self._wake.set()

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
                self._wake.clear()
        except TimeoutError:
            pass

    async def _append(self) -> None:
        """Append all waiting batches, each acknowledged before the next is sent."""
        settings = self._settings
        while (batch := self.backlog.head()) is not None:
            args = (settings.match, batch.number, batch.size, batch.payload, settings.log_batches)
            if not await self._sent(self.backlog.batches, batch.number, "log_append", self._log, args):
                continue
            # 'repeat' acknowledges as well: an earlier attempt arrived and its reply was lost.
            first = self.backlog.done(time.monotonic())
            interactions = unpack(batch.payload)
            self._views.add(interactions)
            if first:
                self.stats.batches += 1
                self.stats.written += batch.size
                for key, n in count(interactions).items():
                    self._counts[key] = self._counts.get(key, 0) + n

    async def _sent(
        self, box: Outbox[Any], number: int, function: str, base: str, args: tuple[str | bytes | int, ...]
    ) -> bool:
        """Send the head of `box`. False where Redis has lost what was before it, which is the head now."""
        reply = await self._redis.call(function, base, *args, number - 1)
        if reply[0] != "gap":
            return True
        again = box.rewind(int(reply[1]))
        self.stats.again += again
        extra = {"function": function, "has": reply[1], "next": number, "again": again}
        if again:
            log.warning("Redis has lost what it had acknowledged: it is written again", extra=extra)
            return False
        log.error("Redis has lost more than is kept: the rest is written behind the hole", extra=extra)
        await self._redis.call(function, base, *args)
        return True

    async def _write_views(self) -> None:
        if not self._views:
            return
        views, self._views = self._views, Views()
        try:
            for base, args in view_calls(self._settings.game, views, move_ttl_s=self._move_ttl_s):
                await self._redis.call("views_write", base, *args)
        except BaseException:
            self._views.put_back(views)  # writing a view twice is writing it once
            raise

    async def _write_boards(self) -> None:
        if not self._board_calls:  # else counts gather by player, which bounds them, until these are through
            self._freeze_counts()
        while (call := self._board_calls.head()) is not None:
            args = (self._settings.match, call.number, *call.args)
            if await self._sent(self._board_calls, call.number, "boards_add", self._boards, args):
                self._board_calls.done(time.monotonic())

    def _freeze_counts(self) -> None:
        counts, self._counts = self._counts, {}
        for args in count_args(counts):
            self._number_board_call(args)

    def _number_board_call(self, args: tuple[str | int, ...]) -> None:
        self._board_number += 1
        self._board_calls.put(BoardCall(self._board_number, args))

    def _doubt(self) -> None:
        self.backlog.batches.doubt()
        self._board_calls.doubt()

    def _failed(self, error: MusterError) -> None:
        self._doubt()  # whoever answers next may be another Redis, or the same with a shorter memory
        self.stats.failures += 1
        if self.stats.away_since_s is None:
            self.stats.away_since_s = time.monotonic()
            log.warning("Redis is away: the match plays on", extra={"error": error.detail})
        longest = min(MAX_PAUSE_S, max(PAUSE_S, self._pause_s * 2))
        # Servers that lost the same Redis do not all come back in the same millisecond.
        self._pause_s = longest * random.uniform(0.75, 1.0)  # noqa: S311 - spreads load, hides nothing

    def _answered(self) -> None:
        self._pause_s = 0.0
        if self.stats.away_since_s is not None:
            away_s = time.monotonic() - self.stats.away_since_s
            self.stats.away_since_s = None
            extra = {"away_s": round(away_s, 2), "dropped": self.backlog.dropped, "written": self.stats.written}
            log.warning("Redis is back: everything that was kept is written", extra=extra)
