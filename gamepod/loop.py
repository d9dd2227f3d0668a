"""The life of one game server, from the lock to the exit code.

    lock file -> attach -> start the game -> Ready -> play -> last interactions written -> result told -> exit

Whatever ends it, the order at the end is the same: the game stops, what it did is written, and only then is the match
told its result. While Redis is away the game plays on; a match that turns out to be over, or another's, ends the game.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from core.doorbell import Doorbell
from core.errors import Conflict, Unavailable
from core.gameenv import roster_text
from core.lifecycle import MatchState
from core.model import Connection, Match
from core.redis.lean import LeanRedis
from core.report import read_report, standings
from gamepod import log as logs
from gamepod.attendance import Attendance
from gamepod.backfill import Backfill
from gamepod.comings import Comings
from gamepod.figures import figures, metrics
from gamepod.flush import Flusher
from gamepod.inbox import Inbox
from gamepod.memory import Memory
from gamepod.metrics import MetricsPage, expose
from gamepod.outcome import Game, GameFailed, Outcome, failed
from gamepod.roster import Roster
from gamepod.sdk.muster import MusterRest
from gamepod.sdk.sidecar import ROSTER, SdkPorts, allocate, match_life, match_sdk, open_sidecar
from gamepod.sdk.state import ServerEvent
from gamepod.settings import Settings
from gamepod.standby import Standby
from gamepod.store import BEAT_S, NotOurs, Store, until_answered, where
from gamepod.turnout import Turnout

log = logging.getLogger(__name__)

# Exit codes; 78 (core.serve) is a wrong setting.
EXIT_OVER: Final = 0  # the match is over, and Redis knows how
EXIT_FAILED: Final = 1  # there was no playable game, or it was lost, and Redis knows
EXIT_NOT_OURS: Final = 3  # another process has the match, or it is over or gone
EXIT_UNTOLD: Final = 4  # Redis stayed away: the result, or interactions, could not be written in time

DRAIN_SHARE: Final = 0.3  # of the drain time for each: the game's end, the last interactions, the result
RING_S: Final = 0.05  # for the last ring to leave: closing the doorbell would drop it


class Life:
    """One match on this process, attached; or, with `standby`, a place that waits for one."""

    def __init__(
        self,
        settings: Settings,
        match: Match,
        redis: LeanRedis,
        store: Store,
        bell: Doorbell,
        flusher: Flusher,
        stop: asyncio.Event,
        standby: Standby | None,
        *,
        resumed: bool,
    ) -> None:
        self._settings = settings
        self._match = match
        self._store = store
        self._bell = bell
        self._flusher = flusher
        self._redis = redis
        self._stop = stop
        self._roster = Roster(match)
        self._backfill = Backfill(store, self._roster, bell)
        self._server = match_life(match)
        self._attendance = Attendance(redis, self._roster, lambda: self._sdk.tallies.players.ids)
        self._connection = Connection(settings.address, [])
        self._sdk = match_sdk(match, self._server, settings.server, lambda: self._connection)
        self._comings = Comings(self._sdk.tallies.players, flusher)
        self._sdk.on_change = self._comings.follow
        self._standby = standby  # until it has become a match's
        self._memory = Memory(settings, store, self._sdk, self._roster)
        self._resumed = resumed  # an earlier life of this server told Ready: the game plays, and does not say so again
        self._running = self._over = False  # Ready was told; nothing more happens in the match
        self._scores: dict[str, float] = {}  # as the game reported them last, for the board
        self._lost: NotOurs | None = None
        self._ending = asyncio.Event()  # set with `_lost`

    async def run(self) -> int:
        """Play the match. Returns the exit code."""
        await self._memory.recall()
        async with self._ports() as game:
            self._inbox = Inbox(self._store, game.command)
            flushing = asyncio.create_task(self._flusher.run())
            beating = asyncio.create_task(self._beat(game))
            try:
                outcome = await self._play(game, flushing)
                return await self._finish(outcome, flushing)
            finally:
                log.info("the server ends")
                beating.cancel()
                flushing.cancel()
                await asyncio.gather(beating, flushing, self._inbox.close(), return_exceptions=True)
                await game.close()

    @asynccontextmanager
    async def _ports(self) -> AsyncIterator[Game]:
        """The sidecar and the metrics, and the game that they tell about."""
        settings = self._settings
        ours = MusterRest(
            self._roster,
            self._backfill,
            self._report,
            self._flusher,
            settings.join_key,
            settings.join_jwks,
            lambda: self._running and not self._over,
            self._sdk,
        )
        async with open_sidecar(self._sdk, ours, settings.sdk_port, settings.sdk_grpc_port) as sdk_ports:
            game = self._make_game(sdk_ports)
            page = MetricsPage(lambda: metrics(game, self._flusher, self._redis.trips, self._attendance, self._running))
            exposed = await expose(page, settings.metrics_bind, settings.metrics_port)
            self._exposed = f"{settings.metrics_bind}:{exposed.port}"
            ports = {"sdk_port": sdk_ports.rest, "sdk_grpc_port": sdk_ports.grpc, "metrics_port": exposed.port}
            log.info("attached", extra=ports)
            try:
                yield game
            finally:
                await exposed.close()

    def _make_game(self, sdk_ports: SdkPorts) -> Game:
        # Loaded where it is played: the arena is a quarter of all that a server loads, and a sidecar has none of it.
        if self._settings.sidecar:
            from gamepod.sidecar_game import SidecarGame

            return SidecarGame(self._settings, self._match, self._server, self._turnout(), self._store.said)
        if self._match.server.command is not None:
            from gamepod.command_game import CommandGame

            return CommandGame(self._settings, self._match, self._server, sdk_ports, self._turnout())
        from core.inventory import Inventories
        from gamepod.arena_game import ArenaGame

        items = Inventories(self._redis, self._settings.game, sends=1)
        return ArenaGame(self._settings, self._roster, self._flusher, items)

    def _turnout(self) -> Turnout:
        return Turnout(self._match, self._roster, self._sdk.tallies.players)

    async def _play(self, game: Game, flushing: asyncio.Task[None]) -> Outcome | None:
        """The game's outcome, however it came about; None where the match is not ours any more."""
        course = asyncio.create_task(self._course(game))
        stopped = asyncio.create_task(self._stop.wait())
        lost = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({course, stopped, lost, flushing}, return_when=asyncio.FIRST_COMPLETED)
            if course.done() and not self._ending.is_set():
                return course.result()
        except GameFailed as error:
            return self._failure(error)
        except NotOurs as error:
            self._lose(error)
        except Exception:
            # A defect of ours: what was played until here is written, and the players need not wait for a timer.
            log.exception("a defect ended the game")
            return self._failure(GameFailed("crashed", "a defect of the server; its log has the trace"))
        finally:
            for task in (course, stopped, lost):
                task.cancel()
            await asyncio.gather(course, stopped, lost, return_exceptions=True)
        return await self._halt(game)

    async def _course(self, game: Game) -> Outcome:
        """What happens if nobody interferes."""
        if not game.alone:
            await self._get_match(game)
        self._connection = await game.start()
        if not self._resumed:
            await game.until_ready()
        if game.alone:
            await self._get_match(game)
        self._connection = await self._public(self._connection)
        self._sdk.changed()
        if not self._resumed:
            await until_answered(lambda: self._store.ready(self._connection))
        else:
            self._flusher.resume(*await until_answered(self._store.numbers))
        self._running = True
        self._comings.begin(self._roster, resumed=self._resumed)
        self._server.became_ready()
        self._ring()
        log.info("ready", extra={"ports": {port.name: port.port for port in self._connection.ports}})
        return await game.play()

    async def _get_match(self, game: Game) -> None:
        """Wait until we are a match's, where we are none's yet. Raises NotOurs, and GameFailed where the game ends."""
        standby = self._standby
        if standby is None:
            return
        if not standby.match:
            await until_answered(lambda: standby.beat("ready"))
            self._server.became_ready()
            log.info("ready for a match")
            waiting = asyncio.create_task(standby.allocated(self._settings.redis_url))
            idle = asyncio.create_task(game.idle())
            try:
                await asyncio.wait({waiting, idle}, return_when=asyncio.FIRST_COMPLETED)
                (waiting if waiting.done() else idle).result()
            finally:
                waiting.cancel()
                idle.cancel()
                await asyncio.gather(waiting, idle, return_exceptions=True)
        match, state = await until_answered(lambda: self._store.take(standby.match, where(self._settings.server)))
        self._resumed = state is MatchState.RUNNING
        self._match, self._standby = match, None
        self._roster.change(match, 0)
        self._flusher.belong(match.id)
        allocate(self._sdk, match)
        logs.allocated(match, self._settings.match)

    async def _public(self, connection: Connection) -> Connection:
        """The connection as players reach it."""
        if not (node := self._settings.node):
            return connection
        address = await until_answered(lambda: self._store.public_address(node, connection.address))
        return msgspec.structs.replace(connection, address=address)

    async def _halt(self, game: Game) -> Outcome | None:
        """End the game from outside: we were told to stop, or the match is not ours any more."""
        self._server.end(ServerEvent.SHUTDOWN)
        outcome = await game.stop("stopped", self._match.timers.drain_s * DRAIN_SHARE)
        # A sidecar is told to stop after the game has ended: whoever sees how tells the match.
        if self._lost is not None or self._settings.sidecar or self._settings.launcher_tells:
            return None
        if self._standby is not None:
            return outcome
        # Nobody has played yet: the players are better off in the queue.
        return outcome if self._running else self._failure(GameFailed("died_early", "stopped before it was ready"))

    def _failure(self, error: GameFailed) -> Outcome:
        log.error("the game failed", extra={"reason": error.code, "detail": error.detail, "output": error.last_lines})
        self._server.end(ServerEvent.FAILED)
        return failed(error)

    async def _finish(self, outcome: Outcome | None, flushing: asyncio.Task[None]) -> int:
        """Write what is left, then tell the match. Returns the exit code."""
        self._over = True
        self._comings.end()
        scores = outcome.scores if outcome is not None and outcome.scores else self._scores
        if scores and self._lost is None and (outcome is None or outcome.event == "finish"):
            self._flusher.add_scores(scores)
        self._flusher.close()
        if not await self._in_time(asyncio.shield(flushing)):
            waiting = self._flusher.backlog.interactions
            log.error("Redis stayed away: interactions are lost", extra={"interactions": waiting})
            return EXIT_UNTOLD
        if outcome is None and self._lost is None:
            return EXIT_OVER
        if outcome is None:
            log.warning("the match went on without us", extra={"found": self._lost.detail if self._lost else ""})
            return EXIT_NOT_OURS
        standby = self._standby
        try:
            if standby is not None:
                detail = outcome.words()
                await self._in_time(until_answered(lambda: standby.end(outcome.reason, detail)))
                return EXIT_OVER if outcome.event == "finish" else EXIT_FAILED
            if not await self._in_time(until_answered(lambda: self._store.end(outcome, self._match.tries))):
                log.error("Redis stayed away: the result could not be told", extra={"reason": outcome.reason})
                return EXIT_UNTOLD
        except NotOurs as error:
            log.warning("the match was ended by somebody else", extra={"found": error.detail})
            return EXIT_NOT_OURS
        self._server.end(ServerEvent.SHUTDOWN)
        self._ring()
        await asyncio.sleep(RING_S)
        log.info("over", extra={"outcome": outcome.event, "reason": outcome.reason})
        return EXIT_OVER if outcome.event == "finish" else EXIT_FAILED

    async def _in_time(self, work: Awaitable[Any]) -> bool:
        """Whether `work` ended in the time there is, which is less once we were told to stop. Raises what it raises."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.create_task(self._stop.wait())
        either: set[asyncio.Future[Any]] = {task, stopped}
        try:
            await asyncio.wait(either, timeout=self._settings.final_flush_s, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and stopped.done():
                await asyncio.wait({task}, timeout=self._match.timers.drain_s * DRAIN_SHARE)
            if task.done():
                task.result()
            return task.done()
        finally:
            task.cancel()
            stopped.cancel()
            await asyncio.gather(task, stopped, return_exceptions=True)

    async def _beat(self, game: Game) -> None:
        """Tell every BEAT_S that we live, and hear whether the match does, or whether we are needed at all."""
        while not self._ending.is_set():
            try:
                await (self._beat_match(game) if self._standby is None else self._standby.beat())
            except NotOurs as error:
                self._lose(error)
            except (Unavailable, Conflict) as error:
                log.debug("a beat was not heard", extra={"error": error.detail})
            await asyncio.sleep(BEAT_S)

    async def _beat_match(self, game: Game) -> None:
        told, roster = figures(game, self._flusher) | {"metrics": self._exposed}, self._roster
        newest = await self._store.beat(self._server.state, told, roster.left, roster.number, running=self._running)
        if newest != roster.number:
            game.reseat(roster.change(*await self._store.seats()))
            self._sdk.metadata.tell(ROSTER, roster_text(roster.match))
            self._sdk.changed()
        await self._memory.keep()
        if self._running:
            if game.asks:
                await self._backfill.follow()
            if self._store.called:
                self._inbox.wake()
            await self._attendance.tell(game.present)

    def _lose(self, error: NotOurs) -> None:
        self._lost = self._lost or error
        self._ending.set()

    def _ring(self) -> None:
        self._bell.ring("match", [self._settings.game])
        self._bell.ring("ticket", self._roster.match.tickets)

    async def _report(self, text: bytes) -> None:
        """Keep what the game tells of its players in Redis, from where ratings read it. Raises Invalid, MusterError."""
        report = read_report(text)
        standings(self._roster.match.players, report)
        await self._store.report(text)
        self._scores = {it.player: it.score for it in report.players if it.score is not None}
