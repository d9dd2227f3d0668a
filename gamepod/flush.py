"""Write-behind: interactions go to the log first, then, coalesced and less often, to views and boards.

The log is written by one task, one batch after another, so batches are in it in their order; the boards by another.
Each batch and each count has a number, and is sent again with it until Redis acknowledges: whatever is lost on the
way, it is there once. Views and boards are made from acknowledged batches only, so they never show what the log does
not have. What Redis has acknowledged and then lost, in a crash or a fail-over, is written again (`gamepod.outbox`).

The log goes first: it is appended every `flush_s`, and views (`gamepod.shown`) and boards are written in the time that
is left until the next flush, a bounded piece at a time. Where that time is short they are coalesced for longer; where
batches are acknowledged late, the beat of the views is twice as long; where appending takes all of the time,
each flush is followed by one piece of each. In a cluster each shard may be away by itself: nobody waits for another.
While the log is away the backlog takes in what its bound allows (`gamepod.backlog`), and the calls are repeated with a
growing pause. What this gives up: a crash of this process loses the last flush (50 ms), and the counts of the last
second are missing on the activity board, though they are in the log.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol
from zlib import crc32

from core import keys
from core.clock import now_ms
from core.errors import MusterError
from core.interactions import Happening, Interaction, flat_counts
from core.leaderboard import count_args, score_args
from core.views import make_states
from gamepod.backlog import Backlog, Batch
from gamepod.flush_stats import FlushStats
from gamepod.outbox import Outbox
from gamepod.pacer import Beat, Strain
from gamepod.settings import Settings
from gamepod.shown import Asked, Shown
from gamepod.sleeper import Sleeper
from gamepod.trouble import PAUSE_S, Pause, Trouble

log = logging.getLogger(__name__)

MAX_SLOTS: Final = 60  # of time that counts wait in by player; more are made one sum a bucket of ten minutes
STATES_A_BATCH: Final = 200  # player hashes in one batch: 30 KB


class Caller(Asked, Protocol):
    """What writing needs of a Redis client."""

    async def call(self, function: str, base: str, *args: str | bytes | int | float) -> Any: ...


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
        self._log = keys.shard(settings.game, settings.match)
        self._boards = keys.boards(settings.game)
        self._trouble = Trouble(self.stats, self._kept)
        self._shown = Shown(redis, settings.game, self._trouble, move_ttl_s=move_ttl_s, near=near)
        self._states: dict[str, Mapping[str, Any]] = {}  # not yet in the log
        self._counts: dict[int, Counter[str]] = {}  # by slot
        self._board_calls = Outbox[BoardCall](lambda call: len(call.args) * BOARD_ARG_BYTES)
        self._board_number = 0
        # The beats of a host's matches are spread, each at a phase that follows from its id: together they would make
        # Redis' clients wait for all of them, and a read would be as late as the last.
        share = crc32(settings.match.encode()) / 2**32
        self._flush = Beat(settings.flush_s, share)
        self._views_beat = Beat(settings.views_s, share)
        self._boards_beat = Beat(settings.boards_s, share)
        self._strain = Strain(settings.flush_s / 3)
        self._log_pause, self._boards_pause = Pause(), Pause()
        self._writing_views: asyncio.Task[None] | None = None
        self._writing_boards: asyncio.Task[None] | None = None
        self._sleeper = Sleeper()
        self._closing = False
        self._checked = False  # at the end, whether Redis still has what it acknowledged

    def belong(self, match: str) -> None:
        """What is taken in from now on is of this match. Before that a server without one takes nothing in."""
        self._settings = dataclasses.replace(self._settings, match=match)
        self.backlog.belong(match)
        self._log = keys.shard(self._settings.game, match)

    def resume(self, batch: int, board_call: int) -> None:
        """Go on with the numbers of an earlier life of this server, before anything is taken in."""
        self.backlog.resume(batch)
        self._board_number = max(self._board_number, board_call)

    @property
    def empty(self) -> bool:
        """Whether all that was taken in is written."""
        waiting = self._states or self._counts or self._board_calls
        writing = any(not task.done() for task in self._tasks())  # what is on its way is not yet written
        return self.backlog.empty and self._shown.empty and not waiting and not writing

    def _kept(self) -> dict[str, Any]:
        return {"dropped": self.backlog.dropped, "written": self.stats.written}

    def lag_s(self) -> float:
        """Seconds that the oldest interaction has been waiting for its acknowledgement."""
        return self.backlog.lag_s(time.monotonic())

    def add(self, interactions: Sequence[Interaction], events: Sequence[Happening] = ()) -> None:
        """Take interactions and, at their places, events. Never waits; at the bound the newest are dropped, counted."""
        dropped = self.backlog.add(interactions, time.monotonic(), events)
        self._sleeper.stir()
        if dropped and dropped == self.backlog.dropped:
            extra = {"waiting": self.backlog.interactions, "bytes": self.backlog.bytes}
            log.error("the buffer is full: interactions are dropped until Redis is back", extra=extra)

    def add_states(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Take in the present states of players; the latest of each is logged and written, once a beat of the views."""
        self._states.update(states)
        self._sleeper.stir()

    def add_scores(self, scores: Mapping[str, float]) -> None:
        """Take in final scores by player; the board keeps each player's best."""
        self._freeze_counts()
        for args in score_args(scores.items(), now_ms()):
            self._number_board_call(args)
        self._sleeper.stir()

    async def run(self) -> None:
        """Write until `close` was called and all is written."""
        try:
            while not (self._closing and self._checked and self.empty):
                await self._sleeper.sleep(0.0 if self._closing else self._flush.due_s - time.monotonic())
                self._flush.passed(time.monotonic())
                if self._closing and not self._checked:
                    await self._check()
                states_due = self._due(self._views_beat)
                if time.monotonic() >= self._log_pause.until_s:
                    await self._append(states_due=states_due)
                self._show()
                if self._closing:
                    await self._settle()
                elif self.empty:
                    await self._sleeper.rest()
                    self._flush.passed(time.monotonic())
        finally:
            for task in self._tasks():
                task.cancel()

    def close(self) -> None:
        """Write what is left, without waiting for the beat; `run` returns when all of it is written."""
        self._closing = True
        self._log_pause.answered()
        self._boards_pause.answered()
        self._sleeper.wake()

    async def _check(self) -> None:
        """At the end, what was lost lately can be seen for the last time."""
        if self._writing_boards is not None:
            await asyncio.wait([self._writing_boards])
        self._checked = True
        self.backlog.batches.doubt()
        self._board_calls.doubt()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [task for task in (self._writing_views, self._writing_boards) if task] + self._shown.retries

    async def _settle(self) -> None:
        """At the end, wait for somebody who still writes, or for the end of a pause."""
        pause_s = max(self._log_pause.until_s, self._boards_pause.until_s) - time.monotonic()
        if tasks := [task for task in self._tasks() if not task.done()]:
            await asyncio.wait(tasks, timeout=max(pause_s, PAUSE_S), return_when=asyncio.FIRST_COMPLETED)
        elif pause_s > 0:
            await asyncio.sleep(pause_s)

    async def _append(self, *, states_due: bool) -> None:
        """Append what came since the last flush and all batches before it, each acknowledged before the next is sent.

        What comes meanwhile waits for the next flush: the busier we are, the fuller are the batches.
        """
        settings = self._settings
        if states_due:
            self._log_states()
        self.backlog.seal(time.monotonic())
        try:
            while (batch := self.backlog.head()) is not None:
                args = (settings.match, batch.number, batch.size, batch.payload, settings.log_batches)
                if not await self._sent(self.backlog.batches, batch.number, "log_append", self._log, args):
                    continue
                # 'repeat' acknowledges as well: an earlier attempt arrived and its reply was lost.
                self._appended(batch)
                if states_due and self._states:
                    self._log_states()
                    self.backlog.seal(time.monotonic())
        except MusterError as error:
            # Whoever answers next may be another Redis, or the same with a shorter memory.
            self.backlog.batches.doubt()
            self._log_pause.failed(time.monotonic())
            self._trouble.failed(self._log, error)
            return
        self._log_pause.answered()
        self._trouble.answered(self._log)

    def _appended(self, batch: Batch) -> None:
        """The batch is in the log: now views and counts may follow from it."""
        now_s = time.monotonic()
        fold = self.backlog.done(now_s)
        if fold is None:
            return
        self.stats.appended(batch.size, now_s - batch.since_s)
        self._strain.told(now_s - batch.since_s - self._settings.flush_s)
        self._shown.follow(fold.views)
        for slot, who in fold.counts:
            self._counts.setdefault(slot, Counter()).update(who)
        if len(self._counts) > MAX_SLOTS:  # in a cluster the log may be there and the boards away
            self._freeze_counts()

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

    def _show(self) -> None:
        """Let views and counts be written until the next flush is due; what is left goes on after it.

        The log does not wait for them, nor one of them for the other. Where appending takes all the time there is, one
        round trip of each is made all the same: late is not never.
        """
        for task in self._shown.retries:
            _free(task)
        if _free(self._writing_views):
            self._writing_views = None
            if not self._shown.mid_beat and self._due(self._views_beat):
                self._views_beat.passed(time.monotonic(), self._strain.periods)
                self._shown.stage()
            if self._shown.mid_beat:
                self._writing_views = asyncio.create_task(self._shown.write(self._time_left))
        if _free(self._writing_boards):
            self._writing_boards = None
            if not self._board_calls and self._due(self._boards_beat):
                self._boards_beat.passed(time.monotonic())
                self._freeze_counts()  # until these are through, counts gather by slot and player
            if self._board_calls and time.monotonic() >= self._boards_pause.until_s:
                self._writing_boards = asyncio.create_task(self._write_boards())

    async def _write_boards(self) -> None:
        try:
            while (call := self._board_calls.head()) is not None:
                args = (self._settings.match, call.number, *call.args)
                if await self._sent(self._board_calls, call.number, "boards_add", self._boards, args):
                    self._board_calls.done(time.monotonic())
                if not self._time_left():
                    break
        except MusterError as error:
            self._board_calls.doubt()
            self._boards_pause.failed(time.monotonic())
            self._trouble.failed(self._boards, error)
            return
        self._boards_pause.answered()
        self._trouble.answered(self._boards)

    def _due(self, beat: Beat) -> bool:
        return self._closing or time.monotonic() >= beat.due_s

    def _time_left(self) -> bool:
        return self._closing or time.monotonic() < self._flush.due_s

    def _freeze_counts(self) -> None:
        counts, self._counts = self._counts, {}
        for args in count_args(flat_counts(counts)):
            self._number_board_call(args)

    def _number_board_call(self, args: tuple[str | int, ...]) -> None:
        self._board_number += 1
        self._board_calls.put(BoardCall(self._board_number, args))


def _free(task: asyncio.Task[None] | None) -> bool:
    """Whether another one may be started. Raises what the last one came to grief over, which is a defect."""
    if task is None:
        return True
    if task.done():
        task.result()
    return task.done()
