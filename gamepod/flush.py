"""Write-behind: interactions go to the log first, then, coalesced and less often, to views and boards.

One task does all writing, one call after another, so batches are in the log in their order. Each batch and each count
has a number, and is sent again with it until Redis acknowledges: whatever is lost on the way, it is there once. Views
and boards are made from acknowledged batches only, so they never show what the log does not have. What Redis has
acknowledged and then lost, in a crash or a fail-over, is written again (`gamepod.outbox`).

The log goes first: it is appended every `flush_s`, and views and boards are written in the time that is left until the
next flush, a bounded piece at a time. Where that time is short they are coalesced for longer; where appending takes all
of it, each flush is followed by one piece of each. While Redis is away the
backlog takes in what its bound allows (`gamepod.backlog`), and the calls are repeated with a growing pause. What this
gives up: a crash of this process loses the last flush (50 ms), and the counts of the last second are missing on the
activity board, though they are in the log.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol

from core import keys
from core.clock import now_ms
from core.errors import MusterError
from core.interactions import Interaction, flat_counts
from core.leaderboard import count_args, score_args
from core.near import near_calls
from core.views import Call, Views, make_states, round_trips, view_calls
from gamepod.backlog import Backlog
from gamepod.flush_stats import FlushStats
from gamepod.outbox import Outbox
from gamepod.settings import Settings

log = logging.getLogger(__name__)

PAUSE_S: Final = 0.05  # before the first repeat of a failed call; doubled up to the next
MAX_PAUSE_S: Final = 1.0  # Redis is back for at most so long before it is noticed
VIEWS_A_BEAT: Final = 1_000  # views of each kind written in one beat; the others wait, coalesced, for the next
MAX_SLOTS: Final = 60  # of time that counts wait in by player; more are made one sum a bucket of ten minutes
STATES_A_BATCH: Final = 200  # player hashes in one batch: 30 KB


class Caller(Protocol):
    """What writing needs of a Redis client."""

    async def call(self, function: str, base: str, *args: str | bytes | int | float) -> Any: ...

    async def call_many(self, calls: Sequence[tuple[str, str, Sequence[str | bytes | int | float]]]) -> list[Any]: ...


class BoardCall(NamedTuple):
    """One call of boards_add: its number and what follows it."""

    number: int
    args: tuple[str | int, ...]


BOARD_ARG_BYTES: Final = 70  # of memory, about


class Flusher:
    """Writes one match's interactions. `run` is its task; `close` ends it."""

    def __init__(self, redis: Caller, settings: Settings, *, move_ttl_s: int, near: bool = False) -> None:
        self.stats = FlushStats()
        self.backlog = Backlog(
            settings.buffer_interactions, settings.buffer_bytes, match=settings.match, move_ttl_s=move_ttl_s
        )
        self._redis = redis
        self._settings = settings
        self._move_ttl_ms = move_ttl_s * 1000
        self._log = keys.shard(settings.game, settings.match)
        self._boards = keys.boards(settings.game)
        self._views = Views()
        self._states: dict[str, Mapping[str, Any]] = {}  # not yet in the log
        self._near = near  # positions go into the index of who is near, too
        self._calls: deque[Sequence[Call]] = deque()  # round trips of this beat that are still to be made
        self._staged = Views()  # what all calls of this beat were made from
        self._counts: dict[int, Counter[str]] = {}  # by slot
        self._board_calls = Outbox[BoardCall](lambda call: len(call.args) * BOARD_ARG_BYTES)
        self._board_number = 0
        self._flush_due_s = 0.0
        self._views_due_s = 0.0
        self._boards_due_s = 0.0
        self._pause_s = 0.0
        self._asleep: asyncio.Future[None] | None = None
        self._closing = False
        self._checked = False  # at the end, whether Redis still has what it acknowledged

    def belong(self, match: str) -> None:
        """What is taken in from now on is of this match. Before that a server without one takes nothing in."""
        self._settings = settings = dataclasses.replace(self._settings, match=match)
        self.backlog = Backlog(
            settings.buffer_interactions, settings.buffer_bytes, match=match, move_ttl_s=self._move_ttl_ms // 1000
        )
        self._log = keys.shard(settings.game, match)

    @property
    def empty(self) -> bool:
        """Whether all that was taken in is written."""
        views = self._views or self._states or self._calls
        return self.backlog.empty and not (views or self._counts or self._board_calls)

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
        """Take in the present states of players; the latest of each is logged and written, once a beat of the views."""
        self._states.update(states)

    def add_scores(self, scores: Mapping[str, float]) -> None:
        """Take in final scores by player; the board keeps each player's best."""
        self._freeze_counts()
        for args in score_args(scores.items(), now_ms()):
            self._number_board_call(args)

    async def run(self) -> None:
        """Write until `close` was called and all is written."""
        while True:
            await self._sleep(self._pause_s or (0.0 if self._closing else self._flush_due_s - time.monotonic()))
            self._flush_due_s = time.monotonic() + self._settings.flush_s
            if self._closing and not self._checked:
                self._checked = True
                self._doubt()  # what was lost lately can be seen for the last time
            try:
                await self._append()
                await self._show()
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
        if self._asleep is not None:
            _wake(self._asleep)

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        # Thirty times a second: a time-out around an event would cost as much as packing what came meanwhile.
        loop = asyncio.get_running_loop()
        self._asleep = loop.create_future()
        timer = loop.call_later(seconds, _wake, self._asleep)
        try:
            await self._asleep
        finally:
            timer.cancel()
            self._asleep = None

    async def _append(self) -> None:
        """Append what came since the last flush and all batches before it, each acknowledged before the next is sent.

        What comes meanwhile waits for the next flush: the busier we are, the fuller are the batches.
        """
        settings = self._settings
        states_due = self._due(self._views_due_s)
        if states_due:
            self._log_states()
        self.backlog.seal(time.monotonic())
        while (batch := self.backlog.head()) is not None:
            args = (settings.match, batch.number, batch.size, batch.payload, settings.log_batches)
            if not await self._sent(self.backlog.batches, batch.number, "log_append", self._log, args):
                continue
            # 'repeat' acknowledges as well: an earlier attempt arrived and its reply was lost.
            now_s = time.monotonic()
            fold = self.backlog.done(now_s)
            if fold is None:
                continue
            self.stats.appended(batch.size, now_s - batch.since_s)
            self._views.follow(fold.views)
            for slot, who in fold.counts:
                self._counts.setdefault(slot, Counter()).update(who)
            if len(self._counts) > MAX_SLOTS:  # in a cluster the log may be there and the boards away
                self._freeze_counts()
            if states_due and self._states:
                self._log_states()
                self.backlog.seal(now_s)

    def _log_states(self) -> None:
        """Give the next batch as many present states as it may have, those that wait longest."""
        if self._states and not self.backlog.states_wait:
            some = {player: self._states.pop(player) for player in list(islice(self._states, STATES_A_BATCH))}
            self.backlog.add_states(make_states(some, now_ms()))

    async def _sent(
        self, box: Outbox[Any], number: int, function: str, base: str, args: tuple[str | bytes | int, ...]
    ) -> bool:
        """Send the head of `box`. False where Redis has lost what was before it, which is the head now."""
        reply = await self._redis.call(function, base, *args, number - 1)
        if len(reply) > 2:
            self._readers(int(reply[2]), reply[3:])
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

    def _readers(self, unread: int, dropped: Sequence[str]) -> None:
        if unread and not self.stats.unread:
            log.error("the log is full of what a reader has not read: the oldest is trimmed", extra={"log": self._log})
        self.stats.unread += unread
        self.stats.readers_dropped += len(dropped)
        for name in dropped:
            log.error("a reader of the log was silent for too long and is dropped", extra={"reader": name})

    async def _show(self) -> None:
        """Write views, then counts, until the next flush is due; what is left goes on after it."""
        if not self._calls and self._due(self._views_due_s):
            self._views_due_s = time.monotonic() + self._settings.views_s
            self._staged = self._views.take(VIEWS_A_BEAT)
            calls = list(view_calls(self._settings.game, self._staged, move_ttl_ms=self._move_ttl_ms))
            self._calls.extend(round_trips(calls))
        # Where appending takes all the time there is, one round trip of each is made all the same: late is not never.
        while self._calls:
            await self._write_views()
            if not self._time_left():
                break
        if not self._board_calls and self._due(self._boards_due_s):
            self._boards_due_s = time.monotonic() + self._settings.boards_s
            self._freeze_counts()  # until these are through, counts gather by slot and player
        while (call := self._board_calls.head()) is not None:
            args = (self._settings.match, call.number, *call.args)
            if await self._sent(self._board_calls, call.number, "boards_add", self._boards, args):
                self._board_calls.done(time.monotonic())
            if not self._time_left():
                break

    def _due(self, when_s: float) -> bool:
        return self._closing or time.monotonic() >= when_s

    def _time_left(self) -> bool:
        return self._closing or time.monotonic() < self._flush_due_s

    async def _write_views(self) -> None:
        calls = [("views_write", base, args) for base, args in self._calls[0]]
        if self._near and len(self._calls) == 1:  # behind all the views that it points to
            found = near_calls(self._settings.game, self._staged.moves.values(), ttl_s=self._move_ttl_ms // 1000)
            calls += [("near_add", base, args) for base, args in found]
        try:
            await self._redis.call_many(calls)
        except BaseException:
            self._views.put_back(self._staged)  # writing a view twice is writing it once
            self._calls.clear()
            raise
        self._calls.popleft()

    def _freeze_counts(self) -> None:
        counts, self._counts = self._counts, {}
        for args in count_args(flat_counts(counts)):
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


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
