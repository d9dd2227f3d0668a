"""The built-in arena as the game of this process: session, ports and the fixed-tick loop.

Everything here runs on the event loop's one thread. A tick is: play it, send what changed, hand the interactions to the
flusher. Nothing in it waits, so Redis may be away and the match plays on.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from core.clock import now_ms
from core.errors import Invalid
from core.interactions import MATCH_OVER, PLAYER_JOINED, PLAYER_LEFT, Happening, Interaction
from core.inventory import Inventories
from core.jointoken import JoinClaims, verify
from core.model import Connection, Match, OpenPort
from gamepod import figures
from gamepod.arena import ArenaSettings, MatchResult, Session, SessionManager, TickOutput
from gamepod.arena.events import GameEvent, logged
from gamepod.arena.outside import take_outside
from gamepod.exchanges import END_S, Exchanges
from gamepod.metrics import Metric
from gamepod.outcome import GameFailed, Outcome
from gamepod.pacer import Pacer
from gamepod.ports import given_ports
from gamepod.roster import Roster
from gamepod.settings import Settings
from gamepod.timers import MatchTimers
from gamepod.transport.auth_types import JoinRefused, PlayerClaims
from gamepod.transport.gateway import Gateway
from gamepod.transport.limits import TransportLimits
from gamepod.transport.tcp import serve_tcp
from gamepod.transport.udp import serve_udp
from gamepod.transport.websocket import serve_websocket

log = logging.getLogger(__name__)

TOLD_S: Final = 1.0  # the result is repeated so long to those who play over UDP
GONE: Final = ("left", "disconnected")  # by his own will, or he did not come back within `timers.reconnect_s`
MEMBERS: Final = {PLAYER_JOINED: "player joined", PLAYER_LEFT: "player left"}
OWN_REASONS: Final = ("no_show", "empty", "too_long", "stopped")  # what the arena itself ends for is `finished`


class Keeper(Protocol):
    """Who carries away what happens: writes it to Redis, or tells a sidecar that does."""

    def add(self, interactions: Sequence[Interaction], events: Sequence[Happening] = ()) -> None: ...

    def add_states(self, states: Mapping[str, Mapping[str, Any]]) -> None: ...


class Listener(Protocol):
    """A bound transport."""

    port: int

    async def close(self) -> None: ...


class ArenaGame:
    """See `gamepod.outcome.Game`."""

    def __init__(
        self,
        settings: Settings,
        roster: Roster,
        flusher: Keeper,
        items: Inventories | None,
        *,
        claims_of: Callable[[str], JoinClaims] | None = None,
        rules: Callable[[Session, int], None] | None = None,
    ) -> None:
        """Without `items` there is no trade. `claims_of` verifies a join token, where the key is not ours.

        `rules` of a game's own are played with each tick: they are given the session and the time (UTC ms).
        """
        self._settings = settings
        self._roster = roster
        self._flusher = flusher
        self._items, self._rules = items, rules
        self._exchanges: Exchanges | None = None
        self._claims_of = claims_of or (lambda token: verify(settings.join_key, token, self._match.id, time.time()))
        self._settle_s = END_S
        self._teams = False
        self._session: Session | None = None
        self._sessions = SessionManager(max_sessions=1)
        limits = TransportLimits(reconnect_grace_s=roster.match.timers.reconnect_s)
        self.gateway = Gateway(self._sessions, self._authenticate, now_ms, limits)
        self._listeners: list[Listener] = []
        self._ticker: asyncio.Task[None] | None = None
        self._pacer: Pacer | None = None
        self._over: asyncio.Future[MatchResult] | None = None
        self._states_due_s = 0.0

    @property
    def _match(self) -> Match:
        return self._roster.match

    async def start(self) -> Connection:
        settings = self._arena_settings()
        self._exchanges = Exchanges(self._items, self._match.id) if self._items is not None else None
        self._teams = len({seat.team for seat in self._roster.seats.values()}) > 1
        self._session = self._sessions.create(self._match.id, settings, id_prefix=self._match.id, now_ms=now_ms())
        ports = []
        for port in given_ports(self._settings, self._match.server):
            serve: Callable[..., Any] = {"udp": serve_udp, "tcp": serve_tcp, "ws": serve_websocket}[port.protocol]
            try:
                listener: Listener = await serve(self.gateway, self._settings.bind, port.listen)
            except OSError as error:
                raise GameFailed(
                    "launch_failed", f"port {port.listen} ({port.name}) cannot be opened: {error}"
                ) from None
            self._listeners.append(listener)
            ports.append(OpenPort(port.name, port.protocol, port.port or listener.port))
        return Connection(self._settings.address, ports)

    async def until_ready(self) -> None:
        """The arena is playable as soon as its ports are open."""
        self._over = asyncio.get_running_loop().create_future()
        self._ticker = asyncio.create_task(self._tick())

    @property
    def alone(self) -> bool:
        """A match's players and settings are what the arena starts with; it takes a millisecond."""
        return False

    async def idle(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def play(self) -> Outcome:
        if self._session is None or self._over is None or self._ticker is None:
            raise RuntimeError("the game was not started")
        either: set[asyncio.Future[Any]] = {self._over, self._ticker}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._over.done():
            self._ticker.result()  # raises what ended it
        if self._exchanges is not None:
            await self._exchanges.settled(self._session, self._settle_s)
        return self._outcome(self._over.result())

    async def stop(self, reason: str, drain_s: float) -> Outcome:
        if self._session is None or self._ticker is None:
            return Outcome("finish", reason)
        self._session.end(reason)
        self._settle_s = min(END_S, drain_s)
        return await self.play()

    async def close(self) -> None:
        if self._over is not None and self._over.done() and self._ticker is not None and self.gateway.clients:
            await asyncio.wait({self._ticker}, timeout=TOLD_S)
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        if self._exchanges is not None:
            await self._exchanges.close()
        self.gateway.close()
        for listener in self._listeners:
            await listener.close()
        self._sessions.remove(self._match.id, now_ms())

    @property
    def present(self) -> Sequence[str]:
        return self.gateway.connected(self._match.id)

    def figures(self) -> dict[str, Any]:
        pacer = self._pacer
        return {
            "players": self.gateway.clients,
            "tick": self.ticks,
            "tick_late_ms": round(pacer.take_worst_s() * 1000, 2) if pacer else 0.0,
            "ticks_late": pacer.late if pacer else 0,
            "ticks_skipped": pacer.skipped if pacer else 0,
        }

    def metrics(self) -> list[Metric]:
        return figures.arena(self)

    def command(self, text: str) -> str | None:
        return take_outside(self._session, text) if self._session is not None else "not-begun the match has not begun"

    def reseat(self, out: Sequence[str]) -> None:
        for player in out:
            self.gateway.turn_out(self._match.id, player, "not-in-roster", "this player's seat is another's now")
        if self._session is not None:
            self._session.make_room(len(self._roster.seats))

    @property
    def asks(self) -> bool:
        return self._session is not None and self._session.settings.backfill

    @property
    def pacer(self) -> Pacer | None:
        """The pace so far; None before the first tick."""
        return self._pacer

    @property
    def ticks(self) -> int:
        """Ticks played."""
        return self._session.tick if self._session else 0

    @property
    def refused(self) -> dict[str, int]:
        """Commands refused by reason."""
        return self._session.refused_by_reason if self._session else {}

    @property
    def repeated(self) -> int:
        """Commands that came again after they had been taken in."""
        return self._session.repeated if self._session else 0

    async def _tick(self) -> None:
        """Play tick after tick; goes on after the end, to tell the result again, until it is cancelled."""
        if self._session is None:
            raise RuntimeError("the game was not started")
        session = self._session
        pacer = self._pacer = Pacer(self._session.settings.tick_rate_hz, time.monotonic())
        timers = MatchTimers(self._match.timers, time.monotonic())
        while True:
            await asyncio.sleep(pacer.wait_s(time.monotonic()))
            now_s = time.monotonic()
            for _ in range(pacer.due(now_s)):
                if self._rules is not None and not session.over:
                    self._rules(session, now_ms())
                members = self._follow_members(session)
                outputs = self._sessions.step(now_ms())
                self.gateway.broadcast(outputs)
                for output in outputs:
                    self._carry(output, members)
                    if self._exchanges is not None:
                        for settlement in output.settlements:
                            self._exchanges.settle(session, settlement)
            if reason := timers.ending(self.gateway.clients, self.gateway.stats.joins, now_s):
                self._session.end(reason)
            if now_s >= self._states_due_s:
                self._states_due_s = now_s + self._settings.views_s
                self._flusher.add_states(self._session.player_states(changed_only=True))

    def _carry(self, output: TickOutput, members: Sequence[GameEvent]) -> None:
        """Write what a tick came to; `members` came and left before it. With its result all have left."""
        if self._over is None or self._over.done():  # trades may end after it
            if output.interactions:
                self._flusher.add(output.interactions)
            return
        events = [*members, *output.events]
        if output.result is not None:
            session = self._sessions.get(output.match)
            end = (output.at_ms, output.match)
            events += [
                GameEvent(PLAYER_LEFT, *end, player, {"reason": MATCH_OVER}, len(output.interactions))
                for player in session.present
            ]
        told = logged(events)
        if output.interactions or told:
            self._flusher.add(output.interactions, told)
        if output.result is not None:
            self._over.set_result(output.result)

    def _follow_members(self, session: Session) -> list[GameEvent]:
        events = self._sessions.drain_events()
        for event in events:
            if event.name in MEMBERS:
                seat = self._roster.seats.get(event.player)
                log.info(MEMBERS[event.name], extra={"player": event.player, "ticket": seat.ticket if seat else ""})
            if event.name == PLAYER_JOINED:
                self._roster.came(event.player)
                if self._exchanges is not None:
                    self._exchanges.joined(session, event.player)
            elif event.name == PLAYER_LEFT and event.data["reason"] in GONE:
                self._roster.went(event.player)
        return events

    def _arena_settings(self) -> ArenaSettings:
        """The registration's arena with room for the whole roster. Raises GameFailed."""
        try:
            settings = ArenaSettings.from_dict(self._match.server.arena or {})
        except Invalid as error:
            detail = f"the arena's settings are wrong at {error.pointer}: {error.detail}"
            raise GameFailed("launch_failed", detail) from None
        trade_range_m = settings.trade_range_m if self._items is not None else 0.0
        capacity = max(settings.capacity, len(self._roster.seats))
        return dataclasses.replace(settings, capacity=capacity, trade_range_m=trade_range_m)

    def _authenticate(self, token: str) -> PlayerClaims:
        claims = self._claims_of(token)
        if not self._roster.may_join(claims.player):
            raise JoinRefused("not-in-roster", "this player has no seat in this match any more")
        # A seat that was taken a moment ago is not in the roster yet: the token tells the same.
        seat = self._roster.seats.get(claims.player)
        name, team = (claims.name, claims.team) if seat is None else (seat.name or claims.name, seat.team)
        # A match of one team is a game without teams: all against all.
        return PlayerClaims(claims.player, self._match.id, name, team if self._teams else "", claims.expires_s * 1000)

    def _outcome(self, result: MatchResult) -> Outcome:
        reason = result.reason if result.reason in OWN_REASONS else "finished"
        scores = {player.player: float(player.score) for player in result.players}
        # Ratings want to know of every seat (core.report): who never came has left too.
        left = sorted({*self._roster.left, *(self._roster.seats.keys() - scores.keys())})
        report = msgspec.structs.asdict(result) | {"left": left}
        return Outcome("finish", reason, msgspec.json.encode(report), scores)
